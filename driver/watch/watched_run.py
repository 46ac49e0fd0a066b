"""A run that is looked at every few seconds, with as little work as its files allow."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from ...analysis.report.content import RunContent
from ...analysis.report.facts import outputs_of
from ...runs.input.run_input import RunInput
from .pulse import Pulse, PulseReader

INTERVAL = 2.0  # s between looks
SHARE = 0.005  # of the time of a processor that all this may take, beside the first looks
ALLOWANCE = 1.0  # s of a processor, for those after the very first one, which also loads what it needs
SHARE_OF_A_PART = 0.05  # of the time, as one that is costly shall not hold up all others
MOST_BYTES = 2e8  # of a file that has to be read as a whole
PATIENCE = 60.0  # s, until files that could not be read are begun anew
NAME = "made"  # what differs in each content, though nothing has changed


class WatchedRun:
    """What is known of a run, kept current.

    Parameters
    ----------
    run : RunInput
    interval : float
        Seconds between looks at least; there are fewer where a look is expensive.
    window : float or None
        Of spectra, in fs; None for one that suits the length of the run.
    """

    def __init__(self, run: RunInput, interval: float = INTERVAL, window: float | None = None):
        self._run, self._interval, self._window = run, interval, window
        self._outputs = outputs_of(run, run.systems[0] if run.systems else None)
        self._pulses = PulseReader(run, self._outputs)
        self._count_from_now()
        self._seen: dict[Path, tuple[int, int, int]] = {}
        self._state: tuple[str, str] | None = None
        self._begin_anew()
        self.content: dict[str, Any] = {}
        self.version = 0  # of the content
        self.pulse: Pulse = self._pulses.look(None)

    def look(self) -> float:
        """Look once; the seconds until the next look."""
        now, is_first = time.monotonic(), not self.content
        seen = {path: found for path in self._outputs if (found := _signature(path)) is not None}
        if self._is_replaced(seen):
            self._begin_anew()
        if seen != self._seen:
            self._seen, self._changed, self._is_final = seen, now, False
        if now - self._changed < PATIENCE or not self.content:  # parts that take long come after others
            self._read()
        self.pulse = self._pulses.look(self.content["run"]["step"])
        if self.pulse.report_state != self._state or (self.pulse.state.is_over and not self._is_final):
            self._state, self._is_final = self.pulse.report_state, self.pulse.state.is_over
            self._read()
        if is_first:
            self._count_from_now()
        spent = time.process_time() - self._spent_before  # also by what serves its page
        affordable = self._began + max(spent - ALLOWANCE, 0.0) / SHARE - time.monotonic()
        return max(self._interval, affordable)

    def _count_from_now(self) -> None:
        """Begin to count what looks take of a processor."""
        self._began, self._spent_before = time.monotonic(), time.process_time()

    def _read(self) -> None:
        content = self._reader.read(self._state, self._is_final)
        if _unread(content) and time.monotonic() > self._anew_due:  # a run that went back is read from its start
            self._begin_anew()
            content = self._reader.read(self._state, self._is_final)
        if any(content[name] != self.content.get(name) for name in content if name != NAME):
            self.content = content
            self.version += 1

    def _begin_anew(self) -> None:
        self._reader = RunContent(self._run, SHARE_OF_A_PART, most_bytes=MOST_BYTES, window=self._window)
        self._anew_due = time.monotonic() + PATIENCE
        self._changed, self._is_final = time.monotonic(), False

    def _is_replaced(self, seen: dict[Path, tuple[int, int, int]]) -> bool:
        """Whether a file is another one now, or shorter, as where a run is started anew or continued."""
        restart = self._outputs[-1]
        return any(
            path in self._seen and (found[0] != self._seen[path][0] or found[1] < self._seen[path][1])
            for path, found in seen.items()
            if path != restart
        )


def _unread(content: dict[str, Any]) -> bool:
    """Whether a file could not be read."""
    return any(one["source"] == "report" and one["level"] == "warning" for one in content["messages"])


def _signature(path: Path) -> tuple[int, int, int] | None:
    """Number, size and time in ns of a file; None if there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
