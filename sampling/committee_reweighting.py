"""The error that a committee of potentials puts on an average of a run, which was made with the committee's mean.

Each member of the committee has an ensemble of its own. Its averages come from the same run, by weights or by their
cumulant expansion, and their spread is the model error (Imbalzano, Zhuang, Kapil, Rossi, Engel, Grasselli, Ceriotti,
J. Chem. Phys. 154, 074102 (2021)). That the run is finite is another error, which stands beside it.

The run may be biased: log weights take the bias away, and covariances are weighted like averages. Several runs of one
ensemble are averaged as in profiles, each with weights that are normalised to the number of its samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .biased_series import effective_samples
from .errors import SamplingError
from .jackknife import Histograms
from .member_deviations import (
    LEAST_EFFECTIVE_SAMPLES,
    METHODS,
    ModelErrors,
    NextTerm,
    check_finite,
    check_members,
    judged,
    model_errors,
    reasons_to_refuse,
    reduced_deviations,
    scaled_about_mean,
    warnings_of,
    worth_of_members,
)
from .method import CEA, Method
from .weighted_sums import normalised_weights, sums_of_runs

__all__ = [
    "METHODS",
    "CommitteeAverage",
    "ModelErrors",
    "committee_average",
    "model_errors",
    "reduced_deviations",
    "two_committee_average",
]

Runs = np.ndarray | Sequence[np.ndarray]  # one run, or several


@dataclass(frozen=True)
class CommitteeAverage:
    """An average, its sampling error, and its model error.

    Arrays have one number for each column of the observable, in its unit.

    Parameters
    ----------
    mean : ndarray of float64, shape (columns,)
        Of the run as it was made, with the mean of the potentials, without its bias; mean over the members of a
        property committee.
    sampling_error : ndarray of float64, shape (columns,)
        Standard error of the mean, by the jackknife over blocks, or over runs from 8 on.
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
        Samples of equal weight that those with the weights exp(−h_i), times those of the run, would be worth (Kish);
        memory is not in it.
    growth : float
        Factor by which sampling errors were made larger, as blocks remember each other.
    method : str
        ``cea`` or ``direct``.
    warnings : tuple of str
        What speaks against these numbers.
    samples : int
        Of all runs.
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
    samples: int


def committee_average(
    energies: Runs,
    observable: Runs,
    temperature: float,
    method: Method = CEA,
    log_weights: Runs | None = None,
) -> CommitteeAverage:
    """An average with the errors that the sampling and a committee of potentials give to it.

    Parameters
    ----------
    energies : ndarray of float64, shape (samples, members) or (samples, beads, members), or a sequence of them
        V_i of each sample, or of each bead of it, without a bias, in eV; the run was made with their mean over members.
        A sequence is several runs.
    observable : ndarray of float64, shape (samples,) or (samples, columns), or a sequence of them
        For path integrals an estimator of the whole ring polymer, as the mean over beads.
    temperature : float
        In K; that of the run, not the one of the ring polymer's P times as hot beads.
    method : Method
    log_weights : ndarray of float64, shape (samples,), or a sequence of them, optional
        β V of the bias of each run, which it takes away; none without a bias.

    Raises
    ------
    SamplingError
        If numbers do not belong together or are not finite, there are fewer than two members, fewer samples than
        blocks, too few effective samples for direct weights, or members beyond what the expansion can reach; see
        ``member_deviations.reasons_to_refuse``.
    """
    values = []
    for own in _runs_of(observable):
        if own.ndim not in (1, 2):
            given = f"the observable has the shape {own.shape}"
            raise SamplingError(f"{given}; (samples,) or (samples, columns) is needed")
        values.append(own[:, None, None] if own.ndim == 1 else own[:, None, :])
    deviations = [reduced_deviations(own, temperature, method.calibration) for own in _runs_of(energies)]
    return _average(deviations, values, log_weights, method)


