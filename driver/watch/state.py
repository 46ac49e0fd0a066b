"""Whether a run goes on, has ended or stands still: told from its files, as they may lie on another machine."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...runs.input.elements import InputError
from ...runs.input.run_input import RunInput
from ...runs.source import RESTART
from ..launch.claims import LOCK, SILENCE, Holder
from ..launch.stages import duration

NOT_BEGUN, GOING_ON, STALLED, ENDED, STOPPED = "not begun", "going on", "stalled", "ended", "stopped"
SHORTEST_STALL = 60.0  # s without a change, and
LONGEST_PAUSES = 10.0  # times the longest pause that was seen before


@dataclass(frozen=True)
class State:
    """What is known of a run.

    Parameters
    ----------
    name : str
        ``not begun``, ``going on``, ``stalled``, ``ended`` (at its last step), or ``stopped`` (before it).
    words : str
        A sentence about it.
    changed : float or None
        When its files changed last, in seconds since 1970; None if there are none.
    """

    name: str
    words: str
    changed: float | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more is going to come, unless it is continued."""
        return self.name in (ENDED, STOPPED)


class StateReader:
    """Tells the state of a run at each look.

    Clocks of two machines differ: after the first look it counts when a change was seen, not what a file says.

    Parameters
    ----------
    run : RunInput
    files : sequence of Path
        What i-PI writes.
    """

    def __init__(self, run: RunInput, files: Sequence[Path]):
        self._run, self._files = run, tuple(files)
        self._lock, self._restart = run.folder / LOCK, run.folder / RESTART
        self._seen: dict[Path, tuple[int, int]] = {}
        self._last_change: float | None = None  # of our clock that only goes forward
        self._longest = 0.0
        self._beat: tuple[int, float] | None = None
        self._restart_step: tuple[tuple[int, int], int | None] | None = None

    def look(self, step: int | None) -> State:
        """Tell the state.

        Parameters
        ----------
        step : int or None
            Last step that the outputs hold.
        """
        now = time.monotonic()
        files = {path: found for path in self._files if (found := _signature(path)) is not None}
        changed = max((found[1] for found in files.values()), default=None)
        self._notice(files, changed, now)
        held = self._is_held(now)
        when = None if changed is None else changed / 1e9
        if not held and (restart := self._step_of_restart()) is not None and restart >= (step or 0):
            return self._end(restart, when)
        if self._last_change is None or when is None:
            return State(NOT_BEGUN, "i-PI has not written anything yet", when)
        pause = now - self._last_change
        if self._is_left_behind():
            return State(STOPPED, f"was killed at about step {step or 0}, and left no {RESTART}", when)
        if pause > max(SHORTEST_STALL, LONGEST_PAUSES * self._longest):
            since = time.strftime("%H:%M:%S", time.localtime(time.time() - pause))
            return State(STALLED, f"nothing was written since {since}, for {duration(pause)}", when)
        return State(GOING_ON, f"last change {duration(pause)} ago", when)

    def _notice(self, files: dict[Path, tuple[int, int]], changed: int | None, now: float) -> None:
        if changed is None:
            return
        if self._last_change is None:
            self._last_change = now - max(time.time() - changed / 1e9, 0.0)
        elif files != self._seen:
            self._longest = max(self._longest, now - self._last_change) if self._seen else self._longest
            self._last_change = now
        self._seen = files

    def _end(self, step: int, when: float | None) -> State:
        total = self._run.total_steps
        if step >= total:
            return State(ENDED, f"ended at its last step, {step}", when)
        return State(STOPPED, f"stopped at step {step} of {total}; {RESTART} continues it", when)

    def _is_held(self, now: float) -> bool:
        """Whether `beadwise run` gives signs of life: it writes the time of its lock every few seconds."""
        found = _signature(self._lock)
        if found is None:
            self._beat = None
            return False
        if self._beat is None:
            self._beat = (found[1], now - max(time.time() - found[1] / 1e9, 0.0))
        elif found[1] != self._beat[0]:
            self._beat = (found[1], now)
        return now - self._beat[1] < SILENCE and not self._is_left_behind()

    def _is_left_behind(self) -> bool:
        """Whether a lock is that of a process of this machine that is gone."""
        try:
            with open(self._lock, "rb") as lock:
                holder = Holder.read(lock.fileno())
        except OSError:
            return False
        return holder is not None and holder.is_gone

    def _step_of_restart(self) -> int | None:
        """Step of the file that i-PI writes at its end; None if there is none, or it is not whole."""
        found = _signature(self._restart)
        if found is None:
            return None
        if self._restart_step is None or self._restart_step[0] != found:
            try:
                self._restart_step = (found, RunInput.read(self._restart).step)
            except InputError:
                return None
        return self._restart_step[1]


def _signature(path: Path) -> tuple[int, int] | None:
    """Size and time in ns of a file; None if there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
