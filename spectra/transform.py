"""From correlation functions of time to functions of frequency."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import make_interp_spline
from scipy.signal import zoom_fft

from .errors import SeriesError
from .units import SPEED_OF_LIGHT, angular_frequency
from .window import Window

SPLINE_ORDER = 5
FINER = 8  # the one-sided transform integrates a spline with so many points for each sample
HIGHEST_FRACTION = 0.7  # of the Nyquist frequency up to which central differences are trusted


def wavenumbers(timestep: float, highest: float = 5000.0, spacing: float = 1.0) -> np.ndarray:
    """Wavenumbers in cm⁻¹ at which a spectrum is given.

    Parameters
    ----------
    timestep : float
        Between samples, in fs.
    highest, spacing : float
        In cm⁻¹; the highest is lowered to 0.7 of the Nyquist frequency, 1/(2 c Δt), above which the central
        difference of a noisy series says nothing.
    """
    if not timestep > 0:
        raise SeriesError(f"the time between samples is {timestep} fs; it must be positive")
    nyquist = 1 / (2 * SPEED_OF_LIGHT * timestep)
    return np.arange(0.0, min(highest, HIGHEST_FRACTION * nyquist) + 0.5 * spacing, spacing)


def even_transform(values: np.ndarray, timestep: float, window: Window, wavenumber: np.ndarray) -> np.ndarray:
    """∫_{-∞}^{∞} e^{-iωt} C(t) w(t) dt of an even C(t).

    The trapezoidal rule, which is exact for what the sampling resolves.

    Parameters
    ----------
    values : ndarray of float64, shape (…, lags + 1)
        C at the lags 0, Δt, 2Δt …
    timestep : float
        Δt in fs.
    window : Window
    wavenumber : ndarray of float64, shape (frequencies,)
        In cm⁻¹, equally spaced from 0.

    Returns
    -------
    ndarray of float64, shape (…, frequencies)
        In units of C times fs.
    """
    windowed = _windowed(values, timestep, window)
    return 2 * timestep * _sum_of_exponentials(windowed, timestep, wavenumber).real


def one_sided_transform(values: np.ndarray, timestep: float, window: Window, wavenumber: np.ndarray) -> np.ndarray:
    """∫_0^∞ e^{iωt} C(t) w(t) dt.

    The integrand does not vanish at t = 0, where the trapezoidal rule on the samples themselves would leave an error of
    Δt² ω C(0)/12; a quintic spline through the samples is therefore integrated on a grid eight times finer.

    Parameters
    ----------
    values, timestep, window, wavenumber
        As for `even_transform`.

    Returns
    -------
    ndarray of complex128, shape (…, frequencies)
        In units of C times fs.
    """
    windowed = _windowed(values, timestep, window)
    count = windowed.shape[-1]
    if count <= SPLINE_ORDER:
        raise SeriesError(f"a correlation function at {count} lags is too short; more than {SPLINE_ORDER} are needed")
    places = np.arange(FINER * (count - 1) + 1) / FINER
    finer = make_interp_spline(np.arange(count), windowed, SPLINE_ORDER, axis=-1)(places)
    step = timestep / FINER
    return step * np.conj(_sum_of_exponentials(finer, step, wavenumber))


def _windowed(values: np.ndarray, timestep: float, window: Window) -> np.ndarray:
    values = np.asarray(values)
    weights = window.values(values.shape[-1] - 1, timestep)
    return np.where(weights == 0, 0.0, values) * weights  # beyond the window there may be no number


def _sum_of_exponentials(values: np.ndarray, timestep: float, wavenumber: np.ndarray) -> np.ndarray:
    """Σ_k' C(k) e^{-iωkΔt}, the first term halved, at equally spaced wavenumbers from 0.

    A chirp z-transform, as the wavenumbers are not those of a fast Fourier transform of the samples.
    """
    halved = np.array(values, dtype=np.complex128)
    halved[..., 0] /= 2
    if len(wavenumber) == 1:
        phases = np.exp(-1j * angular_frequency(wavenumber)[0] * timestep * np.arange(halved.shape[-1]))
        return (halved @ phases)[..., None]
    turns = SPEED_OF_LIGHT * timestep * np.asarray(wavenumber)  # cycles for each sample
    return zoom_fft(halved, [turns[0], turns[-1]], len(wavenumber), fs=1.0, endpoint=True)
