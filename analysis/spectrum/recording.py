"""From the samples in files to what a spectrum is made of: the recorder of a trajectory, and its conditions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...runs.input.dynamics import first_step
from ...runs.output.series_files import BeadFiles, Source
from ...spectra import Conditions, SeriesError, Window
from ...spectra.recording import MEMBERS_OF, FluxRecorder, make_recorder
from ...spectra.sum_frequency import Slab
from .conditions import RunConditions

WITH_BEADS = 5  # axes of Born charges that have one for the beads
NOT_NAMED = "dynamics not named"


@dataclass(frozen=True)
class Given:
    """What a user says of a series; None for what the input of the run says.

    Parameters
    ----------
    timestep : float or None
        Between samples, in fs.
    temperature : float or None
        In K.
    volume : float or None
        Of the cell, in Å³.
    dynamics : str or None
        Name of the dynamics.
    """

    timestep: float | None = None
    temperature: float | None = None
    volume: float | None = None
    dynamics: str | None = None


def record(
    kind: str,
    source: Source,
    window: Window,
    run: RunConditions | None = None,
    given: Given = Given(),
    distances: Mapping[str, float] | None = None,
    skip: float | None = 0.0,
) -> tuple[FluxRecorder, Conditions]:
    """Record one trajectory.

    Parameters
    ----------
    kind : str
        ``ir``, ``raman`` or ``sfg``.
    source : BeadFiles, Frames or Arrays
        What :func:`beadwise.runs.output.series_files.find_sources` found.
    window : Window
        The correlation functions reach as far as it does.
    run : RunConditions, optional
        What the input of the run says.
    given : Given
        It counts more than `run`.
    distances : mapping of str to float, optional
        ``inner``, ``outer`` and ``near`` of a slab, in Å, for ``sfg``.
    skip : float or None
        Time at the beginning that is left out, in ps; None for a tenth of the trajectory.

    Returns
    -------
    recorder : FluxRecorder
    conditions : Conditions

    Raises
    ------
    SeriesError
        If the samples are not those that the kind needs, too few, or not of all beads, or if conditions are missing.
    """
    recorder: FluxRecorder | None = None
    left_out = 0
    for samples in source.samples():
        if recorder is None:
            conditions = conditions_of(source, run, given, samples)
            slab = Slab(run.cell, **(distances or {})) if run is not None and kind == "sfg" else None
            recorder = make_recorder(_recorder_kind(kind, samples), conditions.timestep, window, slab)
            left_out = left_out_of(source.count(), skip, conditions.timestep, source.path)
        needed = _needed(recorder, samples, source)
        recorder.add({name: values[left_out:] for name, values in needed.items()})
        left_out = max(0, left_out - len(next(iter(needed.values()))))
    if recorder is None or recorder.samples == 0:
        raise SeriesError(f"'{source.path}' holds too few samples; at least three are needed")
    return recorder, conditions


def recorded_time(source: Source, run: RunConditions | None, given: Given, skip: float | None) -> float:
    """How long a trajectory is after what is left out, in fs; see `record`."""
    samples = next(iter(source.samples()), None)
    if samples is None:
        return 0.0
    timestep = conditions_of(source, run, given, samples).timestep
    count = source.count()
    return (count - left_out_of(count, skip, timestep, source.path)) * timestep


def left_out_of(count: int, skip: float | None, timestep: float, path: Path) -> int:
    """How many samples are left out at the beginning of a trajectory, by the rule of `first_step`.

    Parameters
    ----------
    count : int
        Samples of the trajectory.
    skip : float or None
        In ps; None for a tenth of it.
    timestep : float
        Between samples, in fs.
    path : Path
        Of the trajectory.
    """
    return math.ceil(first_step((0, max(count - 1, 0)), skip, timestep, path))


def _recorder_kind(kind: str, samples: Mapping[str, np.ndarray]) -> str:
    """Name of the recorder: an infrared spectrum is also made of Born charges, where there is no dipole."""
    return "ir_from_born_charges" if kind == "ir" and _is_of_born_charges(samples) else kind


def _is_of_born_charges(samples: Mapping[str, np.ndarray]) -> bool:
    return "born_charges" in samples and not {"dipole", MEMBERS_OF["dipole"]} & set(samples)


def _needed(recorder: FluxRecorder, samples: Mapping[str, np.ndarray], source: Source) -> dict[str, np.ndarray]:
    """What a recorder takes of samples: all that it needs, and the members of committees that there are."""
    missing = [name for name in recorder.needs if name not in samples and MEMBERS_OF.get(name) not in samples]
    if missing:
        raise SeriesError(f"'{source.path}' holds no {missing[0]}; it holds {', '.join(samples)}")
    needed = {name: samples[name] for name in (*recorder.needs, *recorder.members) if name in samples}
    if len({len(values) for values in needed.values()}) > 1:
        lengths = ", ".join(f"{len(values)} of {name}" for name, values in needed.items())
        raise SeriesError(f"'{source.path}' holds {lengths}; as many samples of each are needed")
    return needed


def conditions_of(
    source: Source, run: RunConditions | None, given: Given, samples: Mapping[str, np.ndarray]
) -> Conditions:
    """Conditions of a series: what was given counts more than what the input says.

    Parameters
    ----------
    source : BeadFiles, Frames or Arrays
    run : RunConditions or None
    given : Given
    samples : mapping of str to ndarray
        The first samples of the source.

    Raises
    ------
    SeriesError
        If something is not known, or the series does not hold all beads of the run.
    """
    beads = _beads_of(source, samples)
    if run is not None and beads is not None and beads != run.beads:
        raise SeriesError(
            f"'{source.path}' is of {beads} bead{'s' if beads > 1 else ''}, and the run has {run.beads}; "
            "a mean over beads needs all of them"
        )
    told = Given() if run is None else Given(None, run.temperature, run.volume, run.dynamics)
    if run is not None and isinstance(source, BeadFiles):
        told = replace(told, timestep=run.timestep * (source.stride or 1))
    timestep, temperature, volume = given.timestep, given.temperature, given.volume
    timestep = told.timestep if timestep is None else timestep
    temperature = told.temperature if temperature is None else temperature
    note = run.note_of_volume if run is not None and volume is None else ""
    volume = told.volume if volume is None else volume
    if timestep is None or temperature is None or volume is None:
        values = {"timestep": timestep, "temperature": temperature, "volume": volume}
        missing = [name for name, value in values.items() if value is None]
        raise SeriesError(
            f"{' and '.join(missing)} of '{source.path}' are not known; give --{' and --'.join(missing)}, "
            "or --input with an i-PI input or RESTART"
        )
    dynamics = given.dynamics or told.dynamics or NOT_NAMED
    known_beads = beads or (1 if run is None else run.beads)
    return Conditions(timestep, temperature, volume, dynamics + note, known_beads)


def _beads_of(source: Source, samples: Mapping[str, np.ndarray]) -> int | None:
    """Number of beads that a series is the mean of; None if it does not say."""
    if isinstance(source, BeadFiles):
        return source.beads
    charges = samples.get("born_charges")
    is_of_beads = charges is not None and _is_of_born_charges(samples) and charges.ndim == WITH_BEADS
    return charges.shape[1] if charges is not None and is_of_beads else None


def common_conditions(conditions: Sequence[Conditions]) -> Conditions:
    """Conditions of all trajectories, which must agree; volumes are averaged.

    Raises
    ------
    SeriesError
        If times between samples, temperatures, dynamics or numbers of beads differ.
    """
    first = conditions[0]
    for one in conditions:
        if not np.isclose(one.timestep, first.timestep, rtol=1e-9) or one.temperature != first.temperature:
            raise SeriesError(
                f"trajectories have samples every {first.timestep:g} fs at {first.temperature:g} K and every "
                f"{one.timestep:g} fs at {one.temperature:g} K; they must be the same"
            )
        if (one.dynamics, one.beads) != (first.dynamics, first.beads):
            raise SeriesError(
                f"trajectories are of '{first.dynamics}' with {first.beads} beads and of '{one.dynamics}' with "
                f"{one.beads} beads; they must be the same"
            )
    return replace(first, volume=float(np.mean([one.volume for one in conditions])))


def check_alike(recorders: Sequence[FluxRecorder]) -> None:
    """Raise SeriesError if trajectories are not recorded in the same way, as from dipoles and from Born charges."""
    needs = list(dict.fromkeys(" and ".join(recorder.needs) for recorder in recorders))
    if len(needs) > 1:
        raise SeriesError(f"some trajectories hold {needs[0]} and others {needs[1]}; they must be the same")
