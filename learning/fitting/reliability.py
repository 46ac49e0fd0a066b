"""How often errors lie within the uncertainties that were predicted for them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import erf

from ..data import DataError

BINS = 12


FEWEST_IN_BIN = 20  # fewer errors give a root mean square to no better than 16 %


RESAMPLINGS = 200


MULTIPLES = (1, 2)


def fractions_within(
    sigma: np.ndarray, errors: np.ndarray, multiples: Sequence[float] = MULTIPLES
) -> tuple[float, ...]:
    """Part of the errors that is at most so many times the predicted standard deviation.

    Parameters
    ----------
    sigma, errors : ndarray of float64
        Predicted standard deviations, and errors of the same shape and unit; their sign does not matter.
    multiples : sequence of float

    Returns
    -------
    tuple of float
        One for each multiple; normally distributed errors give those of `gaussian_fraction`.

    Raises
    ------
    DataError
        If the shapes differ or are empty, or a standard deviation is negative or a number not finite.
    """
    sigma, errors = _checked(sigma, errors)
    return tuple(float(np.mean(np.abs(errors) <= multiple * sigma)) for multiple in multiples)


def gaussian_fraction(multiple: float) -> float:
    """Part of normally distributed errors within so many standard deviations: erf(multiple / √2)."""
    return float(erf(multiple / np.sqrt(2)))


def reliability_bins(
    sigma: np.ndarray, errors: np.ndarray, bins: int = BINS, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Root mean square error among predictions of about the same uncertainty.

    Bins hold equal numbers of predictions, in the order of σ.  For a calibrated model the root mean square error of a
    bin is the root mean square σ in it (Levi, Gispan, Giladi, Fetaya, Sensors 22, 5540 (2022)).

    Parameters
    ----------
    sigma, errors : ndarray of float64
        As `fractions_within`.
    bins : int
        Fewer where they would hold fewer than `FEWEST_IN_BIN`.
    seed : int
        Of the resampling.

    Returns
    -------
    predicted : ndarray of float64, shape (bins,)
        Root mean square σ.
    found : ndarray of float64, shape (bins,)
        Root mean square error.
    interval : ndarray of float64, shape (2, bins)
        16th and 84th percentile of ``found`` among bootstrap samples (Efron, Ann. Stat. 7, 1 (1979)), which take the
        errors as independent; those of one frame are not quite.

    Raises
    ------
    DataError
        As `fractions_within`.
    """
    sigma, errors = _checked(sigma, errors)
    order = np.argsort(sigma, kind="stable")
    count = max(1, min(bins, len(order) // FEWEST_IN_BIN))
    rng = np.random.default_rng(seed)
    predicted, found, interval = np.empty(count), np.empty(count), np.empty((2, count))
    for place, members in enumerate(np.array_split(order, count)):
        squares = errors[members] ** 2
        predicted[place] = np.sqrt(np.mean(sigma[members] ** 2))
        found[place] = np.sqrt(squares.mean())
        samples = [rng.choice(squares, len(squares)).mean() for _ in range(RESAMPLINGS)]
        interval[:, place] = np.sqrt(np.percentile(samples, [16, 84]))
    return predicted, found, interval


def _checked(sigma: np.ndarray, errors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as flat float64, refused if they cannot belong together."""
    predicted, found = np.asarray(sigma, dtype=np.float64), np.asarray(errors, dtype=np.float64)
    if predicted.shape != found.shape or predicted.size == 0:
        raise DataError(
            f"uncertainties have shape {predicted.shape} and errors {found.shape}; both need the same, not empty"
        )
    if not (np.isfinite(predicted).all() and np.isfinite(found).all() and predicted.min() >= 0):
        raise DataError(
            f"uncertainties lie between {predicted.min()} and {predicted.max()}, errors between {found.min()} and "
            f"{found.max()}; all must be finite, and no uncertainty negative"
        )
    return predicted.ravel(), found.ravel()
