"""Which bands a spectrum has, where, how high, and how well that is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..with_errors import with_error
from .estimates import Estimate, jackknife
from .peaks import peak_positions

LEAST_OF_HIGHEST = 0.05  # by which a band must stand out, in units of the highest
LEAST_OF_ERROR = 4.0  # in units of its standard error; the highest point of noise alone often stands out by three
MOST_BANDS = 8


@dataclass(frozen=True)
class Band:
    """A maximum of a spectrum.

    Parameters
    ----------
    position, position_error : float
        In cm⁻¹, of a parabola through its top; the error is not a number where it is not known.
    height, height_error : float
        In the unit of the spectrum.
    """

    position: float
    position_error: float
    height: float
    height_error: float


def find_bands(
    wavenumber: np.ndarray,
    values: np.ndarray,
    errors: np.ndarray,
    function: Callable[..., np.ndarray],
    *estimates: Estimate,
) -> tuple[Band, ...]:
    """Bands that stand out of a spectrum and of its noise, by position; the most prominent ones if there are many.

    Where errors are not known, noise cannot be told from bands, and there is none.

    Parameters
    ----------
    wavenumber : ndarray of float64, shape (frequencies,)
        In cm⁻¹.
    values, errors : ndarray of float64, shape (frequencies,)
        The spectrum with its standard errors.
    function : callable
        Makes the spectrum of correlation functions; see `beadwise.spectra.estimates.jackknife`.
    *estimates : Estimate
        What it was made of: the error of a position is that of the jackknife.
    """
    ranges = _ranges(wavenumber, np.nan_to_num(values), errors)
    if not ranges:
        return ()

    def positions(*correlations: np.ndarray) -> np.ndarray:
        curves = np.nan_to_num(function(*correlations))
        return np.stack([peak_positions(wavenumber, curves, low, high) for _, low, high in ranges], axis=-1)

    places, place_errors = jackknife(positions, *estimates)
    tops = [top for top, _, _ in ranges]
    found = zip(places, place_errors, values[tops], errors[tops], strict=True)
    return tuple(Band(*map(float, own)) for own in found)


def note_of_bands(bands: Sequence[Band], of: str) -> dict[str, str]:
    """What is said of bands beside a spectrum; nothing where there is none."""
    if not bands:
        return {}
    places = ", ".join(with_error(f"{one.position:.0f}", one.position_error) for one in bands)
    return {"bands": f"maxima of {of} at {places} cm⁻¹"}


def _ranges(wavenumber: np.ndarray, values: np.ndarray, errors: np.ndarray) -> list[tuple[int, float, float]]:
    """The point of each maximum, and the wavenumbers between which it has fallen by half of what it stands out by."""
    highest = float(values.max(initial=0.0))
    if highest <= 0:
        return []
    from scipy.signal import find_peaks  # takes long to import, and a run may have no spectrum

    tops, properties = find_peaks(values, prominence=LEAST_OF_HIGHEST * highest)
    prominences = properties["prominences"]
    stands_out = prominences > LEAST_OF_ERROR * errors[tops]
    best = np.argsort(np.where(stands_out, prominences, -1.0))[::-1][: min(MOST_BANDS, int(stands_out.sum()))]
    ranges = []
    for one in np.sort(best):
        top = int(tops[one])
        below = np.flatnonzero(values < values[top] - prominences[one] / 2)
        first, last = below[below < top].max(initial=0), below[below > top].min(initial=len(values) - 1)
        ranges.append((top, float(wavenumber[first]), float(wavenumber[last])))
    return ranges
