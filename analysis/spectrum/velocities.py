"""Densities of states from files of velocities."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...runs.output.series_files import refuse_given_twice
from ...runs.output.velocities import OF_BEAD, OF_CENTROID, VelocityFile
from ...spectra import Conditions, Correlation, SeriesError, Spectrum, Window, estimate
from ...spectra.checks.repeats import Repeats
from ...spectra.density_of_states import density_of_states
from ...spectra.estimates import refuse_longer_window
from ...spectra.transform import wavenumbers
from ..results import Shown
from .conditions import RunConditions
from .request import Request
from .series_conditions import NOT_NAMED, common_conditions, left_out_of, plausible_time, refuse_other_time

BEAD_NUMBER = re.compile(r"^(.*)_\d+(\.[^.]*)?$")
# by which positions are told from velocities
FEWEST_FRAMES, LARGEST_RATIO, LARGEST_CENTRE = 16, 100.0, 10.0
WHAT_TO_GIVE = "give the centroid's velocities (v_centroid), or those of the one bead of a classical run"


@dataclass(frozen=True)
class Velocities:
    """Correlation functions of one trajectory.

    Parameters
    ----------
    path : Path
    atoms : dict of str to int
        Number of atoms of each species.
    correlations : dict of str to Correlation
        Of the velocities of each species.
    conditions : Conditions
        Timestep, dynamics and beads; a density of states needs nothing else.
    temperature : float or None
        In K, where it is known.
    """

    path: Path
    atoms: dict[str, int]
    correlations: dict[str, Correlation]
    conditions: Conditions
    temperature: float | None


def make_density_of_states(request: Request, shown: Shown = iter) -> Spectrum:
    """Density of states of the trajectories of a request.

    Parameters
    ----------
    request : Request
    shown : callable
        Passes files on, one after the other, and shows how far this has come.

    Raises
    ------
    InputError
        If an i-PI input cannot be used.
    SeriesError
        If the files hold no usable velocities, or not of the same system under the same conditions.
    """
    refuse_given_twice(request.trajectories)
    files = [VelocityFile(path) for path in request.trajectories]
    _refuse_beads(files)
    window = request.make_window(_recorded_time(file, request) for file in files)
    repeats = Repeats()
    trajectories = [_correlated(file, request, window, repeats) for file in shown(files)]
    first = trajectories[0]
    _check_alike(trajectories)
    conditions = common_conditions([one.conditions for one in trajectories])
    repeats.refuse_copies()
    longest = max(correlation.samples for one in trajectories for correlation in one.correlations.values())
    refuse_longer_window(longest, window.lags(conditions.timestep), conditions.timestep, window)
    estimates = {name: estimate([one.correlations[name] for one in trajectories]) for name in first.atoms}
    grid = wavenumbers(conditions.timestep, request.highest)
    spectrum = density_of_states(estimates, first.atoms, conditions, window, grid)
    beads = f", {conditions.beads} beads" if conditions.beads > 1 else ""
    notes = {**spectrum.notes, "dynamics": conditions.dynamics + beads}
    if all(file.quantity == OF_CENTROID for file in files):
        notes["estimator"] = "velocities of the centroids"
    return replace(spectrum, notes=notes)


def _refuse_beads(files: Sequence[VelocityFile]) -> None:
    """Raise SeriesError if files are those of several beads of one run, which are no trajectories of their own."""
    by_stem: dict[Path, Path] = {}
    for file in files:
        found = BEAD_NUMBER.match(file.path.name)
        if found is None or file.quantity == OF_CENTROID:
            continue
        stem = file.path.with_name(found[1])
        if stem in by_stem:
            raise SeriesError(f"'{by_stem[stem]}' and '{file.path}' are beads of one run; {WHAT_TO_GIVE}")
        by_stem[stem] = file.path


def _correlated(file: VelocityFile, request: Request, window: Window, repeats: Repeats) -> Velocities:
    run = request.run_of(file.path)
    if run is not None and run.beads > 1 and file.quantity == OF_BEAD:
        raise SeriesError(f"'{file.path}' is of one bead, and the run has {run.beads}; {WHAT_TO_GIVE}")
    found: Velocities | None = None
    left_out = 0
    means = Means()
    for labels, velocities in file.pieces():
        if found is None:
            found = _nothing_yet(file, labels, run, request, window)
            left_out = left_out_of(file.count(), request.skip, found.conditions.timestep, file.path)
            repeats.begin(f"'{file.path}'", left_out)
        kept = velocities[left_out:]
        left_out = max(0, left_out - len(velocities))
        if len(kept):
            repeats.add(kept)
            means.add(kept)
            for name, correlation in found.correlations.items():
                correlation.compute(kept[:, labels == name].reshape(len(kept), -1), reset=False)
    if found is None or not all(correlation.samples for correlation in found.correlations.values()):
        raise SeriesError(f"'{file.path}' holds no velocities{_after(request.skip)}; at least one frame is needed")
    repeats.end()
    if not file.is_named and means.reason:
        raise SeriesError(
            f"the columns 2 to 4 of '{file.path}' lie {means.reason}, as positions do, and nothing says that they are "
            "velocities; needed is xyz of velocities, or extended xyz with Properties=species:S:1:velo:R:3"
        )
    return found


def _recorded_time(file: VelocityFile, request: Request) -> float:
    """How long a trajectory is after what is left out, in fs."""
    if next(file.pieces(), None) is None:
        return 0.0
    timestep, count = _timestep_of(file, request.run_of(file.path), request), file.count()
    return (count - left_out_of(count, request.skip, timestep, file.path)) * timestep


def _timestep_of(file: VelocityFile, run: RunConditions | None, request: Request) -> float:
    """Time between the frames of a file of which one has been read, in fs."""
    refuse_other_time(file.path, file.spacing, request.timestep)
    told = plausible_time(file.spacing)
    if request.timestep is not None or told is not None:
        return request.timestep or told or 0.0
    if run is None:
        unclear = f" ({file.spacing:.6g}, in a unit that it does not tell)" if file.spacing else ""
        raise SeriesError(
            f"the time between samples of '{file.path}' is not known{unclear}; give --timestep or --input"
        )
    return run.timestep * (file.stride or 1)


class Means:
    """Tells positions from velocities: those lie around means, these around zero."""

    def __init__(self) -> None:
        self._frames = 0
        self._sums = self._squares = np.zeros(())

    def add(self, values: np.ndarray) -> None:
        """Take in frames, shape (frames, atoms, 3)."""
        self._frames += len(values)
        self._sums = self._sums + values.sum(axis=0)
        self._squares = self._squares + np.square(values).sum(axis=0)

    @property
    def reason(self) -> str:
        """Why these look like positions; empty if they do not, or there are too few frames to tell."""
        if self._frames < FEWEST_FRAMES:
            return ""
        means, squares = self._sums / self._frames, self._squares / self._frames
        # bound atoms: each around a place of its own
        ratio = np.sum(np.square(means)) / max(np.sum(squares - np.square(means)), np.finfo(float).tiny)
        if ratio > LARGEST_RATIO:
            return f"around means that are {np.sqrt(ratio):.3g} times what they change by"
        # atoms that wander: their centre is that of a box, where velocities add up to next to nothing
        centre = np.mean(means, axis=0)
        if len(means) * np.sum(np.square(centre)) > LARGEST_CENTRE * np.sum(squares) / len(means):
            return f"around a common centre, {', '.join(f'{x:.3g}' for x in centre)}"
        return ""


def _nothing_yet(
    file: VelocityFile, labels: np.ndarray, run: RunConditions | None, request: Request, window: Window
) -> Velocities:
    """A trajectory of which the labels of the atoms are known, and how far apart its frames are."""
    timestep = _timestep_of(file, run, request)
    atoms = {name: int((labels == name).sum()) for name in dict.fromkeys(labels.tolist())}
    told = (NOT_NAMED, None, 1) if run is None else (run.dynamics, run.temperature, run.beads)
    conditions = Conditions(timestep, dynamics=request.dynamics or told[0], beads=told[2])
    correlations = {name: Correlation(window.lags(timestep)) for name in atoms}
    return Velocities(file.path, atoms, correlations, conditions, request.temperature or told[1])


def _after(skip: float | None) -> str:
    return "" if skip is None else f" after {skip:g} ps"


def _check_alike(trajectories: Sequence[Velocities]) -> None:
    first = trajectories[0]
    known = [one for one in trajectories if one.temperature is not None]
    for one in trajectories:
        if one.atoms != first.atoms:
            raise SeriesError(
                f"'{first.path}' has the atoms {_listed(first.atoms)} and '{one.path}' {_listed(one.atoms)}; "
                "they must be the same"
            )
    for one in known:
        if one.temperature != known[0].temperature:
            raise SeriesError(
                f"'{known[0].path}' is at {known[0].temperature:g} K and '{one.path}' at {one.temperature:g} K; "
                "they must be the same"
            )


def _listed(atoms: dict[str, int]) -> str:
    return " ".join(f"{name}{count}" for name, count in atoms.items())
