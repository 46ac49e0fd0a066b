"""The error that a committee of potentials puts on an average of one run, which was made with the committee's mean.

Each member of the committee has an ensemble of its own. Its averages come from the same run, by weights or by their
cumulant expansion, and their spread is the model error (Imbalzano, Zhuang, Kapil, Rossi, Engel, Grasselli, Ceriotti,
J. Chem. Phys. 154, 074102 (2021)). That the run is finite is another error, which stands beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from ase.units import kB

from .biased_series import effective_samples
from .errors import SamplingError
from .histograms import FEWEST_UNITS, Histograms, LeftOut

METHODS = ("cea", "direct")
LEAST_EFFECTIVE_SAMPLES = 50  # with fewer, an average with direct weights is that of a handful of samples
LINEAR_SPREAD = 1.0  # of h; beyond it the second order is no longer small because h is
WEIGHTED_SPREAD = 1.5  # of h; beyond it a tenth of the samples is left of a Gaussian h, exp(−σ²)
LARGEST_SHARE_OF_NOISE = 0.5  # of the square of a model error


@dataclass(frozen=True)
class CommitteeAverage:
    """An average, its sampling error, and its model error.

    Arrays have one number for each column of the observable, in its unit.

    Parameters
    ----------
    mean : ndarray of float64, shape (columns,)
        Of the run as it was made, with the mean of the potentials; mean over the members of a property committee.
    sampling_error : ndarray of float64, shape (columns,)
        Standard error of the mean, by the jackknife over blocks.
    model_error : ndarray of float64, shape (columns,)
        Standard deviation over members (ddof 1), or over all pairs of members of two committees.
    noise_floor : ndarray of float64, shape (columns,)
        The model error that a run of this length would show, by chance, for members whose averages are equal; a part
        of every model error, to be subtracted in squares if at all.
    potential_error, property_error : ndarray of float64, shape (columns,)
        σ_aV and σ_a: what each committee alone would give. The second is zero without a committee of properties.
    second_order : ndarray of float64, shape (columns,)
        Root mean square over members of ½ <δa δh²>, the first term that CEA leaves out.
    members : ndarray of float64, shape (potential members, property members, columns)
        <a_j>_i; one property member where the observable is not that of a committee.
    spread : ndarray of float64, shape (potential members,)
        Standard deviation of h_i, in units of k_B T.
    effective_samples : ndarray of float64, shape (potential members,)
        Samples of equal weight that those with the weights exp(−h_i) would be worth (Kish); memory is not in it.
    growth : float
        Factor by which sampling errors were made larger, as blocks remember each other.
    method : str
        ``cea`` or ``direct``.
    warnings : tuple of str
        What speaks against these numbers.
    """

    mean: np.ndarray
    sampling_error: np.ndarray
    model_error: np.ndarray
    noise_floor: np.ndarray
    potential_error: np.ndarray
    property_error: np.ndarray
    second_order: np.ndarray
    members: np.ndarray
    spread: np.ndarray
    effective_samples: np.ndarray
    growth: float
    method: str
    warnings: tuple[str, ...]


class ModelErrors(NamedTuple):
    """Standard deviations of two committees together, of the potentials, and of the properties."""

    both: np.ndarray
    potentials: np.ndarray
    properties: np.ndarray


def committee_average(
    energies: np.ndarray,
    observable: np.ndarray,
    temperature: float,
    method: str = "cea",
    calibration: float = 1.0,
    blocks: int = 16,
) -> CommitteeAverage:
    """An average with the errors that the sampling and a committee of potentials give to it.

    Parameters
    ----------
    energies : ndarray of float64, shape (samples, members) or (samples, beads, members)
        V_i of each sample, or of each bead of it, in eV; the run was made with their mean over members.
    observable : ndarray of float64, shape (samples,) or (samples, columns)
        For path integrals an estimator of the whole ring polymer, as the mean over beads.
    temperature : float
        In K; that of the run, not the one of the ring polymer's P times as hot beads.
    method : str
        ``direct``: <a>_i = <a e^(−h_i)>/<e^(−h_i)>. ``cea``: the cumulant expansion of this to first order in h_i,
        <a>_i ≈ <a> − [<a h_i> − <a><h_i>], exact where a and h_i are jointly Gaussian, and far less noisy (Ceriotti,
        Brain, Riordan, Manolopoulos, Proc. R. Soc. A 468, 2 (2012)).
    calibration : float
        α of V_i ← V̄ + α (V_i − V̄).
    blocks : int
        Contiguous parts of the run that errors come from.

    Raises
    ------
    SamplingError
        If numbers do not belong together or are not finite, there are fewer than two members, fewer samples than
        blocks, or too few effective samples for direct weights.
    """
    values = np.asarray(observable, dtype=np.float64)
    if values.ndim not in (1, 2):
        given = f"the observable has the shape {values.shape}"
        raise SamplingError(f"{given}; (samples,) or (samples, columns) is needed")
    deviations = reduced_deviations(energies, temperature, calibration)
    return _average(deviations, values[:, None, None] if values.ndim == 1 else values[:, None, :], method, blocks)


def two_committee_average(
    energies: np.ndarray,
    properties: np.ndarray,
    temperature: float,
    method: str = "cea",
    calibration: float = 1.0,
    property_calibration: float = 1.0,
    blocks: int = 16,
) -> CommitteeAverage:
    """An average of a property that is predicted by a committee, too, with the errors of both committees.

    σ² = [M_V (M_a − 1) σ_a² + M_a (M_V − 1) σ_aV²]/(M_a M_V − 1) (Imbalzano et al. 2021), σ_a² being the variance
    over property members of their averages, and σ_aV² the mean over property members of the variance over potential
    members. It is the variance of <a_j>_i over all pairs.

    Parameters
    ----------
    energies, temperature, method, calibration, blocks
        As for ``committee_average``.
    properties : ndarray of float64, shape (samples, property members) or (samples, property members, columns)
        a_j of each sample, by every member.
    property_calibration : float
        α of a_j ← ā + α (a_j − ā), ā being the mean over members.

    Raises
    ------
    SamplingError
        As for ``committee_average``, or if there are fewer than two property members.
    """
    values = np.asarray(properties, dtype=np.float64)
    if values.ndim not in (2, 3) or values.shape[1] < 2:
        wanted = "(samples, members) or (samples, members, columns) is needed, with at least two members"
        raise SamplingError(f"the property committee has the shape {values.shape}; {wanted}")
    values = _calibrated(values[..., None] if values.ndim == 2 else values, property_calibration, axis=1)
    return _average(reduced_deviations(energies, temperature, calibration), values, method, blocks)


def reduced_deviations(energies: np.ndarray, temperature: float, calibration: float = 1.0) -> np.ndarray:
    """h_i = (β/P) Σ_k [V_i(q_k) − V̄(q_k)]; with one bead β (V_i − V̄).

    Parameters
    ----------
    energies : ndarray of float64, shape (samples, members) or (samples, beads, members)
        In eV.
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
    _check_finite("energies", energies)
    _check_positive("temperature in K", temperature)
    deviations = _calibrated(energies, calibration, axis=-1) - energies.mean(axis=-1, keepdims=True)
    if deviations.ndim == 3:
        deviations = deviations.mean(axis=1)
    return deviations / (kB * temperature)


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


