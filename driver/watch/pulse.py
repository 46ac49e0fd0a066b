"""How a run goes on: its step, rate and state, told from its files at each look."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...runs.input.run_input import RunInput
from ..launch.progress import Rate, describe
from .state import State, StateReader


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

    def as_dict(self) -> dict[str, Any]:
        """For the page."""
        goes_on = self.state.name == "going on"
        left = (self.total_steps - (self.step or 0)) / self.rate if goes_on and self.rate > 0 else None
        return {
            "step": self.step,
            "total_steps": self.total_steps,
            "rate": self.rate if goes_on else None,
            "seconds_left": left,
            "progress": self.progress,
            "state": self.state.name,
            "words": self.state.words,
            "changed": self.state.changed,
            "is_over": self.state.is_over,
        }


class PulseReader:
    """Takes the pulse of a run.

    Parameters
    ----------
    run : RunInput
    files : sequence of Path
        What i-PI writes.
    """

    def __init__(self, run: RunInput, files: Sequence[Path]):
        self._run, self._state, self._rate = run, StateReader(run, files), Rate()

    def look(self, step: int | None) -> Pulse:
        """Look once.

        Parameters
        ----------
        step : int or None
            Last step that the outputs hold.
        """
        rate = 0.0 if step is None else self._rate.update(step, time.monotonic())
        return Pulse(step, self._run.total_steps, rate, self._state.look(step))