def two_committee_average(
    energies: Runs,
    properties: Runs,
    temperature: float,
    method: Method = CEA,
    log_weights: Runs | None = None,
    property_calibration: float = 1.0,
    paired: bool = False,
) -> CommitteeAverage:
    """An average of a property that is predicted by a committee, too, with the errors of both committees.

    σ² = [M_V (M_a − 1) σ_a² + M_a (M_V − 1) σ_aV²]/(M_a M_V − 1) (Imbalzano et al. 2021), σ_a² being the variance
    over property members of their averages, and σ_aV² the mean over property members of the variance over potential
    members. It is the variance of <a_j>_i over all pairs.

    Parameters
    ----------
    energies, temperature, method, log_weights
        As for ``committee_average``.
    properties : ndarray of float64, shape (samples, property members) or (samples, property members, columns)
        a_j of each sample, by every member; or a sequence of them, several runs.
    property_calibration : float
        α of a_j ← ā + α (a_j − ā), ā being the mean over members.
    paired : bool
        Whether only <a_i>_i counts, as for the energy of each member: then there is one property member, and the model
        error is the standard deviation over i.

    Raises
    ------
    SamplingError
        As for ``committee_average``, if there are fewer than two property members, or if those of pairs are not as many
        as those of the potentials.
    """
    values = []
    for own in _runs_of(properties):
        if own.ndim not in (2, 3) or own.shape[1] < 2:
            wanted = "(samples, members) or (samples, members, columns) is needed, with at least two members"
            raise SamplingError(f"the property committee has the shape {own.shape}; {wanted}")
        values.append(scaled_about_mean(own[..., None] if own.ndim == 2 else own, property_calibration, axis=1))
    deviations = [reduced_deviations(own, temperature, method.calibration) for own in _runs_of(energies)]
    if paired and {own.shape[1] for own in (*deviations, *values)} != {deviations[0].shape[1]}:
        raise SamplingError("members of a property that are paired with those of the potential must be as many")
    return _average(deviations, values, log_weights, method, paired)


def _runs_of(values: Runs) -> list[np.ndarray]:
    """The arrays of each run; an array is one run."""
    return [np.asarray(own, dtype=np.float64) for own in ([values] if isinstance(values, np.ndarray) else values)]


