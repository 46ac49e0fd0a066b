"""What an expansion of long-range potentials is made with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

TOLERANCE = 1e-8  # of waves, against the longest
MOST_SMEARINGS = 4  # of the radius: the quadratures of isolated atoms are for what is smooth in it


@dataclass(frozen=True)
class Expansion:
    """Sizes of an expansion; its columns are (exponent, n, lm).

    Parameters
    ----------
    exponents : tuple of int
        p of 1/r^p, out of `power_law.EXPONENTS`.
    smearing : float
        σ in Å: nearer than some σ the potential is smooth.
    radius : float
        Of the sphere around an atom, in which the potential is looked at, in Å.
    radial : int
        Number of radial functions.
    l_max : int
        Highest angular momentum.
    """

    exponents: tuple[int, ...] = (1,)
    smearing: float = 1.5
    radius: float = 3.0
    radial: int = 1
    l_max: int = 2

    @property
    def harmonics(self) -> int:
        """Number of (l, m)."""
        return (self.l_max + 1) ** 2

    @property
    def columns(self) -> int:
        """Numbers around one atom for the potential of one species."""
        return len(self.exponents) * self.radial * self.harmonics

    @cached_property
    def angular(self) -> np.ndarray:
        """L of each column."""
        own = np.repeat(np.arange(self.l_max + 1), 2 * np.arange(self.l_max + 1) + 1)
        return np.tile(own, len(self.exponents) * self.radial)

    @property
    def longest_wave(self) -> float:
        """K in 1/Å beyond which exp(−σ²k²/2) is below `TOLERANCE`."""
        return float(np.sqrt(-2 * np.log(TOLERANCE)) / self.smearing)
