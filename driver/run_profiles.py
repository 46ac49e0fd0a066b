"""From biased runs to free-energy profiles: which samples belong to one curve, and what each of them weighs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from ase import units

from ..sampling import BiasedSeries, FreeEnergyProfile, Hills, Window, profile_of_hills, series_profile, window_profile
from .biased_runs import Bias, BiasedRun, BiasSeries
from .ipi_input import InputError
from .plumed_tables import PlumedTable

SETTLING = 0.1  # part of a run whose bias is deposited that is left out unless the user says how much
AGREEMENT = 1e-4  # of a restraint with what PLUMED wrote, in k_B T
WIDEST = 0.001  # part of the samples that may lie beyond either end of a range that is not given


@dataclass(frozen=True)
class ProfileOptions:
    """What a profile is to be.

    Parameters
    ----------
    variable : str or None
        Collective variable; None for the one that is biased.
    biases : tuple of str
        Labels of the biases that count; all if there is none.  Others must act on what the variable does not depend on.
    skip : float or None
        Time at the beginning of each run that is left out, in ps; None for a tenth where the bias is deposited.
    limits : tuple of float or None
        Range of the variable; None for all that was sampled, or the period.
    bins, blocks : int
    centroid : bool
        Whether ring polymers get a second curve, that of their centroid.
    """

    variable: str | None = None
    biases: tuple[str, ...] = ()
    skip: float | None = None
    limits: tuple[float, float] | None = None
    bins: int = 50
    blocks: int = 16
    centroid: bool = False


@dataclass(frozen=True)
class Samples:
    """Samples of one run or window, ready for a profile.

    Parameters
    ----------
    label : str
        Of the curve that they belong to.
    temperature : float
        In K.
    values : ndarray of float64, shape (samples, beads)
    log_weights : ndarray of float64, shape (samples,)
        β V of all biases but restraints.
    restraints : tuple of ndarray of float64, shape (samples,)
        β V of the restraint of each window; none if it is not one of several windows.
    period : tuple of float or None
    note : str
        What must be said of them.
    """

    label: str
    temperature: float
    values: np.ndarray
    log_weights: np.ndarray
    restraints: tuple[np.ndarray, ...] = ()
    period: tuple[float, float] | None = None
    note: str = ""


def samples_of_runs(runs: Sequence[tuple[BiasedRun, BiasSeries]], options: ProfileOptions) -> list[Samples]:
    """Samples of runs and windows.

    Those with the same number of beads and temperature belong to one curve.  Where several of them have restraints
    only, they are umbrella windows, and each gets the energies of all of their restraints.

    Parameters
    ----------
    runs : sequence of (BiasedRun, BiasSeries)
    options : ProfileOptions

    Raises
    ------
    InputError
        If a variable or bias is not written, or runs of one curve do not go together.
    """
    found: list[Samples] = []
    for key in dict.fromkeys((run.beads, run.temperature) for run, _ in runs):
        group = [pair for pair in runs if (pair[0].beads, pair[0].temperature) == key]
        deposited = [run.is_deposited for run, _ in group]
        if any(deposited) and not all(deposited):
            raise InputError(
                f"'{group[0][0].source}' and others of {key[0]} beads have both deposited biases and restraints alone; "
                "make a profile of each"
            )
        windows = [run for run, _ in group] if len(group) > 1 and not any(deposited) else []
        for run, series in group:
            found += _samples_of_run(run, series, windows, options)
    return found


def _samples_of_run(
    run: BiasedRun, series: BiasSeries, windows: Sequence[BiasedRun], options: ProfileOptions
) -> list[Samples]:
    variable = run.variable(options.variable)
    kept = slice(_left_out(run, len(series.steps), options.skip), None)
    if len(series.steps[kept]) == 0:
        raise InputError(f"'{run.output.name}' of '{run.source}' holds no sample yet")
    counted = _counted(run, options.biases)
    own = [bias for bias in counted if not windows or bias not in run.restraints]
    weights = sum((_reduced(bias, run, series) for bias in own), np.zeros(len(series.steps)))
    restraints = tuple(_reduced_restraints(window, run, series, options.biases)[kept] for window in windows)
    if windows:
        _check_restraint(run, series, options.biases)

    def samples(label: str, name: str, columns: slice, note: str = "") -> Samples:
        return Samples(
            label=label,
            temperature=run.temperature,
            values=series.column(name)[kept, columns],
            log_weights=weights[kept],
            restraints=restraints,
            period=run.period_of(name),
            note=note,
        )

    name = run.bead_variable(variable)
    centroid = f"centroid ({run.beads} beads)"
    if run.beads == 1:
        return [samples("classical", variable, slice(0, 1))]
    if name is None:
        note = f"no bead_{variable} of all beads is written: this is the profile of the centroid, not of the particles"
        return [samples(centroid, variable, slice(0, 1), note)]
    of_beads = [samples(f"quantum ({run.beads} beads)", name, slice(None))]
    return [*of_beads, samples(centroid, variable, slice(0, 1))] if options.centroid else of_beads


def _left_out(run: BiasedRun, samples: int, skip: float | None) -> int:
    if skip is None:
        return round(SETTLING * samples) if run.is_deposited else 0
    return round(skip * 1000 / (run.timestep * run.output.stride))


def _counted(run: BiasedRun, labels: Sequence[str]) -> list[Bias]:
    """Biases of a run that count; those of the labels that are wanted."""
    known = {bias.action.label for bias in run.biases}
    unknown = [label for label in labels if label not in known]
    if unknown:
        raise InputError(f"'{run.source}' has no bias '{unknown[0]}'; it has {', '.join(sorted(known))}")
    return [bias for bias in run.biases if not labels or bias.action.label in labels]


def _reduced(bias: Bias, run: BiasedRun, series: BiasSeries) -> np.ndarray:
    """β V of a bias at every sample; it is that of the centroid in the file of every bead."""
    return series.column(bias.extra)[:, 0] * (bias.energy_unit / run.thermal_energy)


def _reduced_restraints(window: BiasedRun, run: BiasedRun, series: BiasSeries, labels: Sequence[str]) -> np.ndarray:
    """β V that the restraints of a window would give to the samples of a run."""
    total = np.zeros(len(series.steps))
    for bias in _counted(window, labels):
        if bias in window.restraints:
            total += restraint_energy(bias, window, run, series) * (bias.energy_unit / run.thermal_energy)
    return total


def restraint_energy(bias: Bias, window: BiasedRun, run: BiasedRun, series: BiasSeries) -> np.ndarray:
    """Energy of a ``RESTRAINT`` at every sample of a run, in PLUMED's unit: Σ κ/2 (s − s₀)² + slope (s − s₀).

    As PLUMED has it (Tribello et al., Comput. Phys. Commun. 185, 604 (2014)), with the shortest difference of a
    periodic variable.

    Parameters
    ----------
    bias : Bias
        The restraint, of `window`.
    window, run : BiasedRun
    series : BiasSeries
        Of `run`.

    Raises
    ------
    InputError
        If a variable is not written by the run, or numbers of the restraint are missing.
    """
    action = bias.action
    names = action.arguments
    centres = action.numbers("AT")
    stiffness = action.numbers("KAPPA", " ".join(["0.0"] * len(names)))
    slopes = action.numbers("SLOPE", " ".join(["0.0"] * len(names)))
    if not len(names) == len(centres) == len(stiffness) == len(slopes):
        raise InputError(
            f"RESTRAINT '{action.label}' of '{window.source}' has {len(names)} arguments and {len(centres)} centres; "
            "as many are needed"
        )
    total = np.zeros(len(series.steps))
    for name, centre, kappa, slope in zip(names, centres, stiffness, slopes, strict=True):
        difference = series.column(run.variable(name))[:, 0] - centre
        period = window.period_of(name)
        if period is not None:
            length = period[1] - period[0]
            difference -= length * np.round(difference / length)
        total += 0.5 * kappa * np.square(difference) + slope * difference
    return total


def _check_restraint(run: BiasedRun, series: BiasSeries, labels: Sequence[str]) -> None:
    """Refuse windows whose own restraints are not what PLUMED wrote, as after an edit of its input."""
    written = sum(
        (_reduced(bias, run, series) for bias in _counted(run, labels) if bias in run.restraints),
        np.zeros(len(series.steps)),
    )
    off = np.abs(_reduced_restraints(run, run, series, labels) - written)
    if (off > AGREEMENT * (1 + np.abs(written))).any():
        raise InputError(
            f"the restraint of '{run.source}' is up to {off.max():.3g} k_B T from what PLUMED wrote into "
            f"'{run.output.name}'; was the PLUMED input changed since?"
        )


def samples_of_table(table: PlumedTable, temperature: float, energy_unit: float, options: ProfileOptions) -> Samples:
    """Samples of a ``COLVAR``, weighted by its columns of biases.

    Parameters
    ----------
    table : PlumedTable
    temperature : float
        In K.
    energy_unit : float
        Of its biases, in eV.
    options : ProfileOptions
        `skip` is in the unit of its times.

    Raises
    ------
    InputError
        If the variable, or a bias, is not in it.
    """
    biases = [name for name in table.names if name.endswith(".bias")]
    if options.biases:
        biases = [f"{label}.bias" for label in options.biases]
    # metadynamics without c(t), where it is written
    biases = [without if (without := name.removesuffix(".bias") + ".rbias") in table.names else name for name in biases]
    variable = options.variable or table.names[1]
    values = table.column(variable)
    weights = sum((table.column(name) for name in biases), np.zeros(len(values))) * energy_unit
    times = table.column("time")
    kept = times >= times[0] + options.skip if options.skip is not None else _settled(len(times), bool(biases))
    return Samples(
        label=table.path.name,
        temperature=temperature,
        values=values[kept, None],
        log_weights=weights[kept] / (units.kB * temperature),
        period=table.period_of(variable),
    )


def _settled(samples: int, is_biased: bool) -> np.ndarray:
    return np.arange(samples) >= (round(SETTLING * samples) if is_biased else 0)


def profiles_of(
    samples: Sequence[Samples], options: ProfileOptions, hills: Mapping[str, Hills] | None = None
) -> dict[str, FreeEnergyProfile]:
    """One profile for each label, and for each set of hills, all with the same bins.

    Parameters
    ----------
    samples : sequence of Samples
    options : ProfileOptions
    hills : mapping of str to Hills, optional
        By the name of their curve.

    Raises
    ------
    SamplingError
        If there are too few samples, or windows do not overlap.
    """
    hills = hills or {}
    edges = _edges(samples, options, hills)
    profiles = {}
    for label in dict.fromkeys(one.label for one in samples):
        own = [one for one in samples if one.label == label]
        if own[0].restraints:
            windows = [Window(one.values, np.stack(one.restraints), one.log_weights) for one in own]
            profile = window_profile(windows, edges, own[0].temperature, options.blocks)
        else:
            series = [BiasedSeries(one.values, one.log_weights) for one in own]
            profile = series_profile(series, edges, own[0].temperature, options.blocks)
        if own[0].note:
            profile = replace(profile, notes={**profile.notes, "note": own[0].note})
        profiles[label] = profile
    return profiles | {label: profile_of_hills(one, edges, options.blocks) for label, one in hills.items()}


def _edges(samples: Sequence[Samples], options: ProfileOptions, hills: Mapping[str, Hills]) -> np.ndarray:
    limits = options.limits or next((one.period for one in samples if one.period), None)
    if limits is None:
        sampled = [*(one.values for one in samples), *(one.centres for one in hills.values())]
        ends = [np.quantile(values, [WIDEST, 1 - WIDEST]) for values in sampled]
        limits = float(min(low for low, _ in ends)), float(max(high for _, high in ends))
    if not limits[0] < limits[1]:
        raise InputError(f"the range of the variable is {limits[0]:g} to {limits[1]:g}; the first must be lower")
    return np.linspace(limits[0], limits[1], options.bins + 1)
