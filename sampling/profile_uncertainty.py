"""The error that a committee of potentials puts on free energies of runs made with the committee's mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from ase.units import kB

from .biased_series import BiasedSeries, effective_samples
from .errors import SamplingError
from .histograms import histograms_of, occupation
from .jackknife import Histograms
from .member_deviations import (
    NextTerm,
    check_members,
    judged,
    reasons_to_refuse,
    reduced_deviations,
    warnings_of,
    worth_of_members,
)
from .method import CEA, Method
from .multistate import Multistate, Window
from .profile import FreeEnergyProfile, series_profile, window_profile
from .weighted_sums import normalised_weights, sums_of_runs

Samples = Sequence[BiasedSeries] | Sequence[Window]


@dataclass(frozen=True)
class UncertainProfile:
    """A free-energy profile with a sampling error and a model error.

    Parameters
    ----------
    profile : FreeEnergyProfile
        Of the committee's mean; its standard error is the sampling error.
    members : ndarray of float64, shape (members, bins)
        −k_B T ln p_i(s) of each member, p_i being normalised over the range, in eV; not a number where nothing was
        sampled. No minimum is made zero, as that would hide what members say about it.
    model_error : ndarray of float64, shape (bins,)
        Standard deviation of the members (ddof 1), in eV.
    noise_floor : ndarray of float64, shape (bins,)
        The model error that runs of this length would show, by chance, for members whose profiles are equal, in eV; a
        part of every model error.
    spread : ndarray of float64, shape (members,)
        Standard deviation of h_i over the unbiased ensemble, in units of k_B T.
    effective_samples : ndarray of float64, shape (members,)
        Samples of equal weight that those with the weights of the runs times exp(−h_i) would be worth (Kish).
    method : str
        ``cea`` or ``direct``.
    warnings : tuple of str
        What speaks against the model errors.
    """

    profile: FreeEnergyProfile
    members: np.ndarray
    model_error: np.ndarray
    noise_floor: np.ndarray
    spread: np.ndarray
    effective_samples: np.ndarray
    method: str
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class UncertainDifference:
    """A free-energy difference with a sampling error and a model error.

    Parameters
    ----------
    value, sampling_error, model_error, noise_floor : float
        As for ``UncertainProfile``, in eV.
    members : ndarray of float64, shape (members,)
        Of each member, in eV.
    spread, effective_samples : ndarray of float64, shape (members,)
    method : str
    warnings : tuple of str
    """

    value: float
    sampling_error: float
    model_error: float
    noise_floor: float
    members: np.ndarray
    spread: np.ndarray
    effective_samples: np.ndarray
    method: str
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Weighted:
    """Sums of every bin, and what the weights of members are worth."""

    sums: Histograms
    spread: np.ndarray
    worth: np.ndarray
    members: int
    worth_of_run: float
    method: Method

    def of_bins(self, sums: np.ndarray) -> np.ndarray:
        """Sums (…, bins, 1 + members): weights of the run, then those times h_i or times the weight of i."""
        return self._factors(sums)[..., : 1 + self.members]

    def variances(self, sums: np.ndarray) -> np.ndarray:
        """Variance of h_i in every bin, and after them in all bins together, (…, bins + 1, members)."""
        factors = self._factors(sums)
        factors = np.concatenate([factors, factors.sum(axis=-2, keepdims=True)], axis=-2)
        means = factors[..., 1:] / factors[..., :1]
        return means[..., self.members :] - np.square(means[..., : self.members])

    def _factors(self, sums: np.ndarray) -> np.ndarray:
        """The same as `of_bins`, for ``cea`` with those times h_i² at the end."""
        return sums.reshape(*sums.shape[:-1], -1, 1 + self.members * (1 if self.method.is_direct else 2))

    def judged(
        self, function: Callable[[np.ndarray], np.ndarray], errors: np.ndarray, scale: np.ndarray
    ) -> tuple[tuple[str, ...], float | None]:
        """Warnings of numbers that are given by force, and the next term over the error.

        Parameters
        ----------
        function : callable
            Makes the next term (…, members, values) of variances.
        errors, scale : ndarray of float64, shape (values,)
            Model errors and sampling errors.
        """
        if self.method.is_direct:
            return judged(
                reasons_to_refuse(self.method.name, self.spread, self.worth, self.worth_of_run, None),
                self.method.forced,
            ), None

        def flat(sums: np.ndarray) -> np.ndarray:
            return function(self.variances(sums)).reshape(*sums.shape[:-1], -1)

        estimate = self.sums.jackknife(flat)
        size, noise = (
            np.sqrt(np.square(one.reshape(self.members, -1)).mean(axis=0))
            for one in (estimate.values, estimate.standard_errors)
        )
        term = NextTerm(size, noise, errors, scale)
        reasons = reasons_to_refuse(self.method.name, self.spread, self.worth, self.worth_of_run, term)
        return judged(reasons, self.method.forced), term.largest_ratio

    def noise_floor(self, function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """What a function of the sums, (…, members, values), would differ by between members by chance, (values,)."""

        def differences(sums: np.ndarray) -> np.ndarray:
            members = function(sums)
            return (members - members.mean(axis=-2, keepdims=True)).reshape(*sums.shape[:-1], -1)

        noise = self.sums.jackknife(differences).standard_errors.reshape(self.members, -1)
        return np.sqrt(np.square(noise).sum(axis=0) / (self.members - 1))


def uncertain_profile(
    series: Samples,
    energies: Sequence[np.ndarray],
    edges: np.ndarray,
    temperature: float,
    method: Method = CEA,
) -> UncertainProfile:
    """The profile of biased or unbiased runs, or of umbrella windows, and its model error.

    ``direct``: −h_i is added to the log weights of the runs. ``cea``: to first order in h_i the free energy of a bin
    moves by F_i(s) − F(s) = k_B T [<h_i>_s − <h_i>], the mean of h_i in the bin minus that over the range; the
    cumulant expansion of Imbalzano et al., J. Chem. Phys. 154, 074102 (2021), with −ln p as the observable rather
    than p, which stays positive.

    Weights of umbrella windows are those of MBAR, which belong to the unbiased ensemble of the mean, whatever window a
    sample is from; that they are not known exactly is not part of the noise floor.

    Parameters
    ----------
    series : sequence of BiasedSeries or of Window
    energies : sequence of ndarray of float64, shape (samples, members) or (samples, beads, members)
        V_i at the samples of each run, without the bias, in eV; for path integrals of every bead, or their mean.
    edges, temperature
        As for ``series_profile`` and ``window_profile``.
    method : Method

    Raises
    ------
    SamplingError
        If numbers do not belong together, direct weights leave too few effective samples, members are beyond what the
        expansion can reach (``member_deviations.reasons_to_refuse``; its next term is −½ k_B T [var_s h_i − var h_i]),
        or as for ``series_profile``.
    """
    windows, runs = _windows_of(series), _runs_of(series)
    if windows:
        profile = window_profile(windows, edges, temperature, method.blocks)
    else:
        profile = series_profile(runs, edges, temperature, method.blocks, method.independent)
    weighted = _weighted(series, energies, profile.edges, temperature, method)
    widths = np.diff(profile.edges)[:, None]
    thermal_energy = kB * temperature

    def free_energies(sums: np.ndarray) -> np.ndarray:
        """Of each member, (…, members, bins)."""
        bins = weighted.of_bins(sums)
        run, members = bins[..., :1], bins[..., 1:]
        if method.is_direct:
            values = -np.log(members / (members.sum(axis=-2, keepdims=True) * widths))
        else:
            total = run.sum(axis=-2, keepdims=True)
            values = -np.log(run / (total * widths)) + members / run - members.sum(axis=-2, keepdims=True) / total
        return thermal_energy * np.swapaxes(values, -1, -2)

    with np.errstate(divide="ignore", invalid="ignore"):
        members = free_energies(weighted.sums.whole)
    members = np.where(np.isfinite(members), members, np.nan)
    model_error, floor = members.std(axis=0, ddof=1), weighted.noise_floor(free_energies)

    def next_terms(variances: np.ndarray) -> np.ndarray:
        return -thermal_energy / 2 * np.swapaxes(variances[..., :-1, :] - variances[..., -1:, :], -1, -2)

    reasons, ratio = weighted.judged(next_terms, model_error, profile.standard_error)
    warnings = reasons + warnings_of(method.name, weighted.spread, model_error, floor, ratio)
    return UncertainProfile(
        profile, members, model_error, floor, weighted.spread, weighted.worth, method.name, warnings
    )


def uncertain_difference(
    series: Samples,
    energies: Sequence[np.ndarray],
    first: tuple[float, float],
    second: tuple[float, float],
    temperature: float,
    method: Method = CEA,
) -> UncertainDifference:
    """F(first) − F(second) of two ranges of the variable, as ``free_energy_difference``, and its model error.

    ``direct``: −k_B T ln (P_first/P_second) with −h_i added to the log weights. ``cea``: it moves by
    k_B T [<h_i>_first − <h_i>_second], means over the two ranges; see ``uncertain_profile``.

    Parameters
    ----------
    series, energies, temperature, method
        As for ``uncertain_profile``.
    first, second : tuple of two floats
        Lowest and highest value of each range; ranges do not overlap.

    Raises
    ------
    SamplingError
        If ranges overlap, one of them was never visited, or as for ``uncertain_profile``.
    """
    lower, higher = sorted([first, second])
    if not lower[0] < lower[1] <= higher[0] < higher[1]:
        raise SamplingError(f"the ranges {first} and {second} must each increase and not overlap")
    edges = np.unique([*lower, *higher])
    places = np.searchsorted(edges, [first[0], second[0]])
    histograms = histograms_of(series, edges, method.blocks, method.independent)
    for region, place in zip((first, second), places, strict=True):
        if histograms.whole[place] <= 0:
            raise SamplingError(f"nothing was sampled from {region[0]:g} to {region[1]:g}")
    weighted = _weighted(series, energies, edges, temperature, method)
    thermal_energy = kB * temperature

    def difference(histogram: np.ndarray) -> np.ndarray:
        return -thermal_energy * np.log(histogram[..., places[:1]] / histogram[..., places[1:]])

    def differences(sums: np.ndarray) -> np.ndarray:
        """Of each member, (…, members, 1)."""
        bins = weighted.of_bins(sums)[..., places, :]
        run, members = bins[..., :1], bins[..., 1:]
        values = -np.log(members) if method.is_direct else -np.log(run) + members / run
        return thermal_energy * (values[..., 0, :] - values[..., 1, :])[..., None]

    estimate = histograms.jackknife(difference)
    members = differences(weighted.sums.whole)[:, 0]
    model_error, floor = members.std(ddof=1), weighted.noise_floor(differences)

    def next_terms(variances: np.ndarray) -> np.ndarray:
        change = variances[..., places[:1], :] - variances[..., places[1:], :]
        return -thermal_energy / 2 * np.swapaxes(change, -1, -2)

    reasons, ratio = weighted.judged(next_terms, np.array([model_error]), estimate.standard_errors)
    return UncertainDifference(
        value=float(estimate.values[0]),
        sampling_error=float(estimate.standard_errors[0]),
        model_error=float(model_error),
        noise_floor=float(floor[0]),
        members=members,
        spread=weighted.spread,
        effective_samples=weighted.worth,
        method=method.name,
        warnings=reasons + warnings_of(method.name, weighted.spread, np.array([model_error]), floor, ratio),
    )


def _weighted(
    series: Samples,
    energies: Sequence[np.ndarray],
    edges: np.ndarray,
    temperature: float,
    method: Method,
) -> _Weighted:
    """Sums over the samples in every bin."""
    deviations = [reduced_deviations(each, temperature, method.calibration) for each in energies]
    _check(series, deviations)
    windows = _windows_of(series)
    lengths = np.cumsum([run.samples for run in series])[:-1]
    logarithms = (
        np.split(Multistate(windows).log_weights(), lengths) if windows else [one.log_weights for one in series]
    )
    weights = np.concatenate(normalised_weights(logarithms, bool(windows)))
    joined = np.concatenate(deviations)
    means = weights @ joined / len(weights)
    worth = worth_of_members(joined, np.log(weights))
    spread = np.sqrt(weights @ np.square(joined - means) / len(weights))
    if method.is_direct:
        judged(reasons_to_refuse(method.name, spread, worth, len(weights), None), method.forced)
    lowest = joined.min(axis=0)
    moved = [h - means for h in deviations]
    factors = (
        [np.exp(lowest - h) for h in deviations] if method.is_direct else [np.hstack([h, np.square(h)]) for h in moved]
    )
    sums = sums_of_runs(
        [np.hstack([np.ones((len(own), 1)), own]) for own in factors],
        [occupation(run.values, edges) for run in series],
        logarithms,
        method.blocks,
        method.independent,
        comparable=bool(windows),
    )
    return _Weighted(sums, spread, worth, joined.shape[1], effective_samples(np.log(weights)), method)


def _windows_of(series: Samples) -> list[Window]:
    return [run for run in series if isinstance(run, Window)]


def _runs_of(series: Samples) -> list[BiasedSeries]:
    return [run for run in series if isinstance(run, BiasedSeries)]


def _check(series: Samples, deviations: Sequence[np.ndarray]) -> None:
    """Refuse energies that are not those of the runs."""
    if len(series) != len(deviations):
        raise SamplingError(f"{len(series)} runs have energies of {len(deviations)}; each needs its own")
    for number, (run, h) in enumerate(zip(series, deviations, strict=True)):
        if len(h) != run.samples:
            raise SamplingError(f"run {number} has {run.samples} samples and energies of {len(h)}; each needs its own")
    check_members(deviations)
