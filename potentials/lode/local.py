"""The density of neighbours that long-range potentials are multiplied with: Σ_j f_n(r_ij) Y_lm of each species.

``f_n(r) = (r/c)^l (1 − r²/c²)^(3^(n+1))`` up to the cutoff c: smooth at both ends, and narrower for each n.
"""

from __future__ import annotations

import numpy as np

from ...pyx.pairs import pairs_within
from .solid_harmonics import solid_harmonics


class LocalDensity:
    """The density around each atom of one structure.

    Parameters
    ----------
    positions : ndarray of float64, shape (atoms, 3)
    species : ndarray of int, shape (atoms,)
    cell : ndarray of float64, shape (3, 3)
    periodic : sequence of 3 bool
    sizes : tuple of (int, int, int)
        Number of species, number of radial functions, highest angular momentum.
    cutoff : float
        In Å.
    """

    def __init__(self, positions, species, cell, periodic, sizes, cutoff):  # type: ignore[no-untyped-def]
        count, radial, l_max = sizes
        self.atoms, self.sizes = len(positions), (count, radial, (l_max + 1) ** 2)
        found = pairs_within(positions, np.ascontiguousarray(cell, dtype=float), list(map(bool, periodic)), cutoff)
        self.first, self.second, self.vectors = found
        self.species = species
        harmonics, slopes = solid_harmonics(self.vectors, l_max)
        order = np.repeat(np.arange(l_max + 1), 2 * np.arange(l_max + 1) + 1)
        powers = 3.0 ** np.arange(1, radial + 1)
        inside = np.maximum(1 - (self.vectors**2).sum(axis=1) / cutoff**2, 0.0)[:, None]
        radial_values = inside**powers
        steep = -2 / cutoff**2 * powers * inside ** (powers - 1)  # times the vector
        scaled = harmonics / cutoff**order
        self._pairs = radial_values[:, :, None] * scaled[:, None]
        self._slopes = radial_values[:, :, None, None] * (slopes / cutoff ** order[:, None])[:, None]
        self._slopes += (steep[:, :, None] * scaled[:, None])[..., None] * self.vectors[:, None, None]

    def values(self) -> np.ndarray:
        """Shape (atoms, species, radial, harmonics)."""
        out = np.zeros((self.atoms, *self.sizes))
        np.add.at(out, (self.first, self.species[self.second]), self._pairs)
        return out

    def pull_back(self, adjoints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Gradient (atoms, 3) and strain (3, 3) of Σ adjoint · value, adjoints shaped as the values."""
        along = np.einsum("pnm,pnmx->px", adjoints[self.first, self.species[self.second]], self._slopes)
        gradient = np.zeros((self.atoms, 3))
        np.add.at(gradient, self.second, along)
        np.add.at(gradient, self.first, -along)
        return gradient, along.T @ self.vectors

    def jacobian(self) -> tuple[np.ndarray, np.ndarray]:
        """Derivatives of the values by positions, (atoms, atoms, species, radial, harmonics, 3), and by strain."""
        count = self.sizes[0]
        moved = np.zeros((self.atoms, self.atoms, *self.sizes, 3))
        strained = np.zeros((self.atoms, *self.sizes, 3, 3))
        kind = self.species[self.second]
        assert count > int(kind.max(initial=0))
        np.add.at(moved, (self.first, self.second, kind), self._slopes)
        np.add.at(moved, (self.first, self.first, kind), -self._slopes)
        np.add.at(strained, (self.first, kind), self._slopes[..., None] * self.vectors[:, None, None, None])
        return moved, strained
