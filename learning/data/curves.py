"""Curves on an even axis of energies that are shifted along it: where one lies best on another."""

from __future__ import annotations

import numpy as np

SMOOTHING = 0.3  # eV: fine structure tells no shift
FURTHEST = 5.0  # eV, between a label and a model
FINER = 8  # shifts between two points of the axis


def shifted(curves: np.ndarray, shifts: np.ndarray, step: float) -> np.ndarray:
    """Curves g(E − shift), band-limited between the points of the axis and zero beyond it.

    Parameters
    ----------
    curves : ndarray of float64, shape (curves, points)
    shifts : ndarray of float64, shape (curves,)
        In eV.
    step : float
        Spacing of the axis in eV.
    """
    points = curves.shape[1]
    waves = np.exp(-1j * _frequencies(points, step) * shifts[:, None])
    return np.fft.irfft(np.fft.rfft(curves, 2 * points, axis=1) * waves, 2 * points, axis=1)[:, :points]


def best_shifts(curves: np.ndarray, onto: np.ndarray, step: float, furthest: float) -> np.ndarray:
    """Shifts in eV after which curves lie best on others: where their smoothed correlation is highest.

    Parameters
    ----------
    curves, onto : ndarray of float64, shape (curves, points)
    step : float
        Spacing of the axis in eV.
    furthest : float
        Largest shift, in eV.

    Returns
    -------
    ndarray of float64, shape (curves,)
    """
    points = curves.shape[1]
    window = np.exp(-((_frequencies(points, step) * SMOOTHING) ** 2))  # of both curves
    first, second = (np.fft.rfft(own, 2 * points, axis=1) for own in (curves, onto))
    correlation = np.fft.irfft(np.conj(first) * second * window, 2 * points * FINER, axis=1)
    lags = np.fft.fftfreq(2 * points * FINER, 1 / (2 * points * step))
    allowed = np.flatnonzero(np.abs(lags) <= furthest)
    allowed = allowed[np.argsort(lags[allowed])]
    values = correlation[:, allowed]
    best = values.argmax(axis=1)
    inner = np.clip(best, 1, len(allowed) - 2)
    left, middle, right = (values[np.arange(len(values)), inner + k] for k in (-1, 0, 1))
    bend = 2 * middle - left - right
    part = np.divide(0.5 * (right - left), bend, out=np.zeros_like(bend), where=bend > 0)
    between = np.where(best == inner, np.clip(part, -0.5, 0.5), 0.0)
    return lags[allowed[best]] + between * step / FINER


def smoothed(curves: np.ndarray, step: float, width: float) -> np.ndarray:
    """Curves after a Gaussian of a standard deviation in eV; of zero beyond the axis."""
    points = curves.shape[1]
    window = np.exp(-0.5 * (_frequencies(points, step) * width) ** 2)
    return np.fft.irfft(np.fft.rfft(curves, 2 * points, axis=1) * window, 2 * points, axis=1)[:, :points]


def _frequencies(points: int, step: float) -> np.ndarray:
    return 2 * np.pi * np.fft.rfftfreq(2 * points, step)
