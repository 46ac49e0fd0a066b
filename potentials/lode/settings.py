"""What an expansion of long-range potentials is made with, and the sizes of its features; without SciPy."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

EXPONENTS = (1, 3, 6)
TOLERANCE = 1e-8  # of waves, against the longest
MOST_SMEARINGS = 4  # of the radius: the quadratures of isolated atoms are for what is smooth in it


@dataclass(frozen=True)
class Expansion:
    """Sizes of an expansion; its columns are (exponent, n, lm).

    Parameters
    ----------
    exponents : tuple of int
        p of 1/r^p, out of `EXPONENTS`.
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


@dataclass(frozen=True)
class LongRangeShape:
    """Sizes of the features.

    Parameters
    ----------
    expansion : Expansion
    species : int
    cutoff : float
        Of the local density, in Å.
    radial : int
        Number of radial functions of the local density.
    """

    expansion: Expansion
    species: int
    cutoff: float
    radial: int

    @property
    def potentials(self) -> int:
        """Channels of the potentials."""
        return len(self.expansion.exponents) * self.species * self.expansion.radial

    @property
    def neighbours(self) -> int:
        """Channels of the local density."""
        return self.species * self.radial

    def pairs(self, order: int) -> list[tuple[int, int]]:
        """(l1, l2) of density and potential that couple to a true tensor of angular momentum ``order``."""
        every = range(self.expansion.l_max + 1)
        return [(a, b) for a in every for b in every if abs(a - b) <= order <= a + b and (a + b + order) % 2 == 0]

    def scalar_blocks(self) -> np.ndarray:
        """For each feature of λ = 0 a number that those of the same kind, l and exponent share."""
        of_potential = np.repeat(np.arange(len(self.expansion.exponents)), self.species * self.expansion.radial)
        count = len(self.expansion.exponents)
        products = [(1 + place) * count + of_potential for place, _ in enumerate(self.pairs(0))]
        return np.concatenate([of_potential, *(np.tile(own, self.neighbours) for own in products)])

    def features(self, order: int) -> int:
        """Number of features of one atom and one M."""
        return self.potentials * (1 + len(self.pairs(order)) * self.neighbours)
