"""From biased runs to free-energy profiles: which samples belong to one curve, and what each of them weighs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from ase import units

from ...runs.input.dynamics import SETTLING, first_step
from ...runs.input.elements import InputError
from ...runs.plumed.bias_series import BiasSeries, counted_biases, reduced_energy
from ...runs.plumed.biased_runs import BiasedRun
from ...runs.plumed.tables import PlumedTable
from ...sampling import BiasedSeries, FreeEnergyProfile, Hills, Window, profile_of_hills, series_profile, window_profile
from .windows import check_common_biases, check_restraint, reduced_restraints

ROUNDING = 1e-6  # of a range that is written with few digits
GROWING = "holds c(t), which grows: late samples weigh more; CALC_RCT and rbias in place of bias take it out"
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
        Time at the beginning of each run that is left out, in ps; None for a tenth.
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
        β V of all biases; of one of several windows without its restraint.
    restraints : tuple of ndarray of float64, shape (samples,)
        β V of the restraint of each window; none if it is not one of several windows.
    period : tuple of float or None
    are_independent : bool
        Whether no other run deposits into the same bias.
    note : str
        What must be said of them.
    kind : str
        What one of several windows is called.
    variable : str
        Its name, where samples are not of a run that tells it.
    """

    label: str
    temperature: float
    values: np.ndarray
    log_weights: np.ndarray
    restraints: tuple[np.ndarray, ...] = ()
    period: tuple[float, float] | None = None
    are_independent: bool = True
    note: str = ""
    kind: str = "umbrella window"
    variable: str = ""


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
        If a variable or bias is not written, or runs do not go together.
    """
    _check_same_variable([run for run, _ in runs], options)
    temperatures = {run.temperature for run, _ in runs}
    found: list[Samples] = []
    for key in dict.fromkeys((run.beads, run.temperature) for run, _ in runs):
        group = [pair for pair in runs if (pair[0].beads, pair[0].temperature) == key]
        windows = _windows_of([run for run, _ in group], options)
        suffix = f", {key[1]:g} K" if len(temperatures) > 1 else ""
        for run, series in group:
            found += _samples_of_run(run, series, windows, options, suffix)
    return found


def _check_same_variable(runs: Sequence[BiasedRun], options: ProfileOptions) -> None:
    """Refuse runs whose variables cannot stand on one axis, and those of which only some have that of the beads."""
    described = []
    for run in runs:
        variable = run.variable(options.variable)
        definition = run.definition_of(variable)
        described.append((variable, "" if definition is None else definition.name, run.length_unit))
    for run, one in zip(runs, described, strict=True):
        if one != described[0]:
            raise InputError(
                f"'{runs[0].source}' is of {' '.join(described[0])} and '{run.source}' of {' '.join(one)}; make a "
                "profile of each"
            )
    for beads in {run.beads for run in runs}:
        with_beads = {run.bead_variable(described[0][0]) is not None for run in runs if run.beads == beads}
        if len(with_beads) > 1:
            raise InputError(f"some runs of {beads} beads write {described[0][0]} of all beads and others do not")


def _windows_of(runs: Sequence[BiasedRun], options: ProfileOptions) -> Sequence[BiasedRun]:
    """The umbrella windows of one curve; none if it is of runs with deposited biases, or of one alone."""
    deposited = {run.is_deposited for run in runs}
    if len(deposited) > 1:
        raise InputError(
            f"of the runs with {runs[0].beads} beads some have deposited biases and others restraints alone; make a "
            "profile of each"
        )
    if len(runs) == 1 or deposited == {True}:
        return []
    check_common_biases(runs, options.biases)
    return runs


def _samples_of_run(
    run: BiasedRun, series: BiasSeries, windows: Sequence[BiasedRun], options: ProfileOptions, suffix: str
) -> list[Samples]:
    kept = _kept(run, series, options.skip)
    biases = counted_biases(run, options.biases)
    own = [bias for bias in biases if not windows or bias not in run.restraints]
    weights = sum((reduced_energy(bias, run, series) for bias in own), np.zeros(len(series.steps)))
    restraints = tuple(reduced_restraints(window, run, series, options.biases)[kept] for window in windows)
    if windows:
        check_restraint(run, series, options.biases)
    notes = [f"{bias.extra} {GROWING}" for bias in own if bias.action.name == "METAD" and bias.extra.endswith(".bias")]

    def samples(label: str, name: str, columns: slice, *more: str) -> Samples:
        return Samples(
            label=label + suffix,
            temperature=run.temperature,
            values=series.column(name)[kept, columns],
            log_weights=weights[kept],
            restraints=restraints,
            period=run.period_of(name),
            are_independent=not run.shares_hills,
            note="; ".join([*notes, *more]),
        )

    variable = run.variable(options.variable)
    of_beads = run.bead_variable(variable)
    centroid = f"centroid ({run.beads} beads)"
    if run.beads == 1:
        return [samples("classical", variable, slice(0, 1))]
    if of_beads is None:
        note = f"no bead_{variable} of all beads is written: this is the profile of the centroid, not of the particles"
        return [samples(centroid, variable, slice(0, 1), note)]
    found = [samples(f"quantum ({run.beads} beads)", of_beads, slice(None))]
    if options.centroid and of_beads != variable:
        found.append(samples(centroid, variable, slice(0, 1)))
    return found


def _kept(run: BiasedRun, series: BiasSeries, skip: float | None) -> slice:
    """Samples that are not left out."""
    samples = len(series.steps)
    first = int(np.searchsorted(series.steps, first_step(series.steps, skip, run.timestep, run.source)))
    if not samples:
        raise InputError(f"'{run.output.name}' of '{run.source}' holds no sample yet")
    if first >= samples:
        raise InputError(f"'{run.output.name}' of '{run.source}' has {samples} samples; --skip {skip:g} leaves out all")
    return slice(first, None)


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
    labels = options.biases or tuple(
        dict.fromkeys(name.rpartition(".")[0] for name in table.names if name.endswith((".bias", ".rbias")))
    )
    # metadynamics without c(t), where it is written
    biases = [without if (without := f"{label}.rbias") in table.names else f"{label}.bias" for label in labels]
    variable = options.variable or table.names[1]
    values = table.column(variable)
    weights = sum((table.column(name) for name in biases), np.zeros(len(values))) * energy_unit
    times = table.column("time")
    if not len(times):
        raise InputError(f"'{table.path}' has no row; a table of a run has many")
    skipped = SETTLING * (times[-1] - times[0]) if options.skip is None else options.skip
    kept = times >= times[0] + skipped
    if not kept.any():
        raise InputError(f"'{table.path}' holds {len(kept)} samples; --skip {options.skip:g} leaves out all")
    return Samples(
        label=str(table.path),
        temperature=temperature,
        values=values[kept, None],
        log_weights=weights[kept] / (units.kB * temperature),
        period=table.period_of(variable),
        note="" if biases else "no column of a bias, and so no weights",
    )


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
    period = _common_period(samples, hills)
    edges = edges_of(samples, options, hills, period)
    profiles = {}
    for label in dict.fromkeys(one.label for one in samples):
        own = [one for one in samples if one.label == label]
        values = [wrapped(one.values, edges[0], period) for one in own]
        if own[0].restraints:
            windows = [
                Window(inside, np.stack(one.restraints), one.log_weights, one.kind)
                for one, inside in zip(own, values, strict=True)
            ]
            profile = window_profile(windows, edges, own[0].temperature, options.blocks)
        else:
            series = [BiasedSeries(inside, one.log_weights) for one, inside in zip(own, values, strict=True)]
            independent = all(one.are_independent for one in own)
            profile = series_profile(series, edges, own[0].temperature, options.blocks, independent)
        if own[0].note:
            profile = replace(profile, notes={**profile.notes, "note": own[0].note})
        profiles[label] = profile
    for label, one in hills.items():
        inside = replace(one, centres=wrapped(one.centres, edges[0], period))
        profiles[label] = profile_of_hills(inside, edges, options.blocks)
    return profiles


def _common_period(samples: Sequence[Samples], hills: Mapping[str, Hills]) -> float | None:
    """Length of the period of the variable; None if it is not periodic."""
    found = period_of_samples(samples)
    if found is not None:
        return found
    lengths = [float(one.periods[0]) for one in hills.values() if one.periods is not None]
    return next((length for length in lengths if np.isfinite(length)), None)


def period_of_samples(samples: Sequence[Samples]) -> float | None:
    """Length of the period of the variable that samples are of; None if it is not periodic."""
    return next((one.period[1] - one.period[0] for one in samples if one.period is not None), None)


def edges_of(
    samples: Sequence[Samples], options: ProfileOptions, hills: Mapping[str, Hills], period: float | None
) -> np.ndarray:
    """Edges of the bins, shape (bins + 1,): of the range that is wanted, the period, or what was sampled.

    Parameters
    ----------
    samples : sequence of Samples
    options : ProfileOptions
    hills : mapping of str to Hills
    period : float or None
        Length of the period of the variable.

    Raises
    ------
    InputError
        If the range does not increase, or is longer than the period.
    """
    limits = options.limits or next((one.period for one in samples if one.period), None)
    if limits is None and period is not None:
        limits = -period / 2, period / 2
    if limits is None:
        sampled = [*(one.values for one in samples), *(one.centres for one in hills.values())]
        ends = [np.quantile(values, [WIDEST, 1 - WIDEST]) for values in sampled]
        limits = float(min(low for low, _ in ends)), float(max(high for _, high in ends))
    if not limits[0] < limits[1]:
        raise InputError(f"the range of the variable is {limits[0]:g} to {limits[1]:g}; the first must be lower")
    if period is not None and limits[1] - limits[0] > period * (1 + ROUNDING):
        raise InputError(f"the range {limits[0]:g} to {limits[1]:g} is longer than the variable's period, {period:g}")
    return np.linspace(limits[0], limits[1], options.bins + 1)


def wrapped(values: np.ndarray, lowest: float, period: float | None) -> np.ndarray:
    """Values of a periodic variable in the period that begins with the range.

    Parameters
    ----------
    values : ndarray of float64
    lowest : float
        Of the range.
    period : float or None
        Its length; None if the variable is not periodic.
    """
    return values if period is None else lowest + (values - lowest) % period
