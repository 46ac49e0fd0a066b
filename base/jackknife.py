"""The jackknife: standard errors from what is found without one part of the samples after another."""

from __future__ import annotations

import numpy as np


def jackknife_error(values: np.ndarray, left_out: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Standard errors from values without each of several units of unequal size.

    Pseudo-values θ_j = h_j θ − (h_j − 1) θ_(j), h_j = n/m_j, variance Σ_j (θ_j − θ_J)²/(h_j − 1)/g (Busing, Meijer, van
    der Leeden, Statistics and Computing 9, 3 (1999)).

    Parameters
    ----------
    values : ndarray of float64, shape (…)
        Of all units together.
    left_out : ndarray of float64, shape (units, …)
    shares : ndarray of float64, shape (units,)
        Part of all samples that each unit is.

    Returns
    -------
    ndarray of float64, shape (…)
        Not a number where one unit has all the samples, or something left out has no value.
    """
    inverse = (1 / shares).reshape(-1, *[1] * (left_out.ndim - 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        pseudo = inverse * values - (inverse - 1) * left_out
        centre = len(shares) * values - ((1 - 1 / inverse) * left_out).sum(axis=0)
        errors = np.sqrt((np.square(pseudo - centre) / (inverse - 1)).sum(axis=0) / len(shares))
    return np.where(np.isfinite(errors), errors, np.nan)
