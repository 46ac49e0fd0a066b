"""One i-PI run of many, in a folder of its own: how far it is, and `beadwise run` from there."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from threading import Event

from ....analysis.crystals.cycle_runs import PlannedRun
from ....runs.input.elements import InputError
from ....runs.input.outputs import checkpoint_patterns
from ....runs.input.run_input import RunInput
from .. import processes
from ..continuation import RESTART
from ..progress import StepReader

LOG = "run.log"
OFTEN = 0.2  # s, between looks at a process
PATIENCE = 60.0  # s, in which a run that is ended writes its RESTART
STOPPED = "stopped"
ERROR = "Error: "


class RunState:
    """How far a run has come, looked at again and again.

    Parameters
    ----------
    run : PlannedRun
    """

    def __init__(self, run: PlannedRun):
        self.run = run
        source = RunInput.read(run.path)
        self.total = source.total_steps
        self._patterns = [RESTART, *checkpoint_patterns(source.root)]
        saved = self.saved()
        self._step = 0 if saved is None else saved[0]
        tables = [run.folder / one.name for one in source.only_system().properties_outputs]
        self._reader = StepReader(run.folder / LOG, 0, tables)

    def saved(self) -> tuple[int, Path] | None:
        """Step and path of what the run can go on from, the latest; None if it has to begin."""
        names = [name for pattern in self._patterns for name in glob.glob(pattern, root_dir=self.run.folder)]
        found = [
            (step, self.run.folder / name) for name in names if (step := _step(self.run.folder / name)) is not None
        ]
        return max(found, default=None)

    @property
    def is_done(self) -> bool:
        """Whether the last step is done, and written."""
        saved = self.saved()
        return saved is not None and saved[0] >= self.total

    def step(self) -> int:
        """The last step that is known of."""
        self._step = max(self._step, self._reader.read() or 0)
        return min(self._step, self.total)


def _step(path: Path) -> int | None:
    try:
        return RunInput.read(path).step
    except InputError:  # a checkpoint that was being written
        return None


def do_run(
    folder: Path, name: str, model: str, threads: int, environment: Mapping[str, str], stop: Event | None = None
) -> str:
    """Run one input to its end, from what was saved of it.

    Parameters
    ----------
    folder : Path
        Of the run.
    name : str
        Of its input.
    model : str
        That its servers need; empty for none.
    threads : int
    environment : mapping of str to str
        Set on top of that of this process.
    stop : threading.Event, optional
        Which asks for an end; what was done is kept.

    Returns
    -------
    str
        Empty at the last step; otherwise in one line why it ended before.
    """
    state = RunState(PlannedRun(folder, name, model))
    saved = state.saved()
    if saved is not None and saved[0] >= state.total:
        return ""
    source = name if saved is None else saved[1].name
    command = [sys.executable, "-m", "beadwise", "run", source, "--no-report", "--spectrum", "none"]
    if model:
        command += ["--model", model, "--threads", str(threads)]
    with open(folder / LOG, "ab") as log:
        began = log.tell()
        process = processes.start(command, folder, {**environment, "BEADWISE_PROGRESS": "none"}, log, log)
        while not processes.wait(process, OFTEN):
            if stop is not None and stop.is_set():
                processes.end([process], PATIENCE)
                return STOPPED
    if process.returncode == 0 and state.is_done:
        return ""
    return _last_words(folder / LOG, began) or f"it ended with the status {process.returncode}"


def _last_words(log: Path, began: int) -> str:
    """Why a run ended, as it said last; its last line where it said no error, as others may write into its log, too."""
    with open(log, "rb") as file:
        file.seek(began)
        lines = [line for line in file.read().decode(errors="replace").split("\n") if line.strip()]
    errors = [line for line in lines if line.startswith(ERROR)]
    return " ".join([*lines, *errors][-1].removeprefix(ERROR).split()) if lines else ""


def environment_of_runs() -> dict[str, str]:
    """What processes on other machines have to know, too: which names may run code."""
    return {name: value for name, value in os.environ.items() if name.startswith("BEADWISE_")}
