"""From folders of runs to averages with two errors: what ``beadwise reweight`` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ...runs.input.elements import InputError
from ...runs.input.run_input import RunInput
from ...runs.output.positions import find_bead_trajectory
from ...runs.plumed.biased_runs import BiasedRun
from ...runs.source import find_run
from ...sampling import (
    CommitteeAverage,
    committee_average,
    two_committee_average,
    uncertain_difference,
    uncertain_profile,
)
from ...sampling.jackknife import FEWEST_UNITS
from ..profile.samples import GROWING, ProfileOptions
from ..results import Shown, Writer, write_files
from .bias import BiasAtSteps, check_no_windows, log_weights, read_biases, samples_for_profile
from .distances import Distances, bins_of, read_distances
from .outcome import (
    Curve,
    Line,
    Outcome,
    curve_of_profile,
    line_of_difference,
    lines_of,
    lines_of_profile,
    without_model_error,
)
from .request import ReweightRequest
from .runs import CommitteeRun, check_same_ensemble, read_committee_runs
from .series import (
    Series,
    at_steps,
    common_steps,
    first_used_step,
    is_made_of_forces,
    observables_of,
    read_members,
    read_observable,
    what_else_acts,
)

Found = tuple[list[Line], Curve | None, list[str]]  # numbers, curve and warnings
MEMBERS, BIAS, POSITIONS = "committee_pot", "the bias", "positions"
MADE_OF_THE_MEAN = (
    "{name}: no model error is given, as it is made of energies or forces of the mean and each member has its own; "
    "committee_pot is the energy, kinetic_td a kinetic energy, of which there is one"
)


@dataclass(frozen=True)
class LoadedRun:
    """One system of a run, with the energies of its members."""

    run: CommitteeRun
    members: Series
    bias: tuple[BiasedRun, BiasAtSteps] | None
    first: int  # step


def make(request: ReweightRequest, shown: Shown = iter) -> tuple[Outcome, list[Path]]:
    """Make the averages that are asked for.

    Parameters
    ----------
    request : ReweightRequest
    shown : callable
        Passes things on, one after the other, and shows how far this has come.

    Returns
    -------
    outcome : Outcome
    files : list of Path
        What was written: a curve as CSV and PNG, numbers as CSV if `output` is given.

    Raises
    ------
    InputError
        If a run or file cannot be used.
    SamplingError
        If there are too few samples, or the ensembles of members overlap too little.
    SeriesError
        If a file of extras cannot be used.
    """
    runs = [loaded for path in shown(request.runs) for loaded in _load(find_run(path), request)]
    check_same_ensemble([one.run for one in runs])
    if request.biases and not any(one.bias for one in runs):
        raise InputError(f"'{runs[0].run.source}' has no bias, and so none of the label {request.biases[0]}")
    if request.profile:
        found: Found = _profile(runs, request)
    elif request.distance is not None:
        found = _distances(runs, request, request.distance, shown)
    else:
        found = _averages(runs, request)
    lines, curve, warnings = found
    common = [one.run.ensemble.warning(one.run.source) for one in runs]
    common += [what_else_acts(one.run, one.members) for one in runs]
    outcome = Outcome(
        _title(runs, lines, request),
        tuple(lines),
        curve,
        _notes(runs, request),
        tuple(dict.fromkeys(filter(None, common + warnings))),
    )
    return outcome, _write(outcome, request)


def _load(source: RunInput, request: ReweightRequest) -> list[LoadedRun]:
    runs = read_committee_runs(source)
    loaded = []
    for run, bias in zip(runs, read_biases(source, runs), strict=True):
        members = read_members(run)
        loaded.append(LoadedRun(run, members, bias, first_used_step(run, members, request.skip)))
    return loaded


def _averages(runs: Sequence[LoadedRun], request: ReweightRequest) -> Found:
    if not request.observables:
        names = ", ".join(observables_of(runs[0].run)) or "none"
        raise InputError(f"nothing is asked for; allowed are --observable NAME ({names}), --distance O,H and --profile")
    lines, warnings = [], []
    for name in request.observables:
        calibrations = (request.calibration, request.property_calibration)
        series = [read_observable(one.run, name, *calibrations) for one in runs]
        result = _average(runs, series, name, request)
        found = lines_of(result, series[0].labels, series[0].units)
        if is_made_of_forces(name):
            lines += [without_model_error(line) for line in found]
            warnings.append(MADE_OF_THE_MEAN.format(name=name))
        else:
            lines += found
            warnings += [f"{name}: {warning}" for warning in result.warnings]
    return lines, None, warnings + _bias_warnings(runs, request)


def _distances(runs: Sequence[LoadedRun], request: ReweightRequest, pair: tuple[str, str], shown: Shown) -> Found:
    if request.limits is None:
        raise InputError("the range of distances is not given; --range 0.8,6 is in Å")
    distances = Distances(*pair, bins_of(request.limits, request.bins), request.counts)
    labels = tuple(f"{distances.name.partition(' /')[0]} at {radius:.4g} Å" for radius in distances.coordinate)
    units = (distances.unit,) * len(labels)
    series = []
    for one in runs:
        trajectory = find_bead_trajectory(one.run.system.run)
        steps = _common_steps(one, POSITIONS, np.array(trajectory.steps, dtype=np.int64), runs, request)
        series.append(Series(steps, read_distances(trajectory, steps.tolist(), distances, shown), labels, units))
    result = _average(runs, series, POSITIONS, request)
    curve = Curve(
        axis="r / Å",
        name=distances.name,
        coordinate=distances.coordinate,
        values=result.mean,
        sampling_error=result.sampling_error,
        model_error=result.model_error,
        noise_floor=result.noise_floor,
        members=result.members[:, 0],
    )
    lines = lines_of(result, labels, units)
    places = dict.fromkeys([int(np.argmax(result.mean)), int(np.argmax(result.model_error))])
    return [lines[place] for place in places], curve, [*result.warnings, *_bias_warnings(runs, request)]


def _average(
    runs: Sequence[LoadedRun], series: Sequence[Series], name: str, request: ReweightRequest
) -> CommitteeAverage:
    """The average of one observable over all runs, at the steps that all its series have in common."""
    biased = [one.bias[0] for one in runs if one.bias is not None]
    check_no_windows(biased)
    energies, values, weights = [], [], []
    for one, own in zip(runs, series, strict=True):
        steps = _common_steps(one, name, own.steps, runs, request)
        energies.append(at_steps(one.members, steps))
        values.append(at_steps(own, steps))
        if one.bias is None:
            weights.append(np.zeros(len(steps)))
        else:
            weights.append(log_weights(*one.bias, request.biases)[np.searchsorted(one.bias[1].steps, steps)])
    independent = not any(run.shares_hills for run in biased)
    how = (runs[0].run.temperature, request.method_for(independent), weights)
    if series[0].is_of_members:
        return two_committee_average(energies, values, *how, paired=series[0].is_paired)
    return committee_average(energies, values, *how)


def _profile(runs: Sequence[LoadedRun], request: ReweightRequest) -> Found:
    pairs = []
    for one in runs:
        if one.bias is None:
            raise InputError(f"'{one.run.source}' has no <bias> with an <ffplumed>, which tells the variable")
        pairs.append(one.bias)
    energies = []
    for one, (_, series) in zip(runs, pairs, strict=True):
        steps = _common_steps(one, BIAS, series.steps, runs, request)
        energies.append(at_steps(one.members, steps))
        series.keep(steps)
    options = ProfileOptions(request.variable, request.biases, 0.0, request.limits, request.bins, request.blocks)
    samples, edges, described = samples_for_profile(pairs, options)
    independent = all(one.are_independent for one in described)
    how = (runs[0].run.temperature, request.method_for(independent))
    result = uncertain_profile(samples, energies, edges, *how)
    variable = pairs[0][0].variable(request.variable)
    curve = curve_of_profile(result, variable)
    lines = lines_of_profile(result, variable)
    notes = [one.note for one in described if one.note]
    warnings = [*result.warnings, *dict.fromkeys(notes)]
    if request.ranges is not None:
        first, second = request.ranges
        difference = uncertain_difference(samples, energies, second, first, *how)
        lines.append(line_of_difference(difference, request.ranges, result.profile.samples))
        warnings += [f"difference: {warning}" for warning in difference.warnings]
    return lines, curve, warnings


def _bias_warnings(runs: Sequence[LoadedRun], request: ReweightRequest) -> list[str]:
    """What speaks against weights that take a bias away."""
    biases = [bias for one in runs if one.bias is not None for bias in one.bias[0].biases]
    counted = [bias for bias in biases if not request.biases or bias.action.label in request.biases]
    return [
        f"{bias.extra} {GROWING}" for bias in counted if bias.action.name == "METAD" and bias.extra.endswith(".bias")
    ]


def _common_steps(
    one: LoadedRun, name: str, steps: np.ndarray, runs: Sequence[LoadedRun], request: ReweightRequest
) -> np.ndarray:
    """Steps of an observable at which energies of the members, and the bias if there is one, are written as well."""
    named = {MEMBERS: one.members.steps, name: steps}
    if one.bias is not None:
        named[BIAS] = one.bias[1].steps
    # a sample for each block, unless whole runs are left out
    return common_steps(one.first, request.blocks if len(runs) < FEWEST_UNITS else 2, named)


def _title(runs: Sequence[LoadedRun], lines: Sequence[Line], request: ReweightRequest) -> str:
    count = f"{len(runs)} run{'s' if len(runs) > 1 else ''}"
    samples = sorted({line.samples for line in lines})
    beads, temperature = runs[0].run.beads, runs[0].run.temperature
    return (
        f"{count}, {' or '.join(map(str, samples))} samples, {runs[0].members.values.shape[1]} members, "
        f"{beads} bead{'s' if beads > 1 else ''}, {temperature:g} K, method {request.method}"
    )


def _notes(runs: Sequence[LoadedRun], request: ReweightRequest) -> tuple[str, ...]:
    notes = list(dict.fromkeys(one.run.note for one in runs))
    if request.calibration != 1:
        notes.append(f"their distances from the mean are multiplied by --calibration {request.calibration:g} as well")
    if any(one.bias is not None for one in runs):
        notes.append("the bias of PLUMED is taken away by weights exp(βV)")
    return tuple(notes)


def _write(outcome: Outcome, request: ReweightRequest) -> list[Path]:
    """Write the curve as CSV and PNG, or the numbers as CSV if a name is given."""
    curve = outcome.curve
    if curve is None and request.output is None:
        return []
    writers: dict[str, Writer] = {".csv": outcome.write}
    if curve is not None:
        writers[".png"] = partial(_draw, curve, outcome.title)
    return write_files(request.stem, writers)


def _draw(curve: Curve, title: str, image: Path) -> None:
    from ...sampling.uncertain_plot import plot_two_errors  # takes long to import

    plot_two_errors(
        curve.coordinate, curve.values, curve.sampling_error, curve.model_error, curve.noise_floor,
        image, curve.axis, curve.name, title,
    )  # fmt: skip
