"""How far the members of a committee are from its mean, in units of k_B T, and what their spread says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from ase.units import kB

from .biased_series import effective_samples
from .errors import OutOfReachError, SamplingError

METHODS = ("cea", "direct")
LEAST_EFFECTIVE_SAMPLES = 50  # with fewer, an average with direct weights is that of a handful of samples
LINEAR_SPREAD = 1.0  # of h; beyond it the second order is no longer small because h is
WEIGHTED_SPREAD = 1.5  # of h; beyond it a tenth of the samples is left of a Gaussian h, exp(−σ²)
LARGEST_SHARE_OF_NOISE = 0.5  # of the square of a model error
CERTAIN = 3  # standard errors of noise that a next term must be above before it speaks against an expansion


class ModelErrors(NamedTuple):
    """Standard deviations of two committees together, of the potentials, and of the properties."""

    both: np.ndarray
    potentials: np.ndarray
    properties: np.ndarray


@dataclass(frozen=True)
class NextTerm:
    """The first term that an expansion leaves out, beside what the expansion gives.

    Arrays have one number for each column; what is not a number does not count.

    Parameters
    ----------
    size, noise : ndarray of float64, shape (columns,)
        Root mean squares over members of the term, and of its standard error.
    errors : ndarray of float64, shape (columns,)
        Standard deviation over members of what the expansion gives.
    scale : ndarray of float64, shape (columns,)
        Unit of each column, in which columns can be added: its sampling error.
    """

    size: np.ndarray
    noise: np.ndarray
    errors: np.ndarray
    scale: np.ndarray

    @property
    def largest_ratio(self) -> float:
        """The largest term over its error."""
        known = np.isfinite(self.size) & (self.errors > 0)
        return float(np.max(self.size[known] / self.errors[known], initial=0.0))

    @property
    def total_ratio(self) -> float:
        """Root of the sums of squares over columns, of what the terms are beyond their noise and of the errors."""
        numbers = (self.size, self.noise, self.errors, self.scale)
        known = np.all([np.isfinite(one) for one in numbers], axis=0) & (self.scale > 0)
        size, noise, errors, scale = (one[known] for one in numbers)
        above = float(((np.square(size) - np.square(CERTAIN * noise)) / scale**2).sum())
        total = float((np.square(errors) / scale**2).sum())
        return np.sqrt(above / total) if above > 0 and total > 0 else 0.0


def reduced_deviations(energies: np.ndarray, temperature: float, calibration: float = 1.0) -> np.ndarray:
    """h_i = (β/P) Σ_k [V_i(q_k) − V̄(q_k)]; with one bead β (V_i − V̄).

    Parameters
    ----------
    energies : ndarray of float64, shape (samples, members) or (samples, beads, members)
        In eV; means over beads are enough.
    temperature : float
        In K.
    calibration : float
        α of V_i ← V̄ + α (V_i − V̄).

    Returns
    -------
    ndarray of float64, shape (samples, members)
        They sum to zero over members.

    Raises
    ------
    SamplingError
        If there are fewer than two members or no sample, a number is not finite, or the temperature or the calibration
        is not positive.
    """
    energies = np.asarray(energies, dtype=np.float64)
    if energies.ndim not in (2, 3) or not energies.size or energies.shape[-1] < 2:
        wanted = "(samples, members) or (samples, beads, members) is needed, with at least two members"
        raise SamplingError(f"energies of the committee have the shape {energies.shape}; {wanted}")
    check_finite("energies", energies)
    check_positive("temperature in K", temperature)
    deviations = scaled_about_mean(energies, calibration, axis=-1) - energies.mean(axis=-1, keepdims=True)
    if deviations.ndim == 3:
        deviations = deviations.mean(axis=1)
    return deviations / (kB * temperature)


def scaled_about_mean(values: np.ndarray, calibration: float, axis: int) -> np.ndarray:
    """y_i ← ȳ + α (y_i − ȳ) along an axis.

    Raises
    ------
    SamplingError
        If α is not positive.
    """
    check_positive("calibration", calibration)
    mean = values.mean(axis=axis, keepdims=True)
    return mean + calibration * (values - mean)


def model_errors(members: np.ndarray) -> ModelErrors:
    """Standard deviations (ddof 1) of averages by two committees; see ``two_committee_average``.

    Parameters
    ----------
    members : ndarray of float64, shape (…, potential members, property members, columns)
        With one property member the result is the standard deviation over potential members.

    Returns
    -------
    ModelErrors
        Arrays of the shape (…, columns).
    """
    potentials, properties = members.shape[-3:-1]
    by_property = members.mean(axis=-3)
    variance_of_potentials = members.var(axis=-3, ddof=1).mean(axis=-2)
    variance_of_properties = (
        by_property.var(axis=-2, ddof=1) if properties > 1 else np.zeros_like(variance_of_potentials)
    )
    both = (
        potentials * (properties - 1) * variance_of_properties + properties * (potentials - 1) * variance_of_potentials
    ) / (potentials * properties - 1)
    return ModelErrors(np.sqrt(both), np.sqrt(variance_of_potentials), np.sqrt(variance_of_properties))


def worth_of_members(deviations: np.ndarray, log_weights: np.ndarray) -> np.ndarray:
    """Effective samples with the weights of the run times exp(−h_i), of each member.

    Parameters
    ----------
    deviations : ndarray of float64, shape (samples, members)
    log_weights : ndarray of float64, shape (samples,)
        Of the run itself.

    Returns
    -------
    ndarray of float64, shape (members,)
    """
    return np.array([effective_samples(log_weights - h) for h in deviations.T])


def _too_few(worth: np.ndarray) -> tuple[str, ...]:
    """Say if direct weights leave too few samples."""
    member = int(np.argmin(worth))
    if worth[member] >= LEAST_EFFECTIVE_SAMPLES:
        return ()
    given = f"direct weights of member {member} leave {worth[member]:.3g} effective samples"
    return (f"{given}; at least {LEAST_EFFECTIVE_SAMPLES} are needed",)


def reasons_to_refuse(
    method: str, spread: np.ndarray, worth: np.ndarray, samples: float, next_term: NextTerm | None
) -> tuple[str, ...]:
    """Why averages of members are no numbers to give; none if they are.

    With direct weights: too few effective samples. Of the expansion to first order:

    - If h is Gaussian with the standard deviation σ, it is of the same width in the member's own ensemble, but moved
      by σ², thus by σ standard deviations. The farthest of M samples of a Gaussian is about √(2 ln M) standard
      deviations away (Gumbel, Statistics of Extremes, Columbia University Press (1958)). Where σ is larger, no sample
      is from where this ensemble lies, and nothing in the run tells whether the expansion holds there.
    - If h varies by more than one, and the next term is larger than the error, beyond its own noise, the expansion does
      not converge.

    Parameters
    ----------
    method : str
    spread, worth : ndarray of float64, shape (members,)
        Standard deviation of h_i, and effective samples with the weights of each member.
    samples : float
        M; those of equal weight where a bias is taken away.
    next_term : NextTerm or None
        None with direct weights.
    """
    if method == "direct":
        return _too_few(worth)
    member = int(np.argmax(spread))
    varies = f"h of member {member} varies by {spread[member]:.3g}"
    reach = float(np.sqrt(2 * np.log(max(samples, 1.0))))
    if spread[member] > max(LINEAR_SPREAD, reach):
        return (f"{varies}, {samples:.4g} samples reach {reach:.3g}: none is from where this member's ensemble lies",)
    ratio = 0.0 if next_term is None else next_term.total_ratio
    if spread[member] > LINEAR_SPREAD and ratio > 1:
        return (f"{varies}, and the next term of the expansion is {ratio:.3g} of the error: it does not converge",)
    return ()


def judged(reasons: tuple[str, ...], forced: bool) -> tuple[str, ...]:
    """Pass reasons to refuse on as warnings if the numbers are wanted all the same.

    Raises
    ------
    OutOfReachError
        If there is one, and they are not.
    """
    if reasons and not forced:
        others = "a run closer to the members, a smaller system or a better model is needed"
        raise OutOfReachError(f"{reasons[0]}: " + ("use the method 'cea'" if "direct" in reasons[0] else others))
    return tuple(f"{reason}: these numbers would be refused" for reason in reasons)


def warnings_of(
    method: str, spread: np.ndarray, errors: np.ndarray, floor: np.ndarray, next_term: float | None = None
) -> tuple[str, ...]:
    """What speaks against model errors.

    Parameters
    ----------
    method : str
    spread : ndarray of float64, shape (members,)
        Standard deviation of h_i.
    errors, floor : ndarray of float64, shape (columns,)
        Model errors, and what they would be by chance; what is not a number does not count.
    next_term : float, optional
        The largest next term of the expansion over the error of the potentials.
    """
    found = []
    member = int(np.argmax(spread))
    limit = LINEAR_SPREAD if method == "cea" else WEIGHTED_SPREAD
    if spread[member] > limit:
        largest = f"h of member {member} varies by {spread[member]:.3g}, more than {limit:g}"
        if method == "direct":
            found.append(f"{largest}: few samples carry the direct weights")
        else:
            meaning = "the expansion may have left its linear range"
            size = (
                "" if next_term is None else f"; its next term is up to {next_term:.2g} of the error of the potentials"
            )
            found.append(f"{largest}: {meaning}{size}")
    known = np.isfinite(errors) & np.isfinite(floor)
    noisy = np.square(floor[known]) > LARGEST_SHARE_OF_NOISE * np.square(errors[known])
    if noisy.any():
        counted = f"{np.count_nonzero(noisy)} of {noisy.size} model errors"
        found.append(f"{counted} are hardly larger than what sampling alone would give; a longer run would tell")
    return tuple(found)


def check_members(deviations: Sequence[np.ndarray]) -> None:
    """Refuse runs whose energies are those of different numbers of members."""
    members = sorted({h.shape[1] for h in deviations})
    if len(members) > 1:
        raise SamplingError(f"energies are those of {members} members; one number is needed")


def check_finite(name: str, numbers: np.ndarray) -> None:
    """Refuse numbers that are not finite."""
    wrong = np.count_nonzero(~np.isfinite(numbers))
    if wrong:
        raise SamplingError(f"{wrong} of {numbers.size} {name} are not finite; all must be")


def check_positive(name: str, number: float) -> None:
    """Refuse what is not positive."""
    if not (np.isfinite(number) and number > 0):
        raise SamplingError(f"the {name} is {number}; it must be positive")
