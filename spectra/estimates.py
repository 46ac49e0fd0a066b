"""What correlation functions of one or several trajectories amount to, and how well they are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .correlation import Correlation, LaggedSums
from .errors import SeriesError

FEWEST_UNITS = 8  # fewer independent parts say little about an error


@dataclass(frozen=True)
class Estimate:
    """A correlation function from independent parts of the data: trajectories, or blocks of them.

    Parameters
    ----------
    products : ndarray of float64, shape (units, lags + 1)
        Sums over the pairs of samples of each unit, the mean removed.
    pairs : ndarray of float64, shape (units, lags + 1)
        Number of pairs.
    unit : str
        ``trajectories`` or ``blocks``.
    block_length : float
        Mean number of samples of a unit.
    """

    products: np.ndarray
    pairs: np.ndarray
    unit: str
    block_length: float

    @property
    def units(self) -> int:
        """Number of independent parts."""
        return len(self.products)

    @property
    def values(self) -> np.ndarray:
        """C(k), shape (lags + 1,)."""
        return _ratio(self.products.sum(axis=0), self.pairs.sum(axis=0))

    @property
    def without_each(self) -> np.ndarray:
        """C(k) without one unit after another, shape (units, lags + 1)."""
        return _ratio(self.products.sum(axis=0) - self.products, self.pairs.sum(axis=0) - self.pairs)

    def up_to(self, lags: int) -> Estimate:
        """The same without the lags beyond."""
        return replace(self, products=self.products[:, : lags + 1], pairs=self.pairs[:, : lags + 1])

    @property
    def standard_error(self) -> np.ndarray:
        """Standard error of C(k), shape (lags + 1,)."""
        return jackknife(lambda values: values, self)[1]


def estimate(correlations: Sequence[Correlation]) -> Estimate:
    """Join the accumulators of several trajectories.

    Errors are those between trajectories if there are at least 8, and otherwise those between the blocks of all.

    Parameters
    ----------
    correlations : sequence of Correlation
        One for each trajectory, all with the same lags and components.

    Raises
    ------
    SeriesError
        If there is none, or they differ in their lags.
    NotComputedError
        If one of them is empty.
    """
    if not correlations:
        raise SeriesError("there is no trajectory; at least one is needed")
    lags = {correlation.lags for correlation in correlations}
    if len(lags) > 1:
        raise SeriesError(f"trajectories were correlated up to different lags, {sorted(lags)}; they must be the same")
    samples = np.array([correlation.samples for correlation in correlations])
    means = sum(correlation.means() * correlation.samples for correlation in correlations) / samples.sum()
    by_trajectory = [[_without_mean(block, means) for block in correlation.blocks()] for correlation in correlations]
    if len(correlations) >= FEWEST_UNITS:
        units = [(sum(b[0] for b in blocks), sum(b[1] for b in blocks)) for blocks in by_trajectory]
    else:
        units = [block for blocks in by_trajectory for block in blocks]
    return Estimate(
        products=np.array([products for products, _ in units]),
        pairs=np.array([pairs for _, pairs in units]),
        unit="trajectories" if len(correlations) >= FEWEST_UNITS else "blocks",
        block_length=float(samples.sum() / len(units)),
    )


def _without_mean(block: LaggedSums, means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Products of the deviations from the means (2, components), and pairs."""
    if not len(block.later):
        return block.products, block.pairs
    first, second = means
    removed = block.later @ first + block.earlier @ second - block.pairs * (first @ second)
    return block.products - removed, block.pairs


def _ratio(products: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    return np.divide(products, pairs, out=np.full_like(products, np.nan), where=pairs > 0)


def jackknife(function: Callable[..., np.ndarray], *estimates: Estimate) -> tuple[np.ndarray, np.ndarray]:
    """A function of correlation functions, and its standard error.

    The delete-one jackknife for units of unequal size (Busing, Meijer, van der Leeden, Statistics and Computing 9, 3
    (1999)): pseudo-values θ_j = h_j θ − (h_j − 1) θ_(j), h_j = n/m_j, variance Σ_j (θ_j − θ_J)²/(h_j − 1)/g.

    Parameters
    ----------
    function : callable
        Takes one array (…, lags + 1) for each estimate and gives an array (…, values).
    *estimates : Estimate
        Of the same trajectories, so that their units belong together.

    Returns
    -------
    values, standard_errors : ndarray of float64, shape (values,)
        Errors are not a number where there are fewer than two units, or a lag for which one unit has all the pairs.
    """
    values = function(*(estimate.values for estimate in estimates))
    if estimates[0].units < 2 or any(np.isnan(estimate.without_each).any() for estimate in estimates):
        return values, np.full(np.shape(values), np.nan)
    left_out = function(*(estimate.without_each for estimate in estimates))
    with np.errstate(invalid="ignore"):  # what has no value, as at ω = 0, has no error either
        return values, _spread(values, left_out, estimates[0].pairs[:, 0])


def _spread(values: np.ndarray, left_out: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Standard errors from what is found without each of the units, with so many samples."""
    share = samples / samples.sum()
    units = len(share)
    inverse = (1 / share).reshape(-1, *[1] * (left_out.ndim - 1))
    pseudo = inverse * values - (inverse - 1) * left_out
    centre = units * values - ((1 - 1 / inverse) * left_out).sum(axis=0)
    return np.sqrt((np.square(pseudo - centre) / (inverse - 1)).sum(axis=0) / units)
