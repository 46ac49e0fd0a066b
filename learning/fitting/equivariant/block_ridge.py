"""Ridge regression on features in blocks, each with a strength of its own that leaving out groups of rows tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg

FIRST = 10.0 ** np.arange(-1.0, 4.1, 0.5)  # strengths of all blocks alike that are tried first
FACTORS = (4.0, 0.25, 0.0)  # by which those of one block are changed; 0 leaves it out
LARGEST = 1e6  # strength: noise of a thousandth of what a block says, below which rounding counts
LEAST_GAIN = 0.05  # of the error, relative: for less a strength is not changed, as few frames tell no more
ROUNDS = 4  # over all blocks, at most
CONSTANTS = 1e4  # prior variance of constants over that of all that blocks say: as good as none


@dataclass(frozen=True)
class Grams:
    """Products of rows with each other, block by block: all that a choice of strengths needs.

    Parameters
    ----------
    blocks : mapping of str to ndarray of float64, shape (rows, rows)
        ``X Xᵀ`` of each block, over its mean diagonal.
    constants : ndarray of float64, shape (rows, rows)
        The same of columns that are not regularised; zeros without any.
    targets : ndarray of float64, shape (rows, targets)
        In units of their root mean square.
    groups : ndarray of int, shape (rows,)
        Rows of one group are left out together.
    """

    blocks: Mapping[str, np.ndarray]
    constants: np.ndarray
    targets: np.ndarray
    groups: np.ndarray

    def covariance(self, strengths: Mapping[str, float]) -> np.ndarray:
        """Covariance of the rows' labels with noise of variance 1: ``1 + Σ_b strength_b X_b X_bᵀ + constants``."""
        found = np.eye(len(self.groups))
        for name, strength in strengths.items():
            if strength:
                found += strength * self.blocks[name]
        return found + self.strength_of_constants(strengths) * self.constants

    @staticmethod
    def strength_of_constants(strengths: Mapping[str, float]) -> float:
        """Prior variance of what constants say, over that of the noise."""
        return CONSTANTS * (1 + sum(strengths.values()))

    def left_out(self, strengths: Mapping[str, float]) -> np.ndarray:
        """Errors of each group's rows, from a fit to all others, shape (rows, targets).

        With G the inverse of the covariance K and a = K⁻¹ y these are G_gg⁻¹ a_g for the rows of a group g, without
        any further fit (Rasmussen, Williams, Gaussian Processes for Machine Learning, 2006, eq. 5.12, for one row).
        """
        inverse = linalg.inv(self.covariance(strengths), check_finite=False)
        solution, found = inverse @ self.targets, np.empty_like(self.targets)
        for group in np.unique(self.groups):
            own = np.nonzero(self.groups == group)[0]
            found[own] = np.linalg.solve(inverse[np.ix_(own, own)], solution[own])
        return found

    def error(self, strengths: Mapping[str, float]) -> float:
        """Root mean square of `left_out`."""
        return float(np.sqrt(np.mean(self.left_out(strengths) ** 2)))

    def choose(self) -> tuple[dict[str, float], float]:
        """Strengths with a low error of rows that are left out, and that error.

        All blocks begin alike; then each, and all together, are made stronger and weaker where the error falls.
        """
        error, first = min((self.error(dict.fromkeys(self.blocks, own)), own) for own in FIRST.tolist())
        strengths = dict.fromkeys(self.blocks, first)
        for _ in range(ROUNDS):
            before = error
            for changed in (*((name,) for name in self.blocks), tuple(self.blocks)):
                for tried in variations(strengths, changed, first):
                    found = self.error(tried)
                    if found < error * (1 - LEAST_GAIN):
                        strengths, error = tried, found
            if error > before * (1 - LEAST_GAIN):
                break
        return strengths, error


def variations(strengths: Mapping[str, float], changed: Sequence[str], first: float) -> list[dict[str, float]]:
    """Strengths with those of some blocks changed by `FACTORS`; a block that was left out comes back with the first."""
    own = {name: strengths[name] for name in changed}
    found = [{**strengths, **{name: value * factor for name, value in own.items()}} for factor in FACTORS]
    if not any(own.values()):
        found = [{**strengths, **dict.fromkeys(changed, first)}]
    return [one for one in found if 0 < max(one.values()) <= LARGEST]
