"""How a run goes on: its step, rate and state, told from its files at each look."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...runs.input.run_input import RunInput
from ..launch.progress import Rate, describe
from .state import ENDED, GOING_ON, NOT_BEGUN, STALLED, State, StateReader


@dataclass(frozen=True)
class Pulse:
    """What changes at every look.

    Parameters
    ----------
    step : int or None
        The last that was seen; None before the first.
    total_steps : int
    rate : float
        Steps per second over the last half minute; 0 where it is not known.
    state : State
    """

    step: int | None
    total_steps: int
    rate: float
    state: State

    @property
    def progress(self) -> str:
        """``step 120/4000  12.3 steps/s  5 min 15 s left``; without rate where it is over or stands still."""
        rate = self.rate if self.state.name == "going on" else 0.0
        return describe(self.step or 0, self.total_steps, rate)

    @property
    def report_state(self) -> tuple[str, str]:
        """State and sentence in the words of `beadwise.analysis.report`; the same while nothing happens."""
        name = self.state.name
        if name == GOING_ON:
            return "running", f"The run goes on: {' '.join(self.progress.split())}."
        if name == STALLED and self.state.changed is not None:
            since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(self.state.changed))
            where = f"at step {self.step or 0} of {self.total_steps}"
            return "stopped", f"The run stands still {where}: nothing was written since {since}."
        if name == NOT_BEGUN:
            return "unknown", "The run has not begun: i-PI has not written anything yet."
        return ("finished" if name == ENDED else "stopped"), f"The run {self.state.words}."


class PulseReader:
    """Takes the pulse of a run.

    Parameters
    ----------
    run : RunInput
    files : sequence of Path
        What i-PI writes.
    """

    def __init__(self, run: RunInput, files: Sequence[Path]):
        self._run, self._state, self._rates = run, StateReader(run, files), Rate()
        self._step: int | None = None
        self._rate = 0.0

    def look(self, step: int | None) -> Pulse:
        """Look once.

        Parameters
        ----------
        step : int or None
            Last step that the outputs hold.
        """
        if step is not None and step < (self._step or 0):
            self._rates = Rate()  # a run that was started anew, or continues from before
        if step is not None and step != self._step:  # as i-PI writes now and then, it is known only when it has written
            self._step, self._rate = step, self._rates.update(step, time.monotonic())
        return Pulse(step, self._run.total_steps, self._rate, self._state.look(step))
