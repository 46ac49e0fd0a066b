"""What a run can be taken up from, however it ended: the newest of RESTART, its checkpoints and what it began with."""

from __future__ import annotations

import glob
import os
import shlex
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ...runs.input.elements import InputError
from ...runs.input.outputs import checkpoint_patterns
from ...runs.input.run_input import RunInput
from .plan import Plan

RESTART = "RESTART"
State = tuple[int, int, int]  # device, number and time of a file


@dataclass(frozen=True)
class Saved:
    """A file that i-PI can go on from, and the step it holds."""

    path: Path
    step: int


class Continuation:
    """Files that a run leaves to be taken up from; made before i-PI starts, as older ones do not count.

    Parameters
    ----------
    plan : Plan
        What is run.
    """

    def __init__(self, plan: Plan):
        self._plan = plan
        self._before = {path: _state(path) for path in self._candidates()}
        source = plan.folder / plan.source
        self._source = _state(source) if plan.input.step > 0 else None
        self._steps: dict[State | None, int | None] = {}

    @property
    def step_of_restart(self) -> int | None:
        """Step that RESTART holds; None if i-PI has not written it, or not to its end."""
        restart = self._plan.folder / RESTART
        if not self._is_of_this_run(restart):
            return None
        state = _state(restart)
        if state not in self._steps:  # it is asked for again and again, and may be large
            self._steps[state] = _step(restart)
        return self._steps[state]

    @property
    def is_complete(self) -> bool:
        """Whether the last step was done, as RESTART says or a checkpoint, which comes after the outputs of a step."""
        saved = self.newest()
        return saved is not None and saved.step >= self._plan.input.total_steps

    def newest(self) -> Saved | None:
        """RESTART if i-PI has written it, which is the last it does, else what is whole and has the highest step."""
        restart = self._plan.folder / RESTART
        if self._is_new(restart) and (step := _step(restart)) is not None:
            return Saved(restart, step)
        steps = {path: _step(path) for path in self._candidates() if self._is_of_this_run(path)}
        saved = [Saved(path, step) for path, step in steps.items() if step is not None]
        return max(saved, key=lambda one: one.step, default=None)

    def advice(self, step: int) -> str:
        """Say where a run that was stopped can be taken up again.

        Parameters
        ----------
        step : int
            Last step that was seen.
        """
        saved = self.newest()
        if saved is None:
            start = self._command(self._plan.source)
            return f"i-PI was stopped at step {step} before it could write a {RESTART}, start again with {start}"
        command = self._command(saved.path.relative_to(self._plan.folder))
        if saved.path.name == RESTART and self._is_new(saved.path):
            return f"i-PI was stopped at step {saved.step}, continue with {command}"
        return f"i-PI was stopped at step {step}, continue from step {saved.step} with {command}"

    def advice_after_refusal(self, step: int) -> str:
        """The same after a structure that was refused: where the run began with it, going on would meet it again.

        Parameters
        ----------
        step : int
            Last step that was seen.
        """
        saved = self.newest()
        if (step if saved is None else saved.step) > self._plan.input.step:
            return self.advice(step)
        start, step = self._command(self._plan.source), self._plan.input.step
        change = "change the structure, its units or the model, then start again with"
        return f"i-PI was stopped at step {step}, where it began: {change} {start}"

    def _command(self, source: Path) -> str:
        """The command that goes on, and the options that it needs, as RESTART holds none of them."""
        there = "" if self._plan.folder == Path() else f"cd {shlex.quote(str(self._plan.folder))} && "
        options = f" and the options of this run: {shlex.join(self._plan.options)}" if self._plan.options else ""
        return f"`{there}beadwise run {shlex.quote(str(source))}`{options}"

    def _candidates(self) -> list[Path]:
        """All files that could be continued from, and what i-PI made of an older one by renaming it."""
        folder = self._plan.folder
        names = [RESTART, *checkpoint_patterns(self._plan.input.root)]
        found = [folder / name for pattern in names for name in glob.glob(pattern, root_dir=folder)]
        renamed = [folder / name for name in glob.glob(f"#{glob.escape(self._plan.source.name)}#*#", root_dir=folder)]
        source = folder / self._plan.source
        return list(dict.fromkeys([*found, *renamed, *([source] if source.is_relative_to(folder) else [])]))

    def _is_of_this_run(self, path: Path) -> bool:
        """Whether it was written by this run, or is what this run goes on from, also by another name."""
        state = _state(path)
        return state is not None and (self._is_new(path) or state == self._source)

    def _is_new(self, path: Path) -> bool:
        state = _state(path)
        return state not in (None, *self._before.values())


def _state(path: Path) -> State | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns


def _step(path: Path) -> int | None:
    """Step that a file holds; None if it is not whole."""
    state = _state(path)
    return None if state is None else _step_of(path, state)


@lru_cache(maxsize=64)  # the same file is asked for more than once, and may be large
def _step_of(path: Path, state: State) -> int | None:
    """Step that one version of a file holds."""
    try:
        return RunInput.read(path).step
    except InputError:
        return None
