"""Means of correlated series with errors from blocks that are longer than the memory of the series."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from ..jackknife import jackknife_error
from .errors import SamplingError
from .promotion import integrated_autocorrelation_time

LONGEST_MEMORY = 5.0  # autocorrelation times that a block is at least long
FEWEST_BLOCKS = 8  # fewer say little about an error
FEWEST_SAMPLES = 2


@dataclass(frozen=True)
class BlockAverage:
    """Means of columns with their errors.

    Parameters
    ----------
    mean, error : ndarray of float64, shape (columns,)
        NaN is the error where nothing can be said.
    time : ndarray of float64, shape (columns,)
        τ_int in samples: M samples are worth M/2τ_int.
    blocks : int
        That the longest τ_int allows; 0 for fewer than two.
    samples : int
    chance : ndarray of float64, shape (columns,)
        That independent runs with the errors that their blocks tell differ as much as these; 1 of a single run.
    """

    mean: np.ndarray
    error: np.ndarray
    time: np.ndarray
    blocks: int
    samples: int
    chance: np.ndarray

    @property
    def is_short(self) -> bool:
        """Whether there are too few blocks for an error that can be trusted."""
        return self.blocks < FEWEST_BLOCKS


def block_average(runs: Sequence[np.ndarray]) -> BlockAverage:
    """Mean of the columns of independent runs.

    The error of each run is that of means over blocks of at least 5 τ_int where there are 8 of them, and not below
    σ √(2 τ_int/M) (M. P. Allen, D. J. Tildesley, Computer Simulation of Liquids, 2nd ed., section 8.4; Flyvbjerg,
    Petersen, J. Chem. Phys. 91, 461 (1989)); runs count by their samples.  The error of several is not below that of
    `between_runs`.

    Parameters
    ----------
    runs : sequence of ndarray of float64, shape (samples, columns)

    Raises
    ------
    SamplingError
        If a run has fewer than two samples.
    """
    if not runs or min(map(len, runs)) < FEWEST_SAMPLES:
        raise SamplingError(f"{min(map(len, runs), default=0)} samples; at least {FEWEST_SAMPLES} are needed")
    shares = np.array([len(own) for own in runs]) / sum(map(len, runs))
    parts = [_of_run(own) for own in runs]
    mean = sum(share * own.mean(axis=0) for share, own in zip(shares, runs, strict=True))
    error = np.sqrt(sum(share**2 * own.error**2 for share, own in zip(shares, parts, strict=True)))
    time = np.max([own.time for own in parts], axis=0)
    between = between_runs(np.array([own.mean for own in parts]), shares)
    ratio = np.divide(between, error, out=np.where(between > 0, np.inf, 0.0), where=error > 0)
    degrees = len(runs) - 1
    chance = scipy.special.chdtrc(degrees, degrees * ratio**2) if degrees else np.ones_like(error)
    blocks, samples = sum(own.blocks for own in parts), sum(map(len, runs))
    return BlockAverage(mean, np.maximum(error, between), time, blocks, samples, chance)


def between_runs(values: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Standard error of the mean of independent runs from how they differ, √(R/(R−1) Σ_r w_r² (x_r − x̄)²).

    That of a ratio of sums (W. G. Cochran, Sampling Techniques, 3rd ed., section 2.11).

    Parameters
    ----------
    values : ndarray of float64, shape (runs, columns)
    shares : ndarray of float64, shape (runs,)
        w_r, with the sum 1.

    Returns
    -------
    ndarray of float64, shape (columns,)
        Zero of a single run, which tells nothing.
    """
    deviations = shares[:, None] * (values - shares @ values)
    return np.asarray(np.sqrt(len(values) / max(1, len(values) - 1) * np.square(deviations).sum(axis=0)))


def block_starts(series: np.ndarray) -> np.ndarray:
    """Where blocks of at least 5 τ_int of the slowest column begin; what is left over goes with the last one."""
    longest = max((integrated_autocorrelation_time(own) for own in series.T), default=0.5)
    length = int(np.ceil(LONGEST_MEMORY * longest))
    return np.arange(max(1, len(series) // length)) * length


def jackknife_over_blocks(
    runs: Sequence[np.ndarray], function: Callable[[np.ndarray], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """A function of the means of columns, and its standard error by leaving out one block after another.

    Parameters
    ----------
    runs : sequence of ndarray of float64, shape (samples, columns)
    function : callable
        Takes means (…, columns) and gives (…, values).

    Returns
    -------
    values, errors : ndarray of float64, shape (values,)
        The delete-one jackknife for blocks of unequal size, `beadwise.jackknife.jackknife_error`; NaN where there is
        one block, and of several runs not below the error of `between_runs`.
    """
    sums, sizes = [], []
    for own in runs:
        starts = block_starts(own)
        sums.append(np.add.reduceat(own, starts, axis=0))
        sizes.append(np.diff(np.append(starts, len(own))))
    total, counts = np.concatenate(sums), np.concatenate(sizes)[:, None]
    whole = function(total.sum(axis=0) / counts.sum())
    if len(total) < 2:
        return whole, np.full_like(whole, np.nan)
    left_out = function((total.sum(axis=0) - total) / (counts.sum() - counts))
    error = jackknife_error(whole, left_out, counts[:, 0] / counts.sum())
    shares = np.array([len(own) for own in runs]) / sum(map(len, runs))
    return whole, np.maximum(error, between_runs(np.array([function(own.mean(axis=0)) for own in runs]), shares))


def _of_run(series: np.ndarray) -> BlockAverage:
    times = np.array([integrated_autocorrelation_time(own) for own in series.T])
    count = len(series)
    error = series.std(axis=0, ddof=1) * np.sqrt(2 * times / count)
    blocks = int(count // np.ceil(LONGEST_MEMORY * times.max())) if len(times) else 0
    for column, time in enumerate(times):
        length = int(np.ceil(LONGEST_MEMORY * time))
        number = count // length
        if number >= FEWEST_BLOCKS:
            means = series[: number * length, column].reshape(number, length).mean(axis=1)
            error[column] = max(error[column], means.std(ddof=1) / np.sqrt(number))
    return BlockAverage(series.mean(axis=0), error, times, blocks if blocks > 1 else 0, count, np.ones_like(error))
