"""What i-PI wrote of single beads, read as the files grow: for distributions, and for what is no linear function."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...errors import SeriesError
from ..units import from_atomic
from .alignment import AlignedBeads
from .records import BeadFile, columns_of
from .series import series_kinds, series_of_extras


class BeadValues:
    """One series of extras of every bead.

    Parameters
    ----------
    paths : sequence of Path
        One file for each bead, or a single one of ``extras_component_raw``, of which only means over beads are read.
    name : str
        beadwise's name of the series.
    last_step : int, optional
        What the files hold already beyond this step does not count.
    """

    def __init__(self, paths: Sequence[Path], name: str, last_step: int | None = None):
        self.paths, self.name = tuple(paths), name
        self._files = [BeadFile(path, last_step) for path in paths]
        self._aligned = AlignedBeads(len(self._files))

    @property
    def beads_of_a_file(self) -> int:
        """Beads whose mean each file gives; 1 for a file of one bead."""
        return self._files[0].beads

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """The next samples that all beads have, some at a time; none if there is nothing new.

        Returns
        -------
        steps : ndarray of int64, shape (samples,)
        values : ndarray of float64, shape (samples, files, *shape of the series)

        Raises
        ------
        SeriesError
            If the files do not belong together, or hold no such series.
        """
        for number, file in enumerate(self._files):
            self._aligned.add(number, *file.read())
        steps, rows = self._aligned.take()
        if not len(steps):
            return steps, np.zeros((0, len(self._files)))
        unlike = next((file for file in self._files if file.names != self._files[0].names), None)
        if unlike is not None or len({own.shape for own in rows}) > 1:
            other = (unlike or self._files[-1]).path
            raise SeriesError(
                f"'{other}' and '{self.paths[0]}' do not hold the same extras; those of one run are needed"
            )
        columns = columns_of(self._files[0].names, rows[0].shape[1])
        place = next((own for extra, own in columns.items() if series_of_extras()[extra] == self.name), None)
        if place is None:
            raise SeriesError(f"'{self.paths[0]}' holds {', '.join(columns)}, and no {self.name}")
        values = np.stack([own[:, place] for own in rows], axis=1)
        shape = series_kinds()[self.name].shape
        return steps, from_atomic(self.name, values.reshape(*values.shape[:2], *shape))
