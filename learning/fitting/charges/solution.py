"""Ridge regression in the space of rows, which are fewer than features; and what leaving frames out says of it.

The weights are those of `beadwise.learning.fitting.least_squares.NormalEquations`: with rows X, in which variances of
the weights are already, and noise λ, ``w = Xᵀ (X Xᵀ + λ t)⁻¹ y``, t the mean of the diagonal of X Xᵀ without
offsets, which are hardly penalised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from .problem import AtomFeatures, Rows

FOLDS = 8


@dataclass(frozen=True)
class DualEquations:
    """Rows of all frames against each other.

    Parameters
    ----------
    matrix : ndarray of float64, shape (rows, rows)
    targets : ndarray of float64, shape (rows,)
    frame : ndarray of int, shape (rows,)
        Which frame each row is of.
    scale : float
        t, see above.
    """

    matrix: np.ndarray
    targets: np.ndarray
    frame: np.ndarray
    scale: float

    @classmethod
    def of(
        cls, products: np.ndarray, penalised: np.ndarray, features: AtomFeatures, rows: Sequence[Rows]
    ) -> DualEquations:
        """From products of the features of all atoms, (atoms, atoms), and those features that are no offsets."""
        parts = [features.of(place) for place in range(len(rows))]
        left = np.concatenate([own.matrix @ products[part] for own, part in zip(rows, parts, strict=True)])
        matrix = np.concatenate([left[:, part] @ own.matrix.T for own, part in zip(rows, parts, strict=True)], axis=1)
        frame = np.repeat(np.arange(len(rows)), [len(own.targets) for own in rows])
        of_rows = [own.matrix @ penalised[part] for own, part in zip(rows, parts, strict=True)]
        diagonal = [np.einsum("rf,rf->r", own, own) for own in of_rows]
        scale = float(np.concatenate(diagonal).mean())
        return cls(matrix, np.concatenate([own.targets for own in rows]), frame, scale)

    def solve(self, ridge: float) -> tuple[np.ndarray, float]:
        """Coefficients of the rows, and the root mean square of residuals of frames that are left out.

        Residuals of the rows of a fold that the others predict are ``(B_ff)⁻¹ (B y)_f``, B the inverse of the whole
        (Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, ch. 5.4.2).
        """
        regularised = self.matrix + ridge * self.scale * np.eye(len(self.matrix))
        inverse = cho_solve(cho_factor(regularised, lower=True), np.eye(len(regularised)))
        found = inverse @ self.targets
        left_out = []
        for fold in range(FOLDS):
            own = self.frame % FOLDS == fold
            if own.any() and not own.all():
                left_out.append(np.linalg.solve(inverse[np.ix_(own, own)], found[own]))
        errors = np.concatenate(left_out) if left_out else self.targets
        return found, float(np.sqrt(np.mean(errors**2)))
