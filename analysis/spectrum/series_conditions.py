"""Conditions of a series: what a user says of it, then what its file says, then the input of the run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from ase import units

from ...runs.input.dynamics import first_step
from ...runs.output.series_files import BeadFiles, Source
from ...spectra import Conditions, SeriesError
from ...spectra.recording import MEMBERS_OF
from .conditions import RunConditions

NOT_NAMED = "dynamics not named"
WITH_BEADS = 5  # axes of Born charges that have one for the beads
SAME_VOLUME, SAME_TIME = 1e-3, 0.01
SHORTEST, LONGEST = 0.1, 10.0  # fs between samples: times in a file that are in another unit are outside
OTHER_TIMES = (1.0, 1e-3, units.fs, units.fs / units.AUT)  # a fs in fs, ps, ASE's unit and atomic units
Samples = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Given:
    """What a user says of a series; None for what the file, or the input of the run, says.

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
    unit : str or None
        Of the dipole or polarizability in the file.
    """

    timestep: float | None = None
    temperature: float | None = None
    volume: float | None = None
    dynamics: str | None = None
    unit: str | None = None


NOTHING_GIVEN = Given()


def conditions_of(
    source: Source, run: RunConditions | None, given: Given, samples: Mapping[str, np.ndarray]
) -> Conditions:
    """Conditions of a series: what was given counts more than what the input says.

    Parameters
    ----------
    source : Source
    run : RunConditions or None
    given : Given
    samples : mapping of str to ndarray
        The first samples of the source.

    Raises
    ------
    SeriesError
        If something is not known, or the series does not hold all beads of the run.
    """
    beads = beads_of(source, samples)
    if run is not None and beads is not None and beads != run.beads:
        raise SeriesError(
            f"'{source.path}' is of {beads} bead{'s' if beads > 1 else ''}, and the run has {run.beads}; "
            "a mean over beads needs all of them"
        )
    told = _told(source, run)
    _refuse_contradictions(source, run, given)
    timestep, temperature, volume = given.timestep, given.temperature, given.volume
    timestep = told.timestep if timestep is None else timestep
    temperature = told.temperature if temperature is None else temperature
    note = run.note_of_volume if run is not None and volume is None and source.volumes is None else ""
    volume = told.volume if volume is None else volume
    if timestep is None or temperature is None or volume is None:
        values = {"timestep": timestep, "temperature": temperature, "volume": volume}
        missing = [name for name, value in values.items() if value is None]
        apart = f" (its samples are {source.spacing or 0:.6g} apart, in a unit that it does not tell)"
        unclear = apart if timestep is None and source.spacing else ""
        verb = "is" if len(missing) == 1 else "are"
        raise SeriesError(
            f"{' and '.join(missing)} of '{source.path}' {verb} not known{unclear}; give --{' and --'.join(missing)}, "
            "or --input with an i-PI input or RESTART"
        )
    dynamics = given.dynamics or told.dynamics or NOT_NAMED
    known_beads = beads or (1 if run is None else run.beads)
    return Conditions(timestep, temperature, volume, dynamics + note, known_beads)


def is_of_born_charges(samples: Mapping[str, np.ndarray]) -> bool:
    """Whether an infrared spectrum can be made of Born charges alone."""
    return "born_charges" in samples and not {"dipole", MEMBERS_OF["dipole"]} & set(samples)


def _told(source: Source, run: RunConditions | None) -> Given:
    """What the file says, and where it does not the input of the run."""
    told = Given() if run is None else Given(None, run.temperature, run.volume, run.dynamics)
    if plausible_time(source.spacing) is not None:
        told = replace(told, timestep=source.spacing)
    elif run is not None and isinstance(source, BeadFiles):
        told = replace(told, timestep=run.timestep * (source.stride or 1))
    return told if source.volumes is None else replace(told, volume=source.volumes[1])


def _refuse_contradictions(source: Source, run: RunConditions | None, given: Given) -> None:
    """Raise SeriesError if a file says another volume, or another time between samples."""
    if source.volumes is not None:
        lowest, mean, highest = source.volumes
        is_of_run = given.volume is None and run is not None and run.has_constant_volume
        other = run.volume if is_of_run and run is not None else given.volume
        if other is not None and not lowest * (1 - SAME_VOLUME) <= other <= highest * (1 + SAME_VOLUME):
            says = "the input of the run says" if is_of_run else "--volume is"
            raise SeriesError(
                f"the cell in '{source.path}' has {mean:.6g} Å³, and {says} {other:.6g} Å³; they must be the same"
            )
    refuse_other_time(source.path, source.spacing, given.timestep)


def plausible_time(spacing: float | None) -> float | None:
    """Time between samples as a file tells it, if it can be in fs."""
    return spacing if spacing is not None and SHORTEST <= spacing <= LONGEST else None


def refuse_other_time(path: Path, spacing: float | None, timestep: float | None) -> None:
    """Raise SeriesError if what is given is not what a file tells, in fs or another unit that is in use."""
    if not spacing or timestep is None:
        return
    if not any(abs(spacing / timestep / unit - 1) < SAME_TIME for unit in OTHER_TIMES):
        raise SeriesError(
            f"the samples of '{path}' are {spacing:.6g} apart in time, and --timestep is {timestep:g} fs; they must be "
            "the same"
        )


def beads_of(source: Source, samples: Mapping[str, np.ndarray]) -> int | None:
    """Number of beads that a series is the mean of; None if it does not say."""
    if isinstance(source, BeadFiles):
        return source.beads
    charges = samples.get("born_charges")
    is_of_beads = charges is not None and is_of_born_charges(samples) and charges.ndim == WITH_BEADS
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


def recorded_time(source: Source, run: RunConditions | None, given: Given, skip: float | None) -> float:
    """How long a trajectory is after what is left out, in fs."""
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
