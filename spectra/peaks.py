"""Positions of bands."""

from __future__ import annotations

import numpy as np

from ..errors import SeriesError

TOP = 0.85  # of the maximum: what is above it is taken for the top of a band


def peak_positions(wavenumber: np.ndarray, values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Where a band has its maximum: of a parabola through its top, which noise moves less than the highest point.

    Parameters
    ----------
    wavenumber : ndarray of float64, shape (frequencies,)
        In cm⁻¹.
    values : ndarray of float64, shape (…, frequencies)
    low, high : float
        The band lies between them, in cm⁻¹.

    Returns
    -------
    ndarray of float64, shape (…)
        In cm⁻¹.

    Raises
    ------
    SeriesError
        If there is no point between them.
    """
    inside = (wavenumber >= low) & (wavenumber <= high)
    if not inside.any():
        raise SeriesError(f"no point between {low} and {high} cm⁻¹; the spectrum ends at {wavenumber[-1]} cm⁻¹")
    places, band = wavenumber[inside], values[..., inside]
    return np.apply_along_axis(lambda one: _top_of(places, one), -1, band)


def _top_of(places: np.ndarray, band: np.ndarray) -> float:
    summit = int(np.argmax(band))
    below = np.flatnonzero(band < TOP * band[summit])
    first = below[below < summit].max(initial=-1) + 1
    last = below[below > summit].min(initial=len(band))
    if last - first < 3:
        return float(places[summit])
    shifted = places[first:last] - places[summit]
    curvature, slope, _ = np.polyfit(shifted, band[first:last], 2)
    top = places[summit] - slope / (2 * curvature) if curvature < 0 else places[summit]
    return float(np.clip(top, places[first], places[last - 1]))
