"""The refractive index from an absorption spectrum."""

from __future__ import annotations

import numpy as np


def real_permittivity(imaginary: np.ndarray, optical_permittivity: float) -> np.ndarray:
    """ε'(ω) = ε∞ + (2/π) P∫ ω' ε''(ω')/(ω'² − ω²) dω' by Maclaurin's method.

    With the odd continuation of ε'' it is (1/π) P∫ ε''(ω')/(ω' − ω) dω' over the whole axis; the sum runs over every
    other point, so that the pole is never met (Ohta and Ishida, Applied Spectroscopy 42, 952 (1988)).

    Parameters
    ----------
    imaginary : ndarray of float64, shape (…, frequencies)
        ε'' at equally spaced frequencies from 0; beyond the last it is taken to be zero.
    optical_permittivity : float
        ε∞.

    Returns
    -------
    ndarray of float64, shape (…, frequencies)
    """
    from scipy.signal import fftconvolve  # takes long to import, and a run may have no spectrum

    count = imaginary.shape[-1]
    odd = np.concatenate([-imaginary[..., :0:-1], imaginary], axis=-1)
    distance = np.arange(-2 * count + 2, 2 * count - 1)
    kernel = np.where(distance % 2 != 0, 2 / np.where(distance == 0, 1, distance), 0.0)
    kernel = kernel.reshape((1,) * (imaginary.ndim - 1) + (-1,))
    # fftconvolve sums over ω' with 1/(ω − ω'), the negative of what is needed
    full = fftconvolve(odd, kernel, axes=-1)
    start = 3 * count - 3  # the place of ω = 0
    return optical_permittivity - full[..., start : start + count] / np.pi


def refractive_index(real: np.ndarray, imaginary: np.ndarray) -> np.ndarray:
    """N = √((|ε| + ε')/2), the real part of √ε (Born and Wolf, Principles of Optics, section 14.1)."""
    return np.sqrt(np.maximum((np.hypot(real, imaginary) + real) / 2, 0.0))
