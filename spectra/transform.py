"""From correlation functions of time to functions of frequency."""

from __future__ import annotations

import numpy as np

from ..errors import SeriesError
from .units import SPEED_OF_LIGHT, angular_frequency
from .window import Window

MOST_WAVENUMBERS = 1e7
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

    Raises
    ------
    SeriesError
        If the time is not positive, or there are too many of them.
    """
    if not timestep > 0:
        raise SeriesError(f"the time between samples is {timestep} fs; it must be positive")
    nyquist = 1 / (2 * SPEED_OF_LIGHT * timestep)
    last = min(highest, HIGHEST_FRACTION * nyquist)
    if not last / spacing < MOST_WAVENUMBERS:
        raise SeriesError(
            f"a spectrum up to {last:.3g} cm⁻¹ in steps of {spacing:g} cm⁻¹ is too long; at most "
            f"{MOST_WAVENUMBERS:.0e} steps are allowed"
        )
    return np.arange(0.0, last + 0.5 * spacing, spacing)


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

    Raises
    ------
    SeriesError
        If the wavenumbers are not equally spaced.
    """
    windowed = _windowed(values, timestep, window)
    return 2 * timestep * _sum_of_exponentials(windowed, timestep, wavenumber).real


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
    if not np.allclose(np.diff(wavenumber), np.mean(np.diff(wavenumber)) if len(wavenumber) > 1 else 0.0):
        raise SeriesError("the wavenumbers are not equally spaced; a transform needs them so")
    if len(wavenumber) == 1:
        phases = np.exp(-1j * angular_frequency(wavenumber)[0] * timestep * np.arange(halved.shape[-1]))
        return (halved @ phases)[..., None]
    from scipy.signal import zoom_fft  # takes long to import, and a run may have no spectrum

    turns = SPEED_OF_LIGHT * timestep * np.asarray(wavenumber)  # cycles for each sample
    return zoom_fft(halved, [turns[0], turns[-1]], len(wavenumber), fs=1.0, endpoint=True)
