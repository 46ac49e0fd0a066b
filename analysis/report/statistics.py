"""Means and slopes of correlated numbers with their errors, and what of a long series is drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

WINDOW = 5.0  # of autocorrelation times that are summed up; Sokal's choice
PARTS = 10  # of a series, each of which is left out once for the error of a slope
FEWEST = 20  # rows of which a mean or a slope is made


@dataclass(frozen=True)
class Mean:
    """A mean of correlated numbers.

    Parameters
    ----------
    value, error : float
        With its standard error.
    independent : float
        Number of independent samples that the series is worth.
    begins : float
        Where on the axis it begins.
    """

    value: float
    error: float
    independent: float
    begins: float


@dataclass(frozen=True)
class Slope:
    """A slope with its standard error."""

    value: float
    error: float


def mean_of(axis: np.ndarray, values: np.ndarray) -> Mean | None:
    """Mean of the second half of a series, as the first is often spent on reaching equilibrium.

    The standard error is that of n/g independent numbers, g being the statistical inefficiency, twice the integrated
    autocorrelation time, summed up to five times itself (Sokal, Monte Carlo methods in statistical mechanics, Cargèse
    lectures (1996)).

    Parameters
    ----------
    axis, values : ndarray of float64, shape (rows,)

    Returns
    -------
    Mean or None
        None for too few rows.
    """
    half = len(values) // 2
    kept = values[half:]
    if len(kept) < FEWEST or not np.isfinite(kept).all():
        return None
    independent = len(kept) / statistical_inefficiency(kept)
    error = float(kept.std(ddof=1) / np.sqrt(independent))
    return Mean(float(kept.mean()), error, independent, float(axis[half]))


def statistical_inefficiency(values: np.ndarray) -> float:
    """How many correlated numbers are worth an independent one; at least 1."""
    deviations = values - values.mean()
    count = len(values)
    if not np.any(deviations):
        return 1.0
    transform = np.fft.rfft(deviations, 2 * count)
    correlation = np.fft.irfft(transform * transform.conj())[:count]
    sums = 2.0 * np.cumsum(correlation / correlation[0]) - 1.0
    beyond = np.flatnonzero(np.arange(count) > WINDOW * sums / 2)
    return float(max(sums[beyond[0] if len(beyond) else -1], 1.0))


def slope_of(axis: np.ndarray, values: np.ndarray) -> Slope | None:
    """Slope of the straight line through a series by least squares, without the first tenth.

    Its standard error is a jackknife over ten parts, as rows beside each other do not err independently.

    Parameters
    ----------
    axis, values : ndarray of float64, shape (rows,)

    Returns
    -------
    Slope or None
        None for too few rows.
    """
    first = len(values) // 10
    axis, values = axis[first:], values[first:]
    if len(values) < FEWEST or not (np.isfinite(values).all() and np.ptp(axis) > 0):
        return None
    part = np.arange(len(values)) * PARTS // len(values)
    without = np.array([_slope(axis[part != own], values[part != own]) for own in range(PARTS)])
    error = np.sqrt((PARTS - 1) / PARTS * np.square(without - without.mean()).sum())
    return Slope(_slope(axis, values), float(error))


def _slope(axis: np.ndarray, values: np.ndarray) -> float:
    centred = axis - axis.mean()
    return float(centred @ (values - values.mean()) / (centred @ centred))


def pieces(
    axis: np.ndarray, values: np.ndarray, most: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray | None]:
    """A series in at most so many points: means over equal pieces, and the extremes of each.

    Parameters
    ----------
    axis, values : ndarray of float64, shape (rows,)
    most : int

    Returns
    -------
    axis, mean : ndarray of float64, shape (points,)
    low, high : ndarray of float64, shape (points,), or None
        None where each row is a point.
    """
    size = -(-len(values) // most)
    if size <= 1:
        return axis, values, None, None
    starts = np.arange(0, len(values), size)
    counts = np.diff([*starts, len(values)])
    return (
        np.add.reduceat(axis, starts) / counts,
        np.add.reduceat(values, starts) / counts,
        np.minimum.reduceat(values, starts),
        np.maximum.reduceat(values, starts),
    )


def rounded(values: np.ndarray | None, digits: int = 6) -> list[float | None] | None:
    """Numbers for JSON with so many significant digits; None for those that are not finite."""
    if values is None:
        return None
    values = np.asarray(values, dtype=np.float64)
    known = np.isfinite(values)
    kept = np.where(known, values, 0.0)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        places = digits - 1 - np.floor(np.log10(np.abs(kept)))
        up, down = 10.0 ** np.clip(places, 0, 22), 10.0 ** np.clip(-places, 0, 22)  # exact, so that few digits are left
        found = np.where(np.abs(places) <= 22, np.round(kept * up / down) * down / up, kept)
    return [value if is_known else None for value, is_known in zip(found.tolist(), known.tolist(), strict=True)]
