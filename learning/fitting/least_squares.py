"""Regularised linear least squares in bounded memory: rows come in blocks, only their normal equations are kept."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import linalg

SMALLEST_PENALTY = 1e-13  # of a scaled column, so that collinear columns share a weight instead of failing


class NormalEquations:
    """XᵀX and Xᵀy of all rows seen so far.

    Parameters
    ----------
    features : int
        Number of columns of X.
    targets : int, optional
        Number of columns of y, which share X.
    """

    def __init__(self, features: int, targets: int = 1):
        self.matrix = np.zeros((features, features))
        self.right = np.zeros((features, targets))
        self.rows = 0

    @property
    def targets(self) -> int:
        """Number of columns of y."""
        return self.right.shape[1]

    def add(self, rows: np.ndarray, targets: np.ndarray) -> None:
        """Add rows, already multiplied by the square roots of their weights.

        Parameters
        ----------
        rows : ndarray of float64, shape (rows, features)
        targets : ndarray of float64, shape (rows,) or (rows, targets)
        """
        self.matrix += rows.T @ rows
        self.right += rows.T @ targets.reshape(len(targets), -1)
        self.rows += len(targets)

    def solve(self, ridge: float, prior: np.ndarray | None = None) -> np.ndarray:
        """Weights that minimise ‖Xw − y‖² + ridge · t · Σ_f w_f²/prior_f, t the mean over rows of Σ_f prior_f X_f².

        For t, what the features with infinite prior (an offset) explain of the others is taken away first.

        This is the mean of a Gaussian process whose weights have the variances ``prior`` (Rasmussen and Williams,
        Gaussian Processes for Machine Learning, 2006, ch. 2).  Columns are scaled before the factorisation, so that
        its accuracy does not depend on their units.

        Parameters
        ----------
        ridge : float
            Variance of the noise over that of the prior's predictions; larger than 0.
        prior : ndarray of float64, shape (features,), optional
            Expected variances of the weights; infinite for weights that are not penalised.  By default the inverse
            of each feature's mean square.

        Returns
        -------
        ndarray of float64, shape (features,), or (targets, features) where there are several
        """
        scaled, scale = self._regularised(ridge, prior)
        weights = linalg.solve(scaled, self.right * scale[:, None], assume_a="pos") * scale[:, None]
        return weights[:, 0] if self.targets == 1 else weights.T

    def deviations(
        self, ridge: float, prior: np.ndarray | None, count: int, generator: np.random.Generator
    ) -> np.ndarray:
        """Weights drawn from the Gaussian process about those of `solve`, in units of the rows' expected errors.

        Their covariance is the inverse of the regularised XᵀX; weights of features that never occurred stay zero, as
        nothing tells their scale.

        Parameters
        ----------
        ridge, prior
            As for `solve`.
        count : int
            How many to draw.
        generator : numpy.random.Generator

        Returns
        -------
        ndarray of float64, shape (count, features), or (count, targets, features) where there are several
        """
        scaled, scale = self._regularised(ridge, prior)
        factor = linalg.cholesky(scaled, lower=True, overwrite_a=True)
        drawn = generator.standard_normal((len(scale), count * self.targets))
        weights = linalg.solve_triangular(factor, drawn, lower=True, trans="T").T * scale
        weights *= np.diag(self.matrix) > 0
        return weights if self.targets == 1 else weights.reshape(count, self.targets, len(scale))

    def whitened(self, rows: np.ndarray, ridge: float, prior: np.ndarray | None = None) -> np.ndarray:
        """Rows times a root of the covariance of `deviations`: their squares add up to the variance of a prediction."""
        scaled, scale = self._regularised(ridge, prior)
        factor = linalg.cholesky(scaled, lower=True, overwrite_a=True)
        known = scale * (np.diag(self.matrix) > 0)
        return linalg.solve_triangular(factor, (rows * known).T, lower=True).T

    def _regularised(self, ridge: float, prior: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """XᵀX with its regularisation, scaled to a unit diagonal, and the scale of every column."""
        squares = np.diag(self.matrix)
        used = squares > 0
        if prior is None:
            prior = self.rows / np.where(used, squares, 1.0)
        finite = np.isfinite(prior)
        total = float(prior[finite] @ self.remaining_squares(~finite)[finite]) / self.rows
        diagonal = squares + np.maximum(ridge * total / prior, SMALLEST_PENALTY * squares)
        scale = 1 / np.sqrt(np.where(used, diagonal, 1.0))
        scaled = self.matrix * scale[:, None] * scale
        scaled[np.diag_indices_from(scaled)] = 1.0
        return scaled, scale

    def remaining_squares(self, explaining: np.ndarray) -> np.ndarray:
        """Sum of squares of each feature after a least-squares fit by the ``explaining`` ones, shape (features,)."""
        squares = np.diag(self.matrix).copy()
        if explaining.any():
            inner = np.linalg.pinv(self.matrix[np.ix_(explaining, explaining)], hermitian=True)
            across = self.matrix[explaining]
            squares -= np.einsum("af,ab,bf->f", across, inner, across)
        return np.maximum(squares, 0.0)


def sum_of(parts: Sequence[NormalEquations]) -> NormalEquations:
    """The equations of the rows of all parts."""
    whole = NormalEquations(*parts[0].right.shape)
    for part in parts:
        whole.matrix += part.matrix
        whole.right += part.right
        whole.rows += part.rows
    return whole
