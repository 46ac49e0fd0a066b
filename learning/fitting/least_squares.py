"""Regularised linear least squares in bounded memory: rows come in blocks, only their normal equations are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg
from scipy.linalg.blas import dsyrk

SMALLEST_PENALTY = 1e-13  # of a scaled column, so that collinear columns share a weight instead of failing
WAITING_ROWS = 512  # that are added together: one pass over a large matrix for each frame costs far more than its rows
WAITING_BYTES = 2**26  # of rows that wait, unless fewer than `FEWEST_ROWS` would
FEWEST_ROWS = 32
MIRRORED = 1024  # columns at a time


@dataclass(frozen=True)
class Told:
    """What is known of the last weights whatever the data say: ``rows @ weights = targets``, in units of their errors.

    Parameters
    ----------
    rows : ndarray of float64, shape (rows, weights)
        Of as many weights as it has columns, which are the last ones.
    targets : ndarray of float64, shape (rows,)
    """

    rows: np.ndarray
    targets: np.ndarray

    def of(self, features: int) -> slice:
        """Which of all weights they are about."""
        return slice(features - self.rows.shape[1], features)

    def residuals(self, weights: np.ndarray) -> np.ndarray:
        """What weights (features,) make of them, less the targets."""
        return self.rows @ weights[self.of(len(weights))] - self.targets


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
        self.right = np.zeros((features, targets))
        self.rows = 0.0
        self._matrix = np.zeros((features, features), order="F")
        self._is_whole = True  # whether the upper triangle is that of the lower one
        self._waiting: list[np.ndarray] = []
        self._waiting_rows = 0
        self._most = min(WAITING_ROWS, max(FEWEST_ROWS, WAITING_BYTES // (8 * max(features, 1))))

    @property
    def targets(self) -> int:
        """Number of columns of y."""
        return self.right.shape[1]

    @property
    def matrix(self) -> np.ndarray:
        """XᵀX of all rows, shape (features, features)."""
        self._add_waiting()
        if not self._is_whole:
            for first in range(0, len(self._matrix), MIRRORED):
                own = slice(first, first + MIRRORED)
                block = self._matrix[own, own]
                block[:] = np.tril(block) + np.tril(block, -1).T
                self._matrix[own, first + MIRRORED :] = self._matrix[first + MIRRORED :, own].T
            self._is_whole = True
        return self._matrix

    def add(self, rows: np.ndarray, targets: np.ndarray, weight: float = 1.0) -> None:
        """Add rows, already multiplied by the square roots of their weights.

        Parameters
        ----------
        rows : ndarray of float64, shape (rows, features)
            Kept until enough of them wait: not to be changed.
        targets : ndarray of float64, shape (rows,) or (rows, targets)
        weight : float
            What each of them counts as a row: 2 is that row twice.
        """
        self.right += rows.T @ targets.reshape(len(targets), -1)
        self.rows += weight * len(targets)
        self._waiting.append(rows)
        self._waiting_rows += len(rows)
        if self._waiting_rows >= self._most:
            self._add_waiting()

    def include(self, other: NormalEquations) -> None:
        """Add all rows of other equations."""
        self._add_waiting()
        self._matrix += other.matrix
        self._is_whole = False
        self.right += other.right
        self.rows += other.rows

    def state(self) -> dict[str, np.ndarray]:
        """All that was added, as arrays; rows that wait are not added, so that `restore` changes no bit of the sum."""
        waiting = np.concatenate(self._waiting) if self._waiting else np.empty((0, len(self.right)))
        return {
            "matrix": self._matrix,
            "right": self.right,
            "rows": np.array(self.rows),
            "waiting": waiting,
            "is_whole": np.array(self._is_whole),
        }

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on where `state` was taken.

        Raises
        ------
        ValueError
            If the state is that of equations of another size.
        """
        if state["right"].shape != self.right.shape or state["matrix"].shape != self._matrix.shape:
            raise ValueError(f"equations of {state['right'].shape} are not those of {self.right.shape}")
        self._matrix, self.right = np.asfortranarray(state["matrix"]), np.array(state["right"])
        self.rows, self._is_whole = float(state["rows"]), bool(state["is_whole"])
        self._waiting_rows = len(state["waiting"])
        self._waiting = [state["waiting"]] if self._waiting_rows else []

    def _add_waiting(self) -> None:
        """Add the rows that wait to the lower triangle, in place."""
        if self._waiting:
            rows = np.concatenate(self._waiting) if len(self._waiting) > 1 else self._waiting[0]
            self._waiting, self._waiting_rows, self._is_whole = [], 0, False
            self._matrix = dsyrk(1.0, rows.T, beta=1.0, c=self._matrix, lower=1, overwrite_c=1)

    def solve(self, ridge: float, prior: np.ndarray | None = None, told: Told | None = None) -> np.ndarray:
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
        told : Told, optional
            Further rows, which say nothing of how large a feature is: neither prior nor t depend on them.

        Returns
        -------
        ndarray of float64, shape (features,), or (targets, features) where there are several
        """
        scaled, scale = self._regularised(ridge, prior, told)
        right = self.right * scale[:, None]
        if told is not None:
            own = told.of(len(scale))
            right[own, 0] += (told.rows * scale[own]).T @ told.targets
        weights = linalg.solve(scaled, right, assume_a="pos", overwrite_a=True) * scale[:, None]
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

    def _regularised(
        self, ridge: float, prior: np.ndarray | None, told: Told | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """XᵀX with its regularisation, scaled to a unit diagonal, and the scale of every column."""
        squares = np.diag(self.matrix)
        used = squares > 0
        if prior is None:
            prior = self.rows / np.where(used, squares, 1.0)
        finite = np.isfinite(prior)
        total = float(prior[finite] @ self.remaining_squares(~finite)[finite]) / self.rows
        whole = squares
        if told is not None:
            whole = squares.copy()
            whole[told.of(len(whole))] += (told.rows**2).sum(axis=0)
        diagonal = whole + np.maximum(ridge * total / prior, SMALLEST_PENALTY * whole)
        scale = 1 / np.sqrt(np.where(whole > 0, diagonal, 1.0))
        scaled = self.matrix * scale[:, None]
        scaled *= scale
        if told is not None:
            own = told.of(len(scale))
            rows = told.rows * scale[own]
            scaled[own, own] += rows.T @ rows
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
        whole.include(part)
    return whole
