"""One run under a bias: what a collective variable was, and what each sample weighs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .errors import SamplingError


class Sampled:
    """How many samples and beads there are."""

    values: np.ndarray

    @property
    def samples(self) -> int:
        """Number of samples."""
        return self.values.shape[0]

    @property
    def beads(self) -> int:
        """Number of beads."""
        return self.values.shape[1]


@dataclass(frozen=True)
class BiasedSeries(Sampled):
    """The samples of one run.

    Parameters
    ----------
    values : ndarray of float64, shape (samples, beads)
        A collective variable of every bead; one bead for a classical particle, and for the centroid.
    log_weights : ndarray of float64, shape (samples,)
        β V(t), where c(t) is known β [V(t) − c(t)], up to a constant; zeros without a bias.

    Raises
    ------
    SamplingError
        If the shapes do not belong together, there is no sample, or one of the numbers is not finite.
    """

    values: np.ndarray
    log_weights: np.ndarray

    def __post_init__(self) -> None:
        values, log_weights = samples_of(self.values, self.log_weights)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "log_weights", log_weights)

    @property
    def effective_samples(self) -> float:
        """How many samples of equal weight would be worth as much, (Σw)²/Σw² (Kish, Survey Sampling, 1965)."""
        return effective_samples(self.log_weights)


def effective_samples(log_weights: np.ndarray) -> float:
    """(Σw)²/Σw² of weights (Kish, Survey Sampling, 1965); correlation in time is another matter.

    Parameters
    ----------
    log_weights : ndarray of float64, shape (samples,)
    """
    weights = np.exp(log_weights - log_weights.max())
    return float(weights.sum() ** 2 / np.square(weights).sum())


def samples_of(values: np.ndarray, log_weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values of shape (samples, beads) and log weights of shape (samples,), checked.

    Raises
    ------
    SamplingError
        If the shapes do not belong together, there is no sample, or one of the numbers is not finite.
    """
    values, log_weights = np.asarray(values, dtype=np.float64), np.asarray(log_weights, dtype=np.float64)
    if values.ndim != 2 or not values.size:
        raise SamplingError(f"values have the shape {values.shape}; (samples, beads) is needed, at least one of each")
    if log_weights.shape != values.shape[:1]:
        raise SamplingError(f"{len(values)} samples have log weights of the shape {log_weights.shape}; each needs one")
    for name, numbers in (("values", values), ("log weights", log_weights)):
        if not np.isfinite(numbers).all():
            wrong = np.count_nonzero(~np.isfinite(numbers))
            raise SamplingError(f"{wrong} of {numbers.size} {name} are not finite; all must be")
    return values, log_weights
