"""Averages of a run that goes on, kept current in files beside i-PI's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...runs.input.run_input import RunInput
from .make import outcome_of, write
from .outcome import Outcome
from .request import AverageRequest
from .series import RunSeries

FEWEST = 4  # samples, of which a tenth is left out


class LiveAverages:
    """Reads what i-PI writes of quantities, and averages it.

    As for spectra, what the files hold beyond the step of the RESTART is passed over, so that a run that was killed and
    continued has the table of the run without interruption.

    Parameters
    ----------
    names : sequence of str
        Of quantities.
    run : RunInput
    continues : bool
        Whether i-PI is about to go on from the step of the input.

    Raises
    ------
    InputError
        If the input does not write one of them of all beads, or is biased.
    """

    name = "averages"

    def __init__(self, names: Sequence[str], run: RunInput, continues: bool = True):
        self._run, self._names = run, tuple(names)
        self._series = {name: RunSeries(run, name) for name in names}  # refused before anything runs
        self._has_begun = False
        if continues and run.step > 0:  # before i-PI adds to the files
            self._open(run.step)

    def _open(self, last_step: int | None) -> None:
        self._series = {name: RunSeries(self._run, name, last_step=last_step) for name in self._names}
        self._has_begun = True

    def read(self) -> None:
        """Take in what i-PI has written since the last time; call it only after i-PI has opened its files.

        Raises
        ------
        InputError, SeriesError
            If the files do not belong together.
        """
        if not self._has_begun:
            self._open(None)
        for series in self._series.values():
            series.read()

    def file(self, name: str) -> Path:
        """Where the averages of one quantity are kept, without the ending."""
        return self._run.folder / f"{self._run.prefix or 'i-pi'}.average.{name}"

    def outcomes(self) -> dict[str, Outcome]:
        """Averages of what has been read; those of which there are too few samples are left out."""
        return {
            name: outcome_of([series], AverageRequest((self._run.path,), name))
            for name, series in self._series.items()
            if series.samples >= FEWEST
        }

    def draw(self) -> list[Path]:
        """Write the averages of what has been read; the pictures, or tables where there is no picture."""
        found = []
        for name, outcome in self.outcomes().items():
            found.append(write(outcome, self.file(name))[-1])
        return found