def _average(
    deviations: Sequence[np.ndarray],
    values: Sequence[np.ndarray],
    log_weights: Runs | None,
    method: Method,
    paired: bool = False,
) -> CommitteeAverage:
    """The average of values (samples, property members, columns) for deviations (samples, potential members)."""
    logarithms = [np.zeros(len(h)) for h in deviations] if log_weights is None else _runs_of(log_weights)
    _check_average(deviations, values, logarithms)
    weights = np.concatenate(normalised_weights(logarithms))
    # covariances do not depend on the origins, but their rounding does
    joined = np.concatenate(deviations)
    means = (weights @ joined) / len(weights)
    origin = np.tensordot(weights, np.concatenate(values), axes=1) / len(weights)
    deviations = [h - means for h in deviations]
    columns = [(own - origin).reshape(len(own), -1) for own in values]
    worth = worth_of_members(joined, np.log(weights))
    squares = np.square(joined - means) * weights[:, None]
    spread = np.sqrt(squares.sum(axis=0) / len(weights))
    if method.is_direct:
        judged(reasons_to_refuse(method.name, spread, worth, len(weights), None), method.forced)
    moments = _moments(deviations, columns, logarithms, method)
    count = len(means)
    factors = 1 + count if method.is_direct else 1 + 2 * count

    def by_factor(sums: np.ndarray) -> np.ndarray:
        """Sums (…, factors, 1 + values)."""
        return sums.reshape(*sums.shape[:-1], -1, factors).swapaxes(-1, -2)

    def averages(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of the run, (…, property members, columns), and of each member of the potentials before them."""
        batch = sums.shape[:-1]
        sums = by_factor(sums)
        run = sums[..., :1, 1:] / sums[..., :1, :1]
        weighted = sums[..., 1 : 1 + count, :]
        if method.is_direct:
            members = weighted[..., 1:] / weighted[..., :1]
        else:
            weighted = weighted / sums[..., :1, :1]
            members = run - (weighted[..., 1:] - run * weighted[..., :1])
        members = members.reshape(*batch, -1, *origin.shape) + origin
        return run.reshape(*batch, *origin.shape) + origin, _pairs(members) if paired else members

    def differences(sums: np.ndarray) -> np.ndarray:
        """Of each pair of members from the mean of all, flattened."""
        members = averages(sums)[1]
        return (members - members.mean(axis=(-3, -2), keepdims=True)).reshape(*sums.shape[:-1], -1)

    def next_terms(sums: np.ndarray) -> np.ndarray:
        """½ <δa δh²> of each pair of members, flattened."""
        batch = sums.shape[:-1]
        sums = by_factor(sums) / by_factor(sums)[..., :1, :1]
        run, first, second = sums[..., :1, 1:], sums[..., 1 : 1 + count, :], sums[..., 1 + count :, :]
        linear = first[..., 1:] - run * first[..., :1]
        terms = (second[..., 1:] - run * second[..., :1]) / 2 - first[..., :1] * linear
        terms = terms.reshape(*batch, -1, *origin.shape)
        return (_pairs(terms) if paired else terms).reshape(*batch, -1)

    members = averages(moments.whole)[1]
    mean = moments.jackknife(lambda sums: averages(sums)[0].mean(axis=-2))
    noise = moments.jackknife(differences).standard_errors.reshape(members.shape)
    pairs = members.shape[0] * members.shape[1]
    floor = np.sqrt(np.square(noise).sum(axis=(0, 1)) / (pairs - 1))
    third = squares.T @ np.concatenate(columns) / (2 * len(weights))
    third = third.reshape(-1, *origin.shape)
    second_order = np.sqrt(np.square(_pairs(third) if paired else third).mean(axis=(0, 1)))
    errors, next_term = model_errors(members), None
    if not method.is_direct:
        doubt = moments.jackknife(next_terms).standard_errors.reshape(pairs, -1)
        next_term = NextTerm(
            second_order, np.sqrt(np.square(doubt).mean(axis=0)), errors.potentials, mean.standard_errors
        )
    reasons = reasons_to_refuse(method.name, spread, worth, effective_samples(np.log(weights)), next_term)
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
        method=method.name,
        warnings=judged(reasons, method.forced)
        + _warnings_of_weights(weights)
        + warnings_of(method.name, spread, errors.both, floor, None if next_term is None else next_term.largest_ratio),
        samples=len(weights),
    )


def _warnings_of_weights(weights: np.ndarray) -> tuple[str, ...]:
    """Say if weights that take a bias away leave few samples, whatever the members are."""
    worth = effective_samples(np.log(weights))
    if worth >= min(LEAST_EFFECTIVE_SAMPLES, 0.5 * len(weights)):
        return ()
    return (f"the weights of the bias leave {worth:.3g} effective samples of {len(weights)}",)


def _pairs(members: np.ndarray) -> np.ndarray:
    """Those of (…, members, members, columns) that are of one member, (…, members, 1, columns)."""
    return np.swapaxes(np.diagonal(members, axis1=-3, axis2=-2), -1, -2)[..., None, :]


def _moments(
    deviations: Sequence[np.ndarray],
    values: Sequence[np.ndarray],
    log_weights: Sequence[np.ndarray],
    method: Method,
) -> Histograms:
    """Sums of 1, h_i and h_i², or of 1 and the weight of i, times 1 and each value: all that averages are functions of.

    Such sums are to averages what a histogram is to a profile, so that errors come from the same jackknife.
    """
    lowest = np.min([h.min(axis=0) for h in deviations], axis=0)
    factors = [np.exp(lowest - h) if method.is_direct else np.hstack([h, np.square(h)]) for h in deviations]
    ones = [np.ones((len(h), 1)) for h in deviations]
    return sums_of_runs(
        [np.hstack(pair) for pair in zip(ones, factors, strict=True)],
        [np.hstack(pair) for pair in zip(ones, values, strict=True)],
        log_weights,
        method.blocks,
        method.independent,
    )


def _check_average(
    deviations: Sequence[np.ndarray], values: Sequence[np.ndarray], log_weights: Sequence[np.ndarray]
) -> None:
    """Refuse what no average can be made of."""
    if not deviations:
        raise SamplingError("there is no run; at least one is needed")
    if not len(deviations) == len(values) == len(log_weights):
        given = f"{len(deviations)} runs have observables of {len(values)} and weights of {len(log_weights)}"
        raise SamplingError(f"{given}; each needs its own")
    check_members(deviations)
    shapes = list(dict.fromkeys(own.shape[1:] for own in values))
    if len(shapes) > 1:
        raise SamplingError(f"observables of the runs have samples of the shapes {shapes}; they must be the same")
    for h, own, logarithms in zip(deviations, values, log_weights, strict=True):
        if len(own) != len(h):
            given = f"energies have {len(h)} samples, the observable has {len(own)}"
            raise SamplingError(f"{given}; they must be the same")
        if logarithms.shape != (len(h),):
            given = f"{len(h)} samples have log weights of the shape {logarithms.shape}"
            raise SamplingError(f"{given}; each needs one")
        if not own.size:
            raise SamplingError("the observable has no column; at least one is needed")
        check_finite("values of the observable", own)
        check_finite("log weights", logarithms)
