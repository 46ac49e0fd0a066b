"""Free energies of a reference from samples of another potential: perturbation, and acceptance ratios.

A model (ML) was sampled, the reference (REF) was evaluated at some of its samples, and A_REF − A_ML follows from the
differences ΔV = V_REF − V_ML alone. For a ring polymer of P beads, whose weight is exp[−(β/P) Σ_k (springs + V(q_k))],
the same holds with h = (β/P) Σ_k ΔV(q_k) in the place of β ΔV.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import scipy
from ase.units import kB

from .biased_series import effective_samples, samples_of
from .errors import SamplingError
from .jackknife import FEWEST_UNITS, Estimate, Histograms, LeftOut
from .multistate import NO_OVERLAP

WIDEST_SPREAD = 1.5  # of h; beyond it the average rests on few samples
FEWEST_EFFECTIVE = 50
# elements of the overlap matrix should be 0.03 at least (Klimovich, Shirts, Mobley, J. Comput. Aided Mol. Des. 29, 397
# (2015)); for equal numbers of samples that is half of what is called overlap here
LEAST_OVERLAP = 0.06
WINDOW = 5  # autocorrelation times until the sum over lags is cut (Sokal 1997)


@dataclass(frozen=True)
class Promotion:
    """A_REF − A_ML from samples of ML; all energies in eV.

    Parameters
    ----------
    difference : float
        −k_B T ln ⟨exp(−h)⟩.
    standard_error : float
        Of the difference, by the jackknife over blocks; not a number where one block has all the weight.
    predicted_standard_error, predicted_bias : float
        What Gaussian h of this spread would give.
    second_cumulant, second_cumulant_standard_error : float
        ⟨ΔV⟩ − β var/2, which is exact for Gaussian h and has less noise.
    spread : float
        Standard deviation of h, without unit.
    effective_samples : float
        Of the independent ones, how many of equal weight would be worth as much (Kish).
    independent_samples : int
        Samples that were left after thinning; all of the above comes from them.
    samples, beads : int
        What was given.
    autocorrelation_time : float
        τ_int of h, in samples.
    blocks : int
        Parts of the data that errors come from.
    temperature : float
        In K.
    warnings : tuple of str
        Why the difference should not be trusted, one line each.
    """

    difference: float
    standard_error: float
    predicted_standard_error: float
    predicted_bias: float
    second_cumulant: float
    second_cumulant_standard_error: float
    spread: float
    effective_samples: float
    independent_samples: int
    samples: int
    beads: int
    autocorrelation_time: float
    blocks: int
    temperature: float
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class AcceptanceRatio:
    """A_REF − A_ML from samples of both; all energies in eV.

    Parameters
    ----------
    difference, standard_error : float
    overlap : float
        One minus the second eigenvalue of the overlap matrix, as of umbrella windows: 1 for ensembles that are the
        same, 0 for those without common samples.
    samples, reference_samples : int
        Of ML and of REF, after thinning.
    beads : int
    temperature : float
        In K.
    warnings : tuple of str
        Why the difference should not be trusted, one line each.
    """

    difference: float
    standard_error: float
    overlap: float
    samples: int
    reference_samples: int
    beads: int
    temperature: float
    warnings: tuple[str, ...]


def promote(differences: np.ndarray, temperature: float, blocks: int = 16) -> Promotion:
    """A_REF − A_ML = −k_B T ln ⟨exp(−h)⟩_ML (Zwanzig, J. Chem. Phys. 22, 1420 (1954)).

    Samples are first thinned to one per 2 τ_int, which makes them nearly independent, unless τ_int is what independent
    samples can show by chance; everything comes from those.
    For Gaussian h of the spread σ and M samples the standard error is k_B T √[(e^σ² − 1)/M], and the difference is too
    large by k_B T (e^σ² − 1)/(2M) (Gore, Ritort, Bustamante, PNAS 100, 12564 (2003)), to the lowest order in 1/M.

    Parameters
    ----------
    differences : ndarray of float64, shape (samples,) or (samples, beads)
        V_REF − V_ML in eV at samples of ML, in the order of time. For path integrals the energy of each bead, not
        divided by P.
    temperature : float
        In K.
    blocks : int
        Contiguous parts of the thinned samples that errors come from; fewer where there are not as many samples.

    Raises
    ------
    SamplingError
        If numbers are not finite or do not belong together, or fewer than 8 samples are independent.
    """
    thermal_energy = _thermal_energy(temperature)
    if blocks < FEWEST_UNITS:
        raise SamplingError(f"{blocks} blocks say too little about an error; at least {FEWEST_UNITS} are needed")
    reduced, beads = _reduced(differences, thermal_energy)
    time = integrated_autocorrelation_time(reduced)
    kept = _thinned(reduced, time)
    blocks = min(blocks, len(kept))
    spread = float(kept.std(ddof=1))
    with np.errstate(over="ignore"):
        relative_variance = np.expm1(spread**2) / len(kept)
    estimate = _jackknife(kept, blocks)
    worth = effective_samples(-kept)
    return Promotion(
        difference=thermal_energy * float(estimate.values[0]),
        standard_error=thermal_energy * float(estimate.standard_errors[0]),
        predicted_standard_error=thermal_energy * float(np.sqrt(relative_variance)),
        predicted_bias=thermal_energy * float(relative_variance) / 2,
        second_cumulant=thermal_energy * float(estimate.values[1]),
        second_cumulant_standard_error=thermal_energy * float(estimate.standard_errors[1]),
        spread=spread,
        effective_samples=worth,
        independent_samples=len(kept),
        samples=len(reduced),
        beads=beads,
        autocorrelation_time=time,
        blocks=blocks,
        temperature=temperature,
        warnings=_warnings(spread, worth, len(kept)),
    )


def exponential_average(differences: np.ndarray, temperature: float) -> float:
    """−k_B T ln ⟨exp(−h)⟩ of all samples as they are, in eV: what there is to show while samples come in.

    Parameters
    ----------
    differences : ndarray of float64, shape (samples,) or (samples, beads)
    temperature : float
        As for ``promote``.

    Raises
    ------
    SamplingError
        If numbers are not finite or do not belong together.
    """
    thermal_energy = _thermal_energy(temperature)
    reduced, _ = _reduced(differences, thermal_energy)
    return thermal_energy * _exponential_average(reduced)


def acceptance_ratio(differences: np.ndarray, reference_differences: np.ndarray, temperature: float) -> AcceptanceRatio:
    """A_REF − A_ML from samples of both, by Bennett's acceptance ratio (J. Comput. Phys. 22, 245 (1976)).

    Both series are first thinned, as for ``promote``. pymbar solves the equation. With p_n, the probability that a
    sample at its place comes from ML, and S = Σ_n p_n (1 − p_n) over the samples of both, the variance of the
    difference is (k_B T)² (1/S − 1/M_ML − 1/M_REF) (Shirts, Chodera, J. Chem. Phys. 129, 124105 (2008), appendix E),
    which grows where overlap is poor.

    Parameters
    ----------
    differences, reference_differences : ndarray of float64, shape (samples,) or (samples, beads)
        V_REF − V_ML in eV, of this sign in both, at samples of ML and at those of REF, in the order of time.
    temperature : float
        In K.

    Raises
    ------
    SamplingError
        If numbers are not finite or do not belong together, fewer than 8 samples of either are independent, pymbar is
        missing, or the ensembles have no samples in common.
    """
    thermal_energy = _thermal_energy(temperature)
    forward, beads = _reduced(differences, thermal_energy)
    backward, reference_beads = _reduced(reference_differences, thermal_energy)
    if beads != reference_beads:
        raise SamplingError(f"samples of the model have {beads} beads, those of the reference {reference_beads}")
    forward, backward = (_thinned(series, integrated_autocorrelation_time(series)) for series in (forward, backward))
    difference = _bennett(forward, backward)
    exponents = np.log(len(forward) / len(backward)) + np.concatenate([forward, backward]) - difference
    common = float((scipy.special.expit(exponents) * scipy.special.expit(-exponents)).sum())
    one_of_each = 1 / len(forward) + 1 / len(backward)
    overlap = common * one_of_each
    if overlap < NO_OVERLAP:
        raise SamplingError("the model and the reference have no samples in common; a potential between is needed")
    poor = f"the overlap is {overlap:.2g}, less than {LEAST_OVERLAP:g}: the error may be too small"
    return AcceptanceRatio(
        difference=thermal_energy * difference,
        # rounding can make the variance of samples that are all equal negative
        standard_error=thermal_energy * float(np.sqrt(max(0.0, 1 / common - one_of_each))),
        overlap=overlap,
        samples=len(forward),
        reference_samples=len(backward),
        beads=beads,
        temperature=temperature,
        warnings=(poor,) if overlap < LEAST_OVERLAP else (),
    )


def standard_error_of_mean(series: np.ndarray, autocorrelation_time: float) -> float:
    """Standard error of the mean of M correlated samples, of which M/(2 τ_int) are independent.

    M. P. Allen, D. J. Tildesley, Computer Simulation of Liquids, 2nd ed., section 8.4.1.

    Parameters
    ----------
    series : ndarray of float64, shape (samples,)
        At least two.
    autocorrelation_time : float
        See `integrated_autocorrelation_time`, in samples.
    """
    return float(series.std(ddof=1) * np.sqrt(2 * autocorrelation_time / len(series)))


def integrated_autocorrelation_time(series: np.ndarray) -> float:
    """τ_int = 1/2 + Σ_t ρ(t) in samples, so that M samples are worth M/(2 τ_int) independent ones.

    The sum ends at the first lag of at least 5 τ_int, as later lags only add noise (Sokal, in Functional Integration,
    Plenum (1997), p. 131). As the mean comes from the same samples, ρ is too small at all lags, which is corrected to
    the lowest order (Wolff, Comput. Phys. Commun. 156, 143 (2004)). Written here, as perturbation should not need the
    optional pymbar, whose function stops at the first negative ρ and takes a step of Python for each lag.

    Parameters
    ----------
    series : ndarray of float64, shape (samples,)

    Returns
    -------
    float
        Not less than 1/2, which is that of independent samples, and of a series that does not change.

    Raises
    ------
    SamplingError
        If the shape is another one, there is no sample, or a number is not finite.
    """
    series = np.asarray(series, dtype=np.float64)
    if series.ndim != 1 or not series.size or not np.isfinite(series).all():
        raise SamplingError(f"a series has the shape {series.shape}; finite numbers of the shape (samples,) are needed")
    count = len(series)
    if not np.ptp(series):
        return 0.5
    # twice the length, so that the end does not meet the beginning
    transform = np.fft.rfft(series - series.mean(), 2 * count)
    correlation = np.fft.irfft(np.square(np.abs(transform)), 2 * count)[:count] / np.arange(count, 0, -1)
    times = np.cumsum(correlation / correlation[0]) - 0.5
    lags = np.arange(count)
    enough = np.flatnonzero(lags >= WINDOW * times)
    last = int(enough[0]) if enough.size else count - 1
    time = float(times[last])
    return max(0.5, time * (1 + (2 * last + 1) / count) / (1 + 2 * time / count))


def _thermal_energy(temperature: float) -> float:
    """k_B T in eV."""
    if not (np.isfinite(temperature) and temperature > 0):
        raise SamplingError(f"the temperature is {temperature} K; it must be positive")
    return kB * temperature


def _reduced(differences: np.ndarray, thermal_energy: float) -> tuple[np.ndarray, int]:
    """The h of every sample, shape (samples,), and the number of beads."""
    differences = np.asarray(differences, dtype=np.float64)
    values = differences[:, None] if differences.ndim == 1 else differences
    values, _ = samples_of(values, np.zeros(len(values) if values.ndim else 0))
    return values.mean(axis=1) / thermal_energy, values.shape[1]


def _thinned(reduced: np.ndarray, time: float) -> np.ndarray:
    """One sample per 2 τ_int, or all where τ_int is what independent samples can show by chance."""
    # twice τ_int √[2 (2W + 1)/M], its scatter for a sum of W lags (Madras, Sokal, J. Stat. Phys. 50, 109 (1988))
    lags = np.ceil(WINDOW * 0.5)
    chance = np.sqrt(2 * (2 * lags + 1) / len(reduced))
    stride = 2 * time if time > 0.5 + chance else 1.0
    kept = reduced[np.arange(0, len(reduced), stride).astype(int)]
    if len(kept) < FEWEST_UNITS:
        given = f"{len(kept)} of {len(reduced)} samples are independent"
        raise SamplingError(
            f"{given}, with an autocorrelation time of {time:.3g}; at least {FEWEST_UNITS} are needed, of a longer "
            "run, or of more samples, by which the time is better known"
        )
    return kept


def _exponential_average(reduced: np.ndarray) -> float:
    """−ln ⟨exp(−h)⟩, without an overflow."""
    return float(np.log(len(reduced)) - scipy.special.logsumexp(-reduced))


def _jackknife(reduced: np.ndarray, blocks: int) -> Estimate:
    """Exponential average and second cumulant of h in k_B T, shape (2,), with errors by leaving out blocks."""
    exponential = _exponential_average(reduced)
    # from there the weights have the mean one
    shifted = reduced - exponential
    columns = np.stack([np.ones(len(reduced)), np.exp(-shifted), shifted, np.square(shifted)], axis=-1)
    starts = np.linspace(0, len(reduced), blocks + 1).astype(int)[:-1]
    sums = np.add.reduceat(columns, starts)
    whole = sums.sum(axis=0)

    def averages(sums: np.ndarray) -> np.ndarray:
        count, weight, first, second = np.moveaxis(sums, -1, 0)
        variance = (second - first**2 / count) / (count - 1)
        return np.stack([-np.log(weight / count), first / count - variance / 2], axis=-1)

    # sums over samples are left out in the same way as sums in bins; not by a difference, which rounding makes
    # something of where one block has all the weight
    without = LeftOut((1 - np.eye(blocks)) @ sums, sums[:, 0] / len(reduced))
    estimate = Histograms(whole, without, None, -reduced).jackknife(averages)
    return estimate._replace(values=estimate.values + exponential)


def _warnings(spread: float, worth: float, independent: int) -> tuple[str, ...]:
    """What is wrong with samples of such a spread of h and such an effective number."""
    warnings = []
    if spread > WIDEST_SPREAD:
        beyond = f"the spread of h is {spread:.3g} k_B T, more than {WIDEST_SPREAD:g}"
        warnings.append(f"{beyond}: the average rests on rare samples, and its error may be too small")
    if worth < FEWEST_EFFECTIVE:
        few = f"{independent} independent samples are worth {worth:.3g} of equal weight"
        warnings.append(f"{few}, less than {FEWEST_EFFECTIVE}: more are needed")
    return tuple(warnings)


def _bennett(forward: np.ndarray, backward: np.ndarray) -> float:
    """β (A_REF − A_ML) by pymbar from h at samples of ML and of REF."""
    # what pymbar says about JAX and about itself when it is imported is not about these samples
    logging.getLogger("pymbar").setLevel(logging.ERROR)
    try:
        from pymbar import bar  # optional, and it takes a second
        from pymbar.utils import BoundsError, ConvergenceError, ParameterError
    except ImportError as error:
        raise SamplingError("acceptance ratios are solved with pymbar; pip install 'beadwise[sampling]'") from error
    # an offset is added at the end: exponentials of large numbers have no room for it
    offset = (forward.mean() + backward.mean()) / 2
    try:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            solved = bar(forward - offset, offset - backward, compute_uncertainty=False)
    except (BoundsError, ConvergenceError, ParameterError) as error:
        raise SamplingError(f"the acceptance ratio of the model and the reference was not found: {error}") from error
    return float(solved["Delta_f"] + offset)
