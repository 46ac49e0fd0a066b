"""What a pair of atoms says by itself: radial functions of its distance times harmonics of its direction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...pyx.coupling import real_harmonics
from ..radial import RadialForm
from .coupled import Part


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
        distance, radial, _ = self.radial_of(vectors)
        harmonics = real_harmonics(vectors / distance[:, None], self.l_max)
        return {
            (l, 1): harmonics[:, l * l : (l + 1) ** 2, None] * radial[:, None]
            for l in range(self.l_max + 1)  # noqa: E741
        }

    def radial_of(self, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Distances, radial functions and their slopes."""
        distance = np.linalg.norm(vectors, axis=1)
        within = np.minimum(distance, self.form.cutoff)  # where functions and slopes are zero
        return distance, *self.form.primitives(within, self.radial)
