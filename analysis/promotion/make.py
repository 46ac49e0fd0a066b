"""From runs to the free energy of a reference: what ``beadwise promote`` does."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase.units import kB

from ...model import Batch, BeadwiseError
from ...model.kept_answers import Labelled
from ...progress import Progress
from ...runs.input.atoms import SAME_MASS
from ...runs.input.dynamics import first_step
from ...runs.input.elements import InputError
from ...runs.output.positions import BeadTrajectory, find_bead_trajectory, read_bead_trajectory
from ...runs.output.properties import energies_of_run, writes_property
from ...runs.source import find_run
from ...runs.units import PERIODIC
from ...sampling import acceptance_ratio, promote
from ...sampling.promotion import exponential_average
from ..mass.masses import DALTON
from .kept_energies import KeptEnergies
from .reference_frames import ReferenceFrames, write_structures
from .report import PromotionReport

DIFFERENT_POTENTIAL = 0.5  # k_B T; positions in files are rounded, which changes energies by much less
FORMATS = (".xyz", ".extxyz")


@dataclass(frozen=True)
class PromotionRequest:
    """What a user asks of ``beadwise promote``.

    Parameters
    ----------
    runs : tuple of Path
        Folders of runs, i-PI inputs or RESTARTs, which sample the model.
    reference : str
        What a user calls MODEL, or an extended xyz file with energies of the samples.
    model : str or None
        What the runs sampled; None to take its energies from what the runs wrote.
    samples : int
        Of all runs together, and as many of those that sample the reference.
    reference_runs : tuple of Path
        Runs that sample the reference, for the acceptance ratio.
    skip : float or None
        Time to leave out of each run, in ps; None for a tenth of it.
    energies : Path or None
        Folder where reference energies are kept; None for that of the first run.
    workers : int or None
        Processes that evaluate the reference; None for one for each core.
    """

    runs: tuple[Path, ...]
    reference: str = ""
    model: str | None = None
    samples: int = 100
    reference_runs: tuple[Path, ...] = ()
    skip: float | None = None
    energies: Path | None = None
    workers: int | None = None


def make(request: PromotionRequest, advance: Progress | None = None) -> PromotionReport:
    """Evaluate reference and model at samples of the runs, and estimate the difference of their free energies.

    Parameters
    ----------
    request : PromotionRequest
    advance : Progress, optional
        Told how many samples of how many are done, and the estimate so far.

    Raises
    ------
    BeadwiseError
        If a run, the model or the reference cannot be used.
    SamplingError
        If there are too few samples.
    """
    runs = _runs_of(request.runs)
    reference_runs = _runs_of(request.reference_runs)
    _check_alike([*runs, *reference_runs])
    is_file = Path(request.reference).suffix in FORMATS and os.path.isfile(request.reference)
    if reference_runs and (request.model is None or is_file):
        raise InputError("--reference-run needs --model and a reference that can be evaluated: both at its samples")
    folder = request.energies or runs[0].source.parent
    reference = ReferenceFrames(Path(request.reference)) if is_file else KeptEnergies(request.reference, folder)
    model = None if request.model is None else KeptEnergies(request.model, folder)
    samples = _choose(runs, request, needs_potential=model is None)
    differences = _differences(samples, reference, model, request.workers, advance)
    _check_potential(samples, differences.model)
    acceptance = None
    if reference_runs and model is not None:
        others = _choose(reference_runs, request, needs_potential=False)
        backward = _differences(others, reference, model, request.workers, advance)
        _check_potential(others, backward.reference)
        acceptance = acceptance_ratio(differences.values, backward.values, runs[0].temperature)
    return PromotionReport(
        promotion=promote(differences.values, runs[0].temperature),
        acceptance=acceptance,
        atoms=len(runs[0].numbers),
        beads=runs[0].beads,
        masses=_masses(runs[0]),
        free_energy=runs[0].ensemble.free_energy,
        model="as the runs wrote it" if model is None else model.name,
        reference=reference.name,
        kept=reference.file if isinstance(reference, KeptEnergies) else None,
        warnings=_warnings([*runs, *reference_runs]),
    )


def write_samples(request: PromotionRequest, path: Path) -> int:
    """Write the structures that a reference is needed at, and say how many there are.

    Parameters
    ----------
    request : PromotionRequest
    path : Path
        Extended xyz, in the order that `ReferenceFrames` reads.

    Raises
    ------
    BeadwiseError
        If a run cannot be used, or the file cannot be written.
    """
    runs = _runs_of(request.runs)
    _check_alike(runs)
    samples = _choose(runs, request, needs_potential=request.model is None)
    return write_structures(path, _structures(samples))


@dataclass(frozen=True)
class _Samples:
    """Steps of one run, and its potential there in eV where it was written."""

    run: BeadTrajectory
    steps: list[int]
    potential: dict[int, float]


@dataclass(frozen=True)
class _Differences:
    """V_REF − V_ML, (samples, beads) or, as means over beads, (samples,); means of either over beads, (samples,)."""

    values: np.ndarray
    model: np.ndarray
    reference: np.ndarray


def _runs_of(paths: Iterable[Path]) -> list[BeadTrajectory]:
    runs = [find_bead_trajectory(find_run(path)) for path in paths]
    for run in runs:
        if run.is_biased:
            raise InputError(
                f"'{run.source}' has a <bias>, under which samples have weights; the free energy of a reference is "
                "made of an unbiased run"
            )
    return runs


def _check_alike(runs: Sequence[BeadTrajectory]) -> None:
    first = runs[0]
    files = [run.files[0].resolve() for run in runs]
    if twice := next((run for run, file in zip(runs, files, strict=True) if files.count(file) > 1), None):
        raise InputError(f"'{twice.source}' is given twice, or other runs write the same files; each counts once")
    for run in runs[1:]:
        for name, value, other in (
            ("beads", first.beads, run.beads),
            ("K", first.temperature, run.temperature),
            ("atoms", len(first.numbers), len(run.numbers)),
        ):
            if value != other:
                raise InputError(
                    f"'{first.source}' has {value:g} {name} and '{run.source}' {other:g}; they must be the same"
                )
        if run.ensemble.name != first.ensemble.name:
            raise InputError(
                f"'{first.source}' is at {first.ensemble.name} and '{run.source}' at {run.ensemble.name}; they must be "
                "the same"
            )
        if not np.array_equal(first.numbers, run.numbers):
            raise InputError(f"'{first.source}' and '{run.source}' have different atoms, or in a different order")
        if run.beads > 1 and not np.allclose(_masses(run), _masses(first), rtol=SAME_MASS, atol=0):
            raise InputError(
                f"'{first.source}' and '{run.source}' have other masses; the same isotopes are needed where there are "
                "beads"
            )


def _masses(run: BeadTrajectory) -> np.ndarray:
    return run.run.only_system().atoms.masses / DALTON


def _choose(runs: Sequence[BeadTrajectory], request: PromotionRequest, needs_potential: bool) -> list[_Samples]:
    """Samples that lie as far from each other as their number allows, over what the runs have after equilibration."""
    found = []
    for run in runs:
        potential: dict[int, float] = {}
        system = run.run.only_system()
        if needs_potential or writes_property(system, "potential"):
            steps, energies = energies_of_run(system, "potential")
            potential = dict(zip(steps.tolist(), energies.tolist(), strict=True))
        first = first_step(run.steps, request.skip, run.timestep, run.source)
        usable = [step for step in run.steps if step >= first and (step in potential or not needs_potential)]
        found.append(_Samples(run, usable, potential))
    places = [(number, step) for number, one in enumerate(found) for step in one.steps]
    if not places:
        beyond = " that are in its properties, too" if needs_potential else ""
        raise InputError(f"'{runs[0].source}' has no samples after equilibration{beyond}; at least 8 are needed")
    wanted = np.unique(np.linspace(0, len(places) - 1, min(request.samples, len(places))).round().astype(int))
    chosen = [places[place] for place in wanted]
    return [
        _Samples(one.run, [step for number, step in chosen if number == place], one.potential)
        for place, one in enumerate(found)
    ]


def _structures(samples: Iterable[_Samples]) -> Iterator[Labelled]:
    """The beads of each sample, and what to call it."""
    for one in samples:
        for step, positions, cell in read_bead_trajectory(one.run, one.steps):
            cells = np.repeat(cell[None], len(positions), axis=0)
            yield f"step {step} of {one.run.source}", Batch(one.run.numbers, positions, cells, PERIODIC)


def _differences(
    samples: Sequence[_Samples],
    reference: KeptEnergies | ReferenceFrames,
    model: KeptEnergies | None,
    workers: int | None,
    advance: Progress | None,
) -> _Differences:
    """Evaluate the reference at all samples, and the model unless what the runs wrote is taken for it."""
    total = sum(len(one.steps) for one in samples)
    temperature = samples[0].run.temperature
    written = [np.array(one.potential.get(step, np.nan)) for one in samples for step in one.steps]
    of_model = written
    if model is not None:
        of_model = []
        stage = f"energies of the model {model.name}"
        if advance is not None:
            advance(stage, 0, total)
        for energies in model.energies(_structures(samples), workers):
            of_model.append(energies)
            if advance is not None:
                advance(stage, len(of_model), total)
    stage = f"energies of the reference {reference.name}"
    if advance is not None:
        advance(stage, 0, total)
    differences: list[np.ndarray] = []
    references: list[float] = []
    for own, energies in zip(of_model, reference.energies(_structures(samples), workers), strict=True):
        differences.append(energies.mean() - own if model is None else energies - own)
        references.append(energies.mean())
        if advance is not None:
            estimate = exponential_average(np.array(differences), temperature)
            letter = samples[0].run.ensemble.free_energy
            advance(stage, len(differences), total, f"{letter}_REF − {letter}_ML = {estimate:.4f} eV")
    models = [own.mean() for own in of_model]
    return _Differences(np.array(differences), np.array(models), np.array(references))


def _check_potential(samples: Sequence[_Samples], energies: np.ndarray) -> None:
    """Refuse energies, shape (samples,), that are not those that the runs were done with."""
    places = [(one, step) for one in samples for step in one.steps]
    for (one, step), energy in zip(places, energies, strict=True):
        written = one.potential.get(step)
        allowed = DIFFERENT_POTENTIAL * kB * one.run.temperature
        if written is not None and abs(written - energy) > allowed:
            raise BeadwiseError(
                f"'{one.run.source}' wrote the potential {written:.6f} eV at step {step}, and what it is said to "
                f"sample gives {energy:.6f} eV there; a run of that potential is needed, to within {allowed:.3g} eV"
            )


def _warnings(runs: Iterable[BeadTrajectory]) -> tuple[str, ...]:
    return tuple(warning for run in runs if (warning := run.ensemble.warning(run.source)))
