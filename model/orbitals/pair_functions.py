"""What a pair of atoms says by itself: radial functions of its distance times harmonics of its direction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from ...pyx.coupling import coupling, real_harmonics
from ..radial import RadialForm
from .coupled import Part

AXES = (2, 0, 1)  # where x, y and z stand among the components of λ = 1, which are y, z, x


@dataclass(frozen=True)
class PairFunctions:
    """R_n(r) Y_lm(r/r) of vectors between atoms, zero beyond the cutoff.

    Parameters
    ----------
    form : RadialForm
    radial : int
        Radial functions, the first primitives of the form.
    l_max : int
        Highest angular momentum.
    """

    form: RadialForm
    radial: int
    l_max: int

    def parts(self, vectors: np.ndarray) -> dict[Part, np.ndarray]:
        """The functions by (l, 1), each of shape (rows, 2 l + 1, radial), of vectors (rows, 3) in Å."""
        distance, radial, _ = self._radial(vectors)
        harmonics = real_harmonics(vectors / distance[:, None], self.l_max)
        return {
            (l, 1): harmonics[:, l * l : (l + 1) ** 2, None] * radial[:, None]
            for l in range(self.l_max + 1)  # noqa: E741
        }

    def pull_back(self, vectors: np.ndarray, adjoints: Mapping[Part, np.ndarray]) -> np.ndarray:
        """Adjoint of the vectors, shape (rows, 3), from those of `parts`.

        Of solid harmonics S = r^l Y, ∂_a S_lm = r^(l−1) c_l Σ C(m' a m) Y_{l−1,m'}, the gradient formula (A. R.
        Edmonds, Angular Momentum in Quantum Mechanics, 1957, section 5.7), with c_l from r·∇S = l S.
        """
        distance, radial, slope = self._radial(vectors)
        unit = vectors / distance[:, None]
        harmonics = real_harmonics(unit, self.l_max)
        found = np.zeros_like(vectors)
        for (l, _), adjoint in adjoints.items():  # noqa: E741
            own = harmonics[:, l * l : (l + 1) ** 2]
            along = np.einsum("rmn,rm,rn->r", adjoint, own, slope)
            found += along[:, None] * unit
            if l == 0:
                continue
            of_harmonics = np.einsum("rmn,rn->rm", adjoint, radial) / distance[:, None]
            below = harmonics[:, (l - 1) ** 2 : l * l]
            of_solid = np.einsum("rM,rm,maM->ra", of_harmonics, below, gradient_coupling(l))[:, AXES]
            found += of_solid - l * np.einsum("rm,rm->r", of_harmonics, own)[:, None] * unit
        return found

    def _radial(self, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Distances, radial functions and their slopes."""
        distance = np.linalg.norm(vectors, axis=1)
        within = np.minimum(distance, self.form.cutoff)  # where functions and slopes are zero
        return distance, *self.form.primitives(within, self.radial)


@cache
def gradient_coupling(l: int) -> np.ndarray:  # noqa: E741
    """c_l C(m' a M) of `PairFunctions.pull_back`, shape (2 l − 1, 3, 2 l + 1), a in the order y, z, x."""
    coefficients = coupling(l - 1, 1, l)
    direction = np.array([[0.48, 0.6, 0.64]])
    harmonics = real_harmonics(direction, l)[0]
    below, own = harmonics[(l - 1) ** 2 : l * l], harmonics[l * l :]
    sums = np.einsum("m,a,maM->M", below, direction[0][[1, 2, 0]], coefficients)
    return coefficients * (l * (own @ sums) / (sums @ sums))
