"""From the dipoles of a trajectory, as they come in, to sums over blocks of it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...errors import SeriesError
from ..correlation import Correlation
from ..units import ANGSTROM, ELEMENTARY_CHARGE

MOST_BLOCKS = 4096  # of which two neighbours are joined when there are so many
MOST_KEPT = 8192  # polarizations that a distribution is made of
POLARIZATION = ELEMENTARY_CHARGE / ANGSTROM**2  # C/m² of an e/Å²

# columns of the sums, one row for each block
COUNT, VOLUME, DIPOLE, DENSITY, PRODUCTS, SUSCEPTIBILITY, MAGNITUDE, SQUARE, FOURTH = (
    slice(0, 1),
    slice(1, 2),
    slice(2, 5),  # M
    slice(5, 8),  # M/V
    slice(8, 17),  # M_a M_b/V
    slice(17, 26),  # 4π α_ab/V
    slice(26, 27),  # |M|
    slice(27, 28),  # M²
    slice(28, 29),  # M⁴
)
COLUMNS = 29


class Fluctuations:
    """Sums of what the dielectric constant is made of, over equal blocks of one trajectory.

    Memory is bounded: neighbouring blocks are joined when there are many.  What comes out does not depend on the
    pieces in which the samples come in, to the last bit.

    Parameters
    ----------
    timestep : float
        Between samples, in fs.
    lags : int
        Highest lag of the correlation function of the dipole, in samples.
    volume : float or None
        Of the cell, in Å³; None if it comes with the samples.
    """

    def __init__(self, timestep: float, lags: int, volume: float | None = None):
        self.timestep = timestep
        self.correlation = Correlation(lags, remove_mean=True)
        self.has_polarizability: bool | None = None
        self._volume = volume
        self._length = 1  # samples of a block
        self._blocks = np.zeros((0, COLUMNS))
        self._pending = np.zeros((0, COLUMNS))
        self._kept = np.zeros((0, 3))
        self._apart = 1  # samples between those that are kept
        self._count = 0

    @property
    def samples(self) -> int:
        """Samples received."""
        return self._count

    @property
    def block_length(self) -> int:
        """Samples of one of `blocks`."""
        return self._length

    @property
    def blocks(self) -> np.ndarray:
        """Sums over whole blocks, shape (blocks, columns); what fills no block yet is left out."""
        return self._blocks

    @property
    def polarizations(self) -> np.ndarray:
        """Polarizations of samples at equal distances, at most 8192, in C/m², shape (samples, 3)."""
        return self._kept

    def add(self, samples: Mapping[str, np.ndarray]) -> None:
        """Add the next samples.

        Parameters
        ----------
        samples : mapping of str to ndarray of float64
            ``dipole`` (samples, 3) in e·Å, of path integrals the mean over the beads; where it is known
            ``polarizability`` (samples, 3, 3) in Å³, the same mean; and ``volume`` (samples,) in Å³ where it changes.

        Raises
        ------
        SeriesError
            If the volume is missing or not positive, or only some of the samples have a polarizability.
        """
        dipole = np.asarray(samples["dipole"], dtype=np.float64)
        if not len(dipole):
            return
        rows = self._rows(dipole, samples)
        self.correlation.compute(dipole, reset=False)
        self._keep(rows[:, DENSITY] * POLARIZATION)
        self._count += len(rows)
        self._pending = np.concatenate([self._pending, rows])
        while whole := min(len(self._pending) // self._length, MOST_BLOCKS - len(self._blocks)):
            taken, self._pending = np.split(self._pending, [whole * self._length])
            sums = taken.reshape(whole, self._length, COLUMNS).sum(axis=1)
            self._blocks = np.concatenate([self._blocks, sums])
            if len(self._blocks) == MOST_BLOCKS:
                self._blocks = self._blocks[0::2] + self._blocks[1::2]
                self._length *= 2

    def _rows(self, dipole: np.ndarray, samples: Mapping[str, np.ndarray]) -> np.ndarray:
        """What is summed, of each sample."""
        volume = self._volumes(len(dipole), samples.get("volume"))[:, None]
        polarizability = samples.get("polarizability")
        has_polarizability = polarizability is not None
        if self.has_polarizability not in (None, has_polarizability):
            raise SeriesError("only some samples have a polarizability; all of them, or none, must have it")
        self.has_polarizability = has_polarizability
        rows = np.zeros((len(dipole), COLUMNS))
        square = np.square(dipole).sum(axis=1, keepdims=True)
        rows[:, COUNT], rows[:, VOLUME] = 1.0, volume
        rows[:, DIPOLE], rows[:, DENSITY] = dipole, dipole / volume
        rows[:, PRODUCTS] = (dipole[:, :, None] * dipole[:, None, :]).reshape(-1, 9) / volume
        if polarizability is not None:
            rows[:, SUSCEPTIBILITY] = 4 * np.pi * np.reshape(polarizability, (-1, 9)) / volume
        rows[:, MAGNITUDE], rows[:, SQUARE], rows[:, FOURTH] = np.sqrt(square), square, np.square(square)
        return rows

    def _volumes(self, count: int, given: np.ndarray | None) -> np.ndarray:
        if given is None and self._volume is None:
            raise SeriesError("the volume changes, and the volume of each sample is not known; it is needed")
        volumes = np.full(count, self._volume) if given is None else np.asarray(given, dtype=np.float64)
        if volumes.shape != (count,):
            raise SeriesError(f"there are {len(volumes)} volumes of {count} samples; as many of both are needed")
        if not (volumes > 0).all():
            raise SeriesError(f"a volume is {volumes[~(volumes > 0)][0]:g} Å³; it must be positive")
        return volumes

    def _keep(self, polarizations: np.ndarray) -> None:
        """Keep some for the distribution: every n-th, n being doubled when there are too many."""
        numbers = self._count + np.arange(len(polarizations))
        self._kept = np.concatenate([self._kept, polarizations[numbers % self._apart == 0]])
        while len(self._kept) > MOST_KEPT:
            self._kept = self._kept[::2]
            self._apart *= 2
