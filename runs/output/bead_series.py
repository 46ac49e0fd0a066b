"""The series of a ring polymer: means over the extras of all beads, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from pathlib import Path

import numpy as np

from ...errors import SeriesError
from ..units import from_atomic
from .alignment import AlignedBeads
from .records import BeadFile, columns_of
from .series import series_kinds, series_of_extras


class BeadSeries:
    """Means over beads, read as i-PI writes the files.

    Parameters
    ----------
    paths : sequence of Path
        One file for each bead, or a single one of ``extras_component_raw``, which holds all beads.
    last_step : int, optional
        What the files hold already beyond this step does not count.

    Attributes
    ----------
    steps : ndarray of int64, shape (samples,)
        Of the samples that were read last.
    """

    def __init__(self, paths: Sequence[Path], last_step: int | None = None):
        if not paths:
            raise SeriesError("there is no file of extras; one for each bead is needed")
        self.paths = tuple(paths)
        self.stride = 0
        self.steps = np.zeros(0, dtype=np.int64)
        self._files = [BeadFile(path, last_step) for path in paths]
        self._aligned = AlignedBeads(len(self._files))
        self._last: int | None = None

    @property
    def beads(self) -> int:
        """Number of beads; before the first record that of the files."""
        return sum(file.beads for file in self._files)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the extras, as i-PI writes them; empty before the first record."""
        return self._files[0].names

    def read(self) -> dict[str, np.ndarray]:
        """Read the next samples that all beads have, some at a time.

        Returns
        -------
        dict of str to ndarray of float64
            ``dipole`` (samples, 3) in e·Å, ``polarizability`` (samples, 3, 3) in Å³, ``molecular_dipole`` (samples,
            molecules, 3), ``molecular_polarizability`` (samples, molecules, 3, 3) and ``molecular_position`` (samples,
            molecules, 3) in Å, and of the members of a committee ``committee_energy`` (samples, members) in eV,
            ``committee_dipole`` (samples, members, 3) and ``committee_polarizability`` (samples, members, 3, 3), those
            that the files hold; empty if there is nothing new.  Names are those of properties, not i-PI's: what an
            <ffcommittee> calls ``committee_dipole``, the mean, is ``dipole`` here.

        Raises
        ------
        SeriesError
            If the files do not belong together, or steps are missing between their records.
        """
        for bead, file in enumerate(self._files):
            self._aligned.add(bead, *file.read())
        steps, rows = self._aligned.take()
        unlike = self._aligned.unlike
        if unlike is None:
            own = enumerate(zip(self._files, rows, strict=False))
            unlike = next((n for n, (f, r) in own if f.names != self.names or r.shape != rows[0].shape), None)
        if unlike is not None:
            raise SeriesError(
                f"'{self.paths[unlike]}' and '{self.paths[0]}' do not hold the same steps and extras; "
                "the files of all beads of one run are needed"
            )
        self.steps = steps
        if not len(steps):
            return {}
        self._check_steps(steps)
        return self._samples(reduce(np.add, rows) / len(self._files))

    def _check_steps(self, steps: np.ndarray) -> None:
        joined = steps if self._last is None else np.concatenate([[self._last], steps])
        # i-PI writes the initial structure as step 0, then every multiple of the stride
        apart = np.diff(joined)
        if len(apart) and not self.stride:
            self.stride = int(apart[0])
        uneven = np.flatnonzero(apart != self.stride)
        if len(uneven):
            before, after = joined[uneven[0]], joined[uneven[0] + 1]
            raise SeriesError(
                f"'{self.paths[0]}' goes from step {before} to {after}, its other records are {self.stride} steps "
                "apart; a series with a gap has no spectrum"
            )
        self._last = int(joined[-1])

    def _samples(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        samples = {}
        for extra, columns in columns_of(self.names, rows.shape[1]).items():
            name = series_of_extras()[extra]
            samples[name] = from_atomic(name, rows[:, columns].reshape(len(rows), *series_kinds()[name].shape))
        return samples
