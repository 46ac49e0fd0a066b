"""What correlation functions of one or several trajectories amount to, and how well they are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..errors import SeriesError
from ..jackknife import jackknife_error
from .correlation import Correlation, LaggedSums
from .errors import NotComputedError
from .window import Window

Sums = tuple[np.ndarray, np.ndarray]  # products and pairs of a part of the data, each (lags + 1,)

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
    def has_errors(self) -> bool:
        """Whether errors can be told: of one unit, or where one has all pairs of a lag, they cannot."""
        return self.units > 1 and not np.isnan(self.without_each).any()

    @property
    def standard_error(self) -> np.ndarray:
        """Standard error of C(k), shape (lags + 1,)."""
        return jackknife(lambda values: values, self)[1]


def estimate(correlations: Sequence[Correlation]) -> Estimate:
    """Join the accumulators of several trajectories.

    Errors are those between trajectories if there are at least 8, and otherwise those between blocks of all, which are
    joined until they are twice as long as the highest lag, or as long as leaves 8 of them.

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
        units = [_joined(blocks, int(samples.sum()))[0] for blocks in by_trajectory]
    else:
        units = _longer_blocks(by_trajectory, lags.pop())
    return Estimate(
        products=np.array([products for products, _ in units]),
        pairs=np.array([pairs for _, pairs in units]),
        unit="trajectories" if len(correlations) >= FEWEST_UNITS else "blocks",
        block_length=float(samples.sum() / len(units)),
    )


def _longer_blocks(by_trajectory: list[list[Sums]], lags: int) -> list[Sums]:
    """Join neighbouring blocks, as short ones depend on each other and make errors look small."""
    for least in (2 * lags, lags):
        units = [unit for blocks in by_trajectory for unit in _joined(blocks, least)]
        if len(units) >= FEWEST_UNITS:
            return units
    return [block for blocks in by_trajectory for block in blocks]


def _joined(blocks: list[Sums], least: int) -> list[Sums]:
    """Blocks of at least so many samples; what is left over goes with the last."""
    joined: list[Sums] = []
    for products, pairs in blocks:
        if joined and joined[-1][1][0] < least:
            products, pairs = joined[-1][0] + products, joined[-1][1] + pairs
            joined.pop()
        joined.append((products, pairs))
    if len(joined) > 1 and joined[-1][1][0] < least:
        last = joined.pop()
        joined[-1] = joined[-1][0] + last[0], joined[-1][1] + last[1]
    return joined


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

    The delete-one jackknife for units of unequal size, `beadwise.jackknife.jackknife_error`.

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
    if not all(estimate.has_errors for estimate in estimates):
        return values, np.full(np.shape(values), np.nan)
    left_out = function(*(estimate.without_each for estimate in estimates))
    pairs = estimates[0].pairs[:, 0]
    return values, jackknife_error(values, left_out, pairs / pairs.sum())  # what has no value, as at ω = 0, has none


def refuse_longer_window(samples: int, lags: int, timestep: float, window: Window) -> None:
    """Refuse a window beyond the longest series, before memory for it is asked for.

    Parameters
    ----------
    samples : int
        Of the longest series.
    lags : int
        That the window reaches.
    timestep : float
        In fs.
    window : Window

    Raises
    ------
    NotComputedError
    """
    if samples <= lags:
        raise NotComputedError(
            f"the series end after {samples * timestep:g} fs; the window needs {window.length:g} fs: a longer run is "
            "needed, a shorter window, or fewer of the first samples left out"
        )
