"""All that the files of an output of extras hold, as means over the beads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np

from ..input.elements import InputError
from ..units import from_atomic
from .alignment import AlignedBeads
from .records import BeadFile, columns_of
from .series import series_kinds, series_of_extras


@dataclass(frozen=True)
class BeadMeans:
    """Means over beads, at the steps that all of them have.

    Parameters
    ----------
    names : tuple of str
        Of the extras, as i-PI writes them; none if there is no sample.
    beads : int
    steps : ndarray of int64, shape (samples,)
    rows : ndarray of float64, shape (samples, numbers)
        In atomic units.
    """

    names: tuple[str, ...]
    beads: int
    steps: np.ndarray
    rows: np.ndarray

    def series(self, name: str) -> np.ndarray:
        """One of the series.

        Parameters
        ----------
        name : str
            beadwise's name of it, as ``dipole`` and ``committee_energy``.

        Returns
        -------
        ndarray of float64, shape (samples, …)
            In beadwise's units, of the shape that `beadwise.runs.output.bead_series.BeadSeries.read` gives.
        """
        columns = columns_of(self.names, self.rows.shape[1])
        place = next(columns[extra] for extra in columns if series_of_extras()[extra] == name)
        return from_atomic(name, self.rows[:, place].reshape(len(self.rows), *series_kinds()[name].shape))


def read_bead_means(paths: Sequence[Path]) -> BeadMeans:
    """Read all that the files of an output hold.

    Parameters
    ----------
    paths : sequence of Path
        One file for each bead, or a single one of ``extras_component_raw``, which holds all beads.

    Raises
    ------
    InputError
        If the files hold different extras.
    SeriesError
        If a file cannot be read.
    """
    files = [BeadFile(path) for path in paths]
    aligned = AlignedBeads(len(files))
    for number, file in enumerate(files):
        while len((piece := file.read())[0]):
            aligned.add(number, *piece)
    steps, rows = aligned.take()
    if not len(steps):
        return BeadMeans((), sum(file.beads for file in files), steps, np.zeros((0, 0)))
    for file in files:
        if file.names != files[0].names:
            names, others = ", ".join(file.names), ", ".join(files[0].names)
            raise InputError(f"'{file.path}' holds {names}, '{paths[0]}' holds {others}")
    return BeadMeans(files[0].names, sum(file.beads for file in files), steps, reduce(np.add, rows) / len(rows))