def check_effective_samples(worth: np.ndarray) -> None:
    """Refuse weights that leave too few samples.

    Parameters
    ----------
    worth : ndarray of float64, shape (members,)
        Effective samples of each member.

    Raises
    ------
    SamplingError
        If one of them is below the limit.
    """
    member = int(np.argmin(worth))
    if worth[member] < LEAST_EFFECTIVE_SAMPLES:
        given = f"direct weights of member {member} leave {worth[member]:.3g} effective samples"
        raise SamplingError(f"{given}; at least {LEAST_EFFECTIVE_SAMPLES} are needed: use the method 'cea'")


def _average(deviations: np.ndarray, values: np.ndarray, method: str, blocks: int) -> CommitteeAverage:
    """The average of values (samples, property members, columns) for deviations (samples, potential members)."""
    _check_average(deviations, values, method, blocks)
    # covariances do not depend on the origins, but their rounding does
    origin = values.mean(axis=0)
    centred = (values - origin).reshape(len(values), -1)
    deviations = deviations - deviations.mean(axis=0)
    worth = np.array([effective_samples(-h) for h in deviations.T])
    if method == "direct":
        check_effective_samples(worth)
    moments = _moments(deviations, centred, method, blocks)
    shape = (deviations.shape[1] + 1, centred.shape[1] + 1)

    def averages(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of the run, (…, property members, columns), and of each member of the potentials before them."""
        sums = sums.reshape(*sums.shape[:-1], *shape)
        run = sums[..., :1, 1:] / sums[..., :1, :1]
        weighted = sums[..., 1:, :]
        if method == "direct":
            members = weighted[..., 1:] / weighted[..., :1]
        else:
            weighted = weighted / sums[..., :1, :1]
            members = run - (weighted[..., 1:] - run * weighted[..., :1])
        batch = sums.shape[:-2]
        return run.reshape(*batch, *origin.shape) + origin, members.reshape(*batch, -1, *origin.shape) + origin

    def differences(sums: np.ndarray) -> np.ndarray:
        """Of each pair of members from the mean of all, flattened."""
        members = averages(sums)[1]
        return (members - members.mean(axis=(-3, -2), keepdims=True)).reshape(*sums.shape[:-1], -1)

    members = averages(moments.whole)[1]
    mean = moments.jackknife(lambda sums: averages(sums)[0].mean(axis=-2))
    noise = moments.jackknife(differences).standard_errors.reshape(members.shape)
    pairs = members.shape[0] * members.shape[1]
    floor = np.sqrt(np.square(noise).sum(axis=(0, 1)) / (pairs - 1))
    third = np.square(deviations).T @ centred / (2 * len(values))
    second_order = np.sqrt(np.square(third.reshape(members.shape)).mean(axis=(0, 1)))
    errors, spread = model_errors(members), deviations.std(axis=0)
    return CommitteeAverage(
        mean=mean.values,
        sampling_error=mean.standard_errors,
        model_error=errors.both,
        noise_floor=floor,
        potential_error=errors.potentials,
        property_error=errors.properties,
        second_order=second_order,
        members=members,
        spread=spread,
        effective_samples=worth,
        growth=mean.growth,
        method=method,
        warnings=_warnings(method, spread, errors, floor, second_order),
    )


def _moments(deviations: np.ndarray, values: np.ndarray, method: str, blocks: int) -> Histograms:
    """Sums of 1 and h_i, or of 1 and the weight of i, times 1 and each value: all that averages are functions of.

    Such sums are to averages what a histogram is to a profile, so that errors come from the same jackknife.
    """
    factors = np.exp(deviations.min(axis=0) - deviations) if method == "direct" else deviations
    ones = np.ones((len(values), 1))
    factors, values = np.hstack([ones, factors]), np.hstack([ones, values])

    def left_out(units: int) -> tuple[np.ndarray, LeftOut]:
        cuts = np.linspace(0, len(values), units + 1).astype(int)
        sums = np.array([factors[a:b].T @ values[a:b] for a, b in pairwise(cuts)])
        sums = sums.reshape(units, -1)
        whole = sums.sum(axis=0)
        return whole, LeftOut(whole - sums, np.diff(cuts) / len(values))

    whole, without = left_out(blocks)
    return Histograms(whole, without, left_out(blocks // 2)[1], np.zeros(len(values)))


def _calibrated(values: np.ndarray, calibration: float, axis: int) -> np.ndarray:
    """y_i ← ȳ + α (y_i − ȳ) along an axis."""
    _check_positive("calibration", calibration)
    mean = values.mean(axis=axis, keepdims=True)
    return mean + calibration * (values - mean)


def _warnings(
    method: str, spread: np.ndarray, errors: ModelErrors, floor: np.ndarray, second_order: np.ndarray
) -> tuple[str, ...]:
    """What speaks against the model errors."""
    found = []
    member = int(np.argmax(spread))
    limit = LINEAR_SPREAD if method == "cea" else WEIGHTED_SPREAD
    if spread[member] > limit:
        largest = f"h of member {member} varies by {spread[member]:.3g}, more than {limit:g}"
        if method == "cea":
            known = errors.potentials > 0
            ratio = np.max(second_order[known] / errors.potentials[known], initial=0.0)
            meaning = "the expansion may have left its linear range"
            found.append(f"{largest}: {meaning}; its next term is up to {ratio:.2g} of the error of the potentials")
        else:
            found.append(f"{largest}: few samples carry the direct weights")
    noisy = np.square(floor) > LARGEST_SHARE_OF_NOISE * np.square(errors.both)
    if noisy.any():
        counted = f"{np.count_nonzero(noisy)} of {noisy.size} model errors"
        found.append(f"{counted} are hardly larger than what sampling alone would give; a longer run would tell")
    return tuple(found)


def _check_average(deviations: np.ndarray, values: np.ndarray, method: str, blocks: int) -> None:
    """Refuse what no average, or no error of one, can be made of."""
    if method not in METHODS:
        raise SamplingError(f"the method {method!r} is unknown; there are {', '.join(METHODS)}")
    if len(values) != len(deviations):
        raise SamplingError(
            f"energies have {len(deviations)} samples, the observable has {len(values)}; they must be the same"
        )
    if not values.size:
        raise SamplingError("the observable has no column; at least one is needed")
    _check_finite("values of the observable", values)
    if blocks < FEWEST_UNITS:
        raise SamplingError(f"{blocks} blocks say too little about an error; at least {FEWEST_UNITS} are needed")
    if len(values) < blocks:
        raise SamplingError(f"a run of {len(values)} samples cannot be cut into {blocks} blocks")


def _check_finite(name: str, numbers: np.ndarray) -> None:
    wrong = np.count_nonzero(~np.isfinite(numbers))
    if wrong:
        raise SamplingError(f"{wrong} of {numbers.size} {name} are not finite; all must be")


def _check_positive(name: str, number: float) -> None:
    if not (np.isfinite(number) and number > 0):
        raise SamplingError(f"the {name} is {number}; it must be positive")
