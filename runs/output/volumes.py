"""The volume at every step of a run whose cell changes, from the properties that i-PI writes."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from ...errors import SeriesError
from ..input.elements import InputError
from ..input.run_input import System
from ..units import BOHR_PER_ANGSTROM
from .properties import Property, files_with, internal_unit, property_of_heading
from .tail import Tail

WANTED = ("step", "volume")


def volume_file(system: System) -> Path | None:
    """The file with step and volume that is written most often; None if there is none."""
    return next(iter(files_with(system, "volume")), None)


class VolumeSeries:
    """Volumes by their steps, read as i-PI writes them.

    Parameters
    ----------
    path : Path
        File of properties with the columns ``step`` and ``volume``; it need not exist yet.
    last_step : int, optional
        What it holds already beyond this step does not count.
    """

    def __init__(self, path: Path, last_step: int | None = None):
        self.path = path
        self._tail = Tail(path, 0)
        self._columns: dict[str, Property] = {}
        self._width = 0
        self._known: dict[int, float] = {}
        self.read()
        if last_step is not None:
            self._known = {step: volume for step, volume in self._known.items() if step <= last_step}

    def read(self) -> None:
        """Take in the lines that were added.

        Raises
        ------
        InputError
            If a line holds a word that is no number, or the unit of the volume is unknown.
        """
        for line in self._tail.new_lines():
            if line.startswith("#"):
                self._learn(line)
            elif self._width and len(words := line.split()) == self._width and len(self._columns) == len(WANTED):
                self._add(words)

    def take(self, steps: np.ndarray) -> np.ndarray:
        """Volumes of the first of some steps, as far as the file has come; those before are forgotten.

        Parameters
        ----------
        steps : ndarray of int64, shape (samples,)
            Increasing.

        Returns
        -------
        ndarray of float64, shape (≤ samples,)
            In Å³.

        Raises
        ------
        SeriesError
            If one is missing while later ones are there.
        """
        last = max(self._known, default=-1)
        reached = steps[steps <= last].tolist()
        missing = next((step for step in reached if step not in self._known), None)
        if missing is not None:
            raise SeriesError(
                f"'{self.path}' has no volume at step {missing}, which has a dipole; needed are properties of a stride "
                "that divides that of the extras"
            )
        found = np.array([self._known[step] for step in reached])
        if reached:
            self._known = {step: volume for step, volume in self._known.items() if step > reached[-1]}
        return found

    def _learn(self, line: str) -> None:
        one = property_of_heading(line)
        if one is not None:
            self._width = max(self._width, one.columns.stop)
            if one.name in WANTED:
                self._columns.setdefault(one.name, one)

    def _add(self, words: list[str]) -> None:
        step, volume = (self._columns[name] for name in WANTED)
        try:
            numbers = float(words[step.columns.start]), float(words[volume.columns.start])
        except ValueError as error:
            raise InputError(f"'{self.path}' holds a word that is no number: {error}") from error
        if not all(map(math.isfinite, numbers)):
            raise InputError(f"'{self.path}' holds a number that is not finite, {' '.join(words)}")
        unit = internal_unit("volume", volume.unit, self.path) / BOHR_PER_ANGSTROM**3
        self._known[int(numbers[0])] = numbers[1] * unit
