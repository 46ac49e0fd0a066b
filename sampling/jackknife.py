"""Sums over samples, of all and without one part of them after another, and the errors of what is made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..jackknife import jackknife_error

FEWEST_UNITS = 8  # fewer independent parts say little about an error


@dataclass(frozen=True)
class LeftOut:
    """Histograms that lack one part of the samples each.

    Parameters
    ----------
    histograms : ndarray of float64, shape (units, bins)
    shares : ndarray of float64, shape (units,)
        Part of all samples that each unit is.
    """

    histograms: np.ndarray
    shares: np.ndarray


class Estimate(NamedTuple):
    """Values, their standard errors, and the factor by which errors were made larger, as blocks remember each other."""

    values: np.ndarray
    standard_errors: np.ndarray
    growth: float


@dataclass(frozen=True)
class Histograms:
    """A weighted histogram and what is needed for its errors.

    Parameters
    ----------
    whole : ndarray of float64, shape (bins,)
        Of all samples, up to a factor.
    without : LeftOut
    without_longer : LeftOut or None
        The same for half as many units, each twice as long; None where units are runs, which are independent.
    log_weights : ndarray of float64, shape (samples,)
        Of all samples.
    """

    whole: np.ndarray
    without: LeftOut
    without_longer: LeftOut | None
    log_weights: np.ndarray

    @property
    def units(self) -> int:
        """Number of parts that were left out one after another."""
        return len(self.without.histograms)

    @property
    def unit(self) -> str:
        """``blocks`` or ``runs``."""
        return "runs" if self.without_longer is None else "blocks"

    def jackknife(self, function: Callable[[np.ndarray], np.ndarray]) -> Estimate:
        """A function of the histogram, and its standard error.

        The delete-one jackknife. Blocks that are shorter than the memory of the run depend on each other, and make
        errors look small; errors then grow as blocks are joined (Flyvbjerg, Petersen, J. Chem. Phys. 91, 461 (1989)).
        So the same is done with half as many blocks. Where errors are larger then, by the median over all values, all
        are multiplied by that one factor: one factor, because the errors of single values scatter from one number of
        blocks to another by chance, and the larger of two for every value would be too large. What is left of that
        bias makes errors of samples without memory too large by some per cent. A factor far from one says that the
        run is too short for its memory, and that the errors are too small all the same.

        Parameters
        ----------
        function : callable
            Takes histograms (…, bins), up to a factor, and gives (…, values).

        Returns
        -------
        Estimate
            Errors are not a number where one unit has all the samples that a value depends on.
        """
        factor = 1.0
        with np.errstate(divide="ignore", invalid="ignore"):
            values = function(self.whole)
            errors = jackknife_error(values, function(self.without.histograms), self.without.shares)
            if self.without_longer is not None:
                longer = jackknife_error(values, function(self.without_longer.histograms), self.without_longer.shares)
                growth = longer / errors
                growth = growth[np.isfinite(growth)]
                factor = max(1.0, float(np.median(growth))) if growth.size else 1.0
        return Estimate(values, factor * errors, factor)


def error_without_blocks(function: Callable[[np.ndarray], float], block_of: np.ndarray) -> float:
    """Standard error of a number from leaving out blocks of the samples, one after another.

    The delete-one jackknife, (g − 1)/g Σ_j (θ_(j) − θ̄)² for g blocks (B. Efron, C. Stein, Ann. Stat. 9, 586 (1981)).

    Parameters
    ----------
    function : callable
        Takes which samples are kept, bool (samples,), and gives the number.
    block_of : ndarray of int, shape (samples,)
        Number of the block that each sample is in, of `blocks_of`.
    """
    parts = np.array([function(block_of != block) for block in range(int(block_of.max()) + 1)])
    return float(np.sqrt((len(parts) - 1) / len(parts) * np.square(parts - parts.mean()).sum()))


def blocks_of(samples: int, blocks: int) -> np.ndarray:
    """Number of the contiguous block that each sample is in, shape (samples,)."""
    return np.arange(samples) * blocks // samples
