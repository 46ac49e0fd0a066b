"""The error that a committee of potentials puts on a free-energy profile of a run made with the committee's mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase.units import kB

from .biased_series import BiasedSeries
from .committee_reweighting import METHODS, check_effective_samples, reduced_deviations
from .errors import SamplingError
from .histograms import histograms_of, occupation
from .profile import FreeEnergyProfile, series_profile


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
    """

    profile: FreeEnergyProfile
    members: np.ndarray
    model_error: np.ndarray


def uncertain_profile(
    series: Sequence[BiasedSeries],
    energies: Sequence[np.ndarray],
    edges: np.ndarray,
    temperature: float,
    method: str = "cea",
    calibration: float = 1.0,
    blocks: int = 16,
    independent: bool = True,
) -> UncertainProfile:
    """The profile of biased or unbiased runs and its model error.

    ``direct``: −h_i is added to the log weights of the runs. ``cea``: to first order in h_i the free energy of a bin
    moves by F_i(s) − F(s) = k_B T [<h_i>_s − <h_i>], the mean of h_i in the bin minus that over the range; the
    cumulant expansion of Imbalzano et al., J. Chem. Phys. 154, 074102 (2021), with −ln p as the observable rather
    than p, which stays positive.

    Parameters
    ----------
    series : sequence of BiasedSeries
    energies : sequence of ndarray of float64, shape (samples, members) or (samples, beads, members)
        V_i at the samples of each run, without the bias, in eV; for path integrals of every bead.
    edges, temperature, blocks, independent
        As for ``series_profile``.
    method : str
        ``cea`` or ``direct``.
    calibration : float
        α of V_i ← V̄ + α (V_i − V̄).

    Raises
    ------
    SamplingError
        If numbers do not belong together, direct weights leave too few effective samples, or as for
        ``series_profile``.
    """
    if method not in METHODS:
        raise SamplingError(f"the method {method!r} is unknown; there are {', '.join(METHODS)}")
    profile = series_profile(series, edges, temperature, blocks, independent)
    deviations = [reduced_deviations(each, temperature, calibration) for each in energies]
    _check(series, deviations)
    free_energy = np.full(len(profile.density), np.nan)
    sampled = profile.density > 0
    free_energy[sampled] = -kB * temperature * np.log(profile.density[sampled])
    if method == "cea":
        shifts = _expanded(series, deviations, profile.edges, blocks, independent)
        members = free_energy + kB * temperature * shifts
    else:
        members = _weighted(series, deviations, profile.edges, temperature, blocks, independent)
    return UncertainProfile(profile, members, members.std(axis=0, ddof=1))


def _expanded(
    series: Sequence[BiasedSeries], deviations: Sequence[np.ndarray], edges: np.ndarray, blocks: int, independent: bool
) -> np.ndarray:
    """<h_i>_s − <h_i> of each member, shape (members, bins)."""
    weights = np.exp(histograms_of(series, edges, blocks, independent).log_weights)[:, None]
    inside = occupation(np.concatenate([run.values for run in series]), edges)
    h = np.concatenate(deviations)
    density = inside.T @ weights
    sums = inside.T @ (weights * (h - h.mean(axis=0)))
    with np.errstate(divide="ignore", invalid="ignore"):
        return (sums / density - sums.sum(axis=0) / density.sum()).T


def _weighted(
    series: Sequence[BiasedSeries],
    deviations: Sequence[np.ndarray],
    edges: np.ndarray,
    temperature: float,
    blocks: int,
    independent: bool,
) -> np.ndarray:
    """−k_B T ln p_i(s) of each member by direct weights, shape (members, bins)."""
    members = [
        [BiasedSeries(run.values, run.log_weights - h[:, member]) for run, h in zip(series, deviations, strict=True)]
        for member in range(deviations[0].shape[1])
    ]
    check_effective_samples(np.array([_worth(runs) for runs in members]))
    densities = [series_profile(runs, edges, temperature, blocks, independent).density for runs in members]
    with np.errstate(divide="ignore"):
        free_energies = -kB * temperature * np.log(densities)
    return np.where(np.isfinite(free_energies), free_energies, np.nan)


def _worth(runs: Sequence[BiasedSeries]) -> float:
    """Effective samples of runs whose weights are normalised to their number of samples, as in a profile."""
    samples = np.array([run.samples for run in runs])
    return float(samples.sum() ** 2 / np.sum(samples**2 / np.array([run.effective_samples for run in runs])))


def _check(series: Sequence[BiasedSeries], deviations: Sequence[np.ndarray]) -> None:
    """Refuse energies that are not those of the runs."""
    if len(series) != len(deviations):
        raise SamplingError(f"{len(series)} runs have energies of {len(deviations)}; each needs its own")
    for number, (run, h) in enumerate(zip(series, deviations, strict=True)):
        if len(h) != run.samples:
            raise SamplingError(f"run {number} has {run.samples} samples and energies of {len(h)}; each needs its own")
    members = sorted({h.shape[1] for h in deviations})
    if len(members) > 1:
        raise SamplingError(f"energies are those of {members} members; one number is needed")
