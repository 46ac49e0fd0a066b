"""Free-energy profiles along a collective variable, with standard errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from ase.units import kB

from ..whole_files import write_table
from .biased_series import BiasedSeries, effective_samples
from .errors import SamplingError
from .histograms import histograms_of
from .jackknife import Histograms
from .multistate import Window

WORTH_SAYING = 1.1  # growth of errors with the length of blocks; below it is chance


@dataclass(frozen=True)
class FreeEnergyProfile:
    """F(s) = −k_B T ln p(s), p being normalised over the range; its lowest value is zero.

    Parameters
    ----------
    edges : ndarray of float64, shape (bins + 1,)
        Of the bins, in the unit of the variable.
    free_energy : ndarray of float64, shape (bins,)
        In eV; not a number where nothing was sampled.
    standard_error : ndarray of float64, shape (bins,)
        Of −k_B T ln p(s), in eV; the constant that makes the lowest value zero is not part of it. Not a number where
        it is not known.
    temperature : float
        In K.
    samples : int
    effective_samples : float
        Samples of equal weight that would be worth as much (Kish).
    blocks : int
        Parts of the data that errors come from.
    beads : int
    notes : mapping of str to str
        Data, weights, errors: they stand before the columns in a file.
    """

    edges: np.ndarray
    free_energy: np.ndarray
    standard_error: np.ndarray
    temperature: float
    samples: int
    effective_samples: float
    blocks: int
    beads: int
    notes: Mapping[str, str] = field(default_factory=dict)

    @property
    def coordinate(self) -> np.ndarray:
        """Centres of the bins, shape (bins,)."""
        return (self.edges[1:] + self.edges[:-1]) / 2

    @property
    def density(self) -> np.ndarray:
        """p(s) with the integral one over the range, in one over the unit of the variable, shape (bins,)."""
        density = np.exp(-np.nan_to_num(self.free_energy, nan=np.inf) / (kB * self.temperature))
        return density / (density @ np.diff(self.edges))


def series_profile(
    series: Sequence[BiasedSeries],
    edges: np.ndarray,
    temperature: float,
    blocks: int = 16,
    independent: bool = True,
) -> FreeEnergyProfile:
    """The profile of one run or of several that each have a bias of their own: metadynamics, OPES, walls, or none.

    p(s) is the histogram with the weights exp(log_weights), averaged over beads. Weights are normalised to the number
    of samples of each run, as their constants say nothing about other runs, and runs are averaged.

    Parameters
    ----------
    series : sequence of BiasedSeries
    edges : ndarray of float64, shape (bins + 1,)
        Values outside are left out.
    temperature : float
        In K.
    blocks : int
        Contiguous parts of every run that errors come from, where there are fewer than 8 runs; with more, which have to
        be independent of each other, errors are those between runs.
    independent : bool
        Whether the runs are; walkers that deposit into one bias are not, and are cut into blocks however many.

    Raises
    ------
    SamplingError
        If samples do not belong together, are fewer than blocks, or none is inside the edges.
    """
    return _profile(series, edges, temperature, blocks, independent)


def window_profile(
    windows: Sequence[Window], edges: np.ndarray, temperature: float, blocks: int = 16
) -> FreeEnergyProfile:
    """The profile of umbrella windows, joined by MBAR.

    Parameters
    ----------
    windows : sequence of Window
    edges : ndarray of float64, shape (bins + 1,)
        Values outside are left out.
    temperature : float
        In K.
    blocks : int
        Contiguous parts of every window that errors come from.

    Raises
    ------
    SamplingError
        If samples do not belong together, are fewer than blocks, none is inside the edges, or pymbar is missing.
    """
    return _profile(windows, edges, temperature, blocks)


def free_energy_difference(
    samples: Sequence[BiasedSeries] | Sequence[Window],
    first: tuple[float, float],
    second: tuple[float, float],
    temperature: float,
    blocks: int = 16,
) -> tuple[float, float]:
    """F(first) − F(second) = −k_B T ln (P_first/P_second) of two ranges of the variable, and its standard error, in eV.

    Parameters
    ----------
    samples : sequence of BiasedSeries or of Window
    first, second : tuple of two floats
        Lowest and highest value of each range; ranges do not overlap.
    temperature : float
        In K.
    blocks : int
        As for profiles.

    Raises
    ------
    SamplingError
        If ranges overlap, one of them was never visited, or as for profiles.
    """
    _check_temperature(temperature)
    lower, higher = sorted([first, second])
    if not lower[0] < lower[1] <= higher[0] < higher[1]:
        raise SamplingError(f"the ranges {first} and {second} must each increase and not overlap")
    edges = np.unique([*lower, *higher])
    histograms = histograms_of(samples, edges, blocks)
    places = [int(np.searchsorted(edges, region[0])) for region in (first, second)]
    for region, place in zip((first, second), places, strict=True):
        if histograms.whole[place] <= 0:
            raise SamplingError(f"nothing was sampled from {region[0]:g} to {region[1]:g}")

    def difference(histogram: np.ndarray) -> np.ndarray:
        return -kB * temperature * np.log(histogram[..., places[:1]] / histogram[..., places[1:]])

    estimate = histograms.jackknife(difference)
    return float(estimate.values[0]), float(estimate.standard_errors[0])


def write_profiles(profiles: Mapping[str, FreeEnergyProfile], path: Path, variable: str) -> None:
    """Write comma-separated values; the notes come first, each in a line that begins with ``#``.

    The file is replaced at once, so that a reader never sees half of it.

    Parameters
    ----------
    profiles : mapping of str to FreeEnergyProfile
        By their names; all with the same edges.
    path : Path
    variable : str
        Name of the variable and its unit, the header of the first column.

    Raises
    ------
    SamplingError
        If there is no profile, or edges differ.
    """
    edges = common_edges(profiles)
    said = [f"free energy along {variable}"]
    header, arrays = [variable], [(edges[1:] + edges[:-1]) / 2]
    for name, profile in profiles.items():
        said += [f"{name}, {topic}: {note}" for topic, note in profile.notes.items()]
        header += [f"{name} free energy (eV)", f"{name} standard error (eV)"]
        arrays += [profile.free_energy, profile.standard_error]
    write_table(path, said, [header, *([f"{value:.7g}" for value in row] for row in np.stack(arrays, axis=1))])


def common_edges(profiles: Mapping[str, FreeEnergyProfile]) -> np.ndarray:
    """The edges of the bins of all profiles, shape (bins + 1,).

    Raises
    ------
    SamplingError
        If there is no profile, or edges differ.
    """
    if not profiles:
        raise SamplingError("there is no profile; at least one is needed")
    first, *others = profiles.values()
    if not all(np.array_equal(profile.edges, first.edges) for profile in others):
        raise SamplingError(f"the profiles {', '.join(profiles)} have different bins; they must have the same")
    return first.edges


def _profile(
    samples: Sequence[BiasedSeries] | Sequence[Window],
    edges: np.ndarray,
    temperature: float,
    blocks: int,
    independent: bool = True,
) -> FreeEnergyProfile:
    """The profile of runs or of umbrella windows."""
    _check_temperature(temperature)
    edges = np.asarray(edges, dtype=np.float64)
    histograms = histograms_of(samples, edges, blocks, independent)
    if not histograms.whole.sum() > 0:
        values = np.concatenate([run.values.ravel() for run in samples])
        inside = f"inside {edges[0]:g} to {edges[-1]:g}"
        raise SamplingError(f"no sample is {inside}; values go from {values.min():g} to {values.max():g}")

    def free_energy(histogram: np.ndarray) -> np.ndarray:
        return -kB * temperature * np.log(histogram / (histogram.sum(axis=-1, keepdims=True) * np.diff(edges)))

    estimate = histograms.jackknife(free_energy)
    values = np.where(np.isfinite(estimate.values), estimate.values, np.nan)
    return FreeEnergyProfile(
        edges=edges,
        free_energy=values - np.nanmin(values),
        standard_error=np.where(np.isnan(values), np.nan, estimate.standard_errors),
        temperature=temperature,
        samples=len(histograms.log_weights),
        effective_samples=effective_samples(histograms.log_weights),
        blocks=histograms.units,
        beads=samples[0].beads,
        notes=_notes(samples, edges, histograms, estimate.growth, temperature),
    )


def _notes(
    samples: Sequence[BiasedSeries] | Sequence[Window],
    edges: np.ndarray,
    histograms: Histograms,
    growth: float,
    temperature: float,
) -> dict[str, str]:
    """What is said beside every profile."""
    first = samples[0]
    windows = isinstance(first, Window)
    runs = f"{len(samples)} {first.kind if isinstance(first, Window) else 'run'}{'s' if len(samples) > 1 else ''}"
    worth = effective_samples(histograms.log_weights)
    beads = samples[0].beads
    outside = sum(np.count_nonzero((run.values < edges[0]) | (run.values > edges[-1])) for run in samples)
    memory = "" if growth < WORTH_SAYING else f", times {growth:.2f} as blocks are too short for the memory of the run"
    return {
        "temperature": f"{temperature:g} K",
        "data": f"{runs}, {len(histograms.log_weights)} samples, worth {worth:.4g} of equal weight",
        "estimator": f"histogram, mean over {beads} beads" if beads > 1 else "histogram",
        "weights": "MBAR" if windows else "exp(beta V), normalised to the samples of each run",
        "outside the range": f"{outside} of {sum(run.values.size for run in samples)} values",
        "standard errors": f"jackknife over {histograms.units} {histograms.unit}{memory}",
    }


def _check_temperature(temperature: float) -> None:
    if not (np.isfinite(temperature) and temperature > 0):
        raise SamplingError(f"the temperature is {temperature} K; it must be positive")
