"""From path integrals to what a heavier isotope changes: what ``beadwise isotopes`` does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase.units import kB

from ...model import Batch, BeadwiseError, Evaluator
from ...model.evaluators import load_evaluator
from ...progress import Progress
from ...runs.input.dynamics import first_step
from ...runs.input.elements import InputError
from ...runs.ipi_utilities import Elements
from ...runs.output.positions import BeadTrajectory, find_bead_trajectory
from ...runs.output.properties import energies_of_run, writes_property
from ...runs.source import find_run
from ...runs.units import PERIODIC
from ...sampling.isotopes import IsotopeRatio, isotope_ratio, scaled_beads
from ...with_errors import with_error
from ..mass.elements import Exchange
from ..results import warned

AT_A_TIME = 20_000  # atoms of all structures of a batch, so that memory stays bounded
DIFFERENT_POTENTIAL = 0.5  # kT; positions in files are rounded, which changes energies by much less
MILLI = 1000


@dataclass(frozen=True)
class IsotopeRequest:
    """What a user asks of ``beadwise isotopes``.

    Parameters
    ----------
    runs : tuple of Path
    model : str
        What they sampled.
    light, heavy : str
        Labels of the isotope of the runs, and of the one that takes its place.
    samples : int
        Of each run.
    atoms : int or None
        How many of the atoms are substituted, one at a time; None for all.
    skip : float or None
        Time to leave out of each run, in ps; None for a tenth of it.
    """

    runs: tuple[Path, ...]
    model: str
    light: str
    heavy: str
    samples: int = 50
    atoms: int | None = None
    skip: float | None = None


@dataclass(frozen=True)
class RunRatio:
    """What one run gives.

    Parameters
    ----------
    source : Path
    beads : int
    temperature : float
        In K.
    found : IsotopeRatio
    """

    source: Path
    beads: int
    temperature: float
    found: IsotopeRatio


@dataclass(frozen=True)
class IsotopeReport:
    """What came out.

    Parameters
    ----------
    request : IsotopeRequest
    ratio : float
        α, of the masses.
    runs : list of RunRatio
    """

    request: IsotopeRequest
    ratio: float
    runs: list[RunRatio]

    def lines(self) -> Iterator[str]:
        """What the command prints."""
        light, heavy = self.request.light, self.request.heavy
        yield f"{light} -> {heavy}, masses in the ratio {self.ratio:.6g}; model {self.request.model}"
        yield "ln of the ratio of partition functions over that of classical nuclei, for one atom"
        for run in self.runs:
            own = run.found
            yield (
                f"{run.source}: {run.temperature:g} K, {run.beads} beads, {own.samples} samples of {own.atoms} atoms: "
                f"{with_error(f'{own.logarithm:.5f}', own.standard_error)}, ratio {own.ratio:.5f}, spread of h "
                f"{own.spread:.2g}"
            )
            value, error = self.free_energy(run)
            yield f"  A({heavy}) - A({light}) = {with_error(f'{MILLI * value:.4f}', MILLI * error, f'meV per {light}')}"
        for run in self.runs[1:]:
            value, error = self._fractionation(run)
            yield (
                f"{run.source} over {self.runs[0].source}: {heavy} is enriched by 1000 ln α = "
                f"{with_error(f'{MILLI * value:.2f}', MILLI * error)}"
            )
        yield from warned(f"{run.source}: {text}" for run in self.runs for text in run.found.warnings)

    def free_energy(self, run: RunRatio) -> tuple[float, float]:
        """A(αm) − A(m) of one atom and its error in eV: −kT (ln ⟨exp(−h)⟩ + 3/2 ln α)."""
        thermal = kB * run.temperature
        return -thermal * (run.found.logarithm + 1.5 * np.log(self.ratio)), thermal * run.found.standard_error

    def as_dict(self) -> dict[str, Any]:
        """The same for programs, in eV per atom."""
        return {
            "light": self.request.light,
            "heavy": self.request.heavy,
            "mass_ratio": self.ratio,
            "runs": [
                {
                    "source": str(run.source),
                    "temperature": run.temperature,
                    "beads": run.beads,
                    **{name: getattr(run.found, name) for name in run.found.__dataclass_fields__},
                    "free_energy": self.free_energy(run)[0],
                    "free_energy_error": self.free_energy(run)[1],
                    "fractionation": self._fractionation(run),
                }
                for run in self.runs
            ],
        }

    def _fractionation(self, run: RunRatio) -> tuple[float, float]:
        """The ln of the fractionation ratio of a run over the first, and its error."""
        first = self.runs[0].found
        if run is self.runs[0]:
            return 0.0, 0.0
        return run.found.logarithm - first.logarithm, float(np.hypot(run.found.standard_error, first.standard_error))


def make(request: IsotopeRequest, advance: Progress | None = None) -> IsotopeReport:
    """Evaluate scaled beads at samples of runs.

    Parameters
    ----------
    request : IsotopeRequest
    advance : Progress, optional
        Told how many samples of how many are done.

    Raises
    ------
    BeadwiseError
        If isotopes are unknown or of two elements, or a run or the model cannot be used.
    """
    ratio = Exchange.of(f"{request.light}={request.heavy}").ratio
    evaluator = load_evaluator(request.model)
    trajectories = [find_bead_trajectory(find_run(path)) for path in request.runs]
    found = [_of_run(run, evaluator, request, ratio, advance) for run in trajectories]
    for one in found[1:]:
        if one.temperature != found[0].temperature:
            raise InputError(
                f"'{found[0].source}' is at {found[0].temperature:g} K and '{one.source}' at {one.temperature:g} K; "
                "they must be the same"
            )
    return IsotopeReport(request, ratio, found)


def _of_run(
    run: BeadTrajectory, evaluator: Evaluator, request: IsotopeRequest, ratio: float, advance: Progress | None
) -> RunRatio:
    """What one run gives."""
    if run.is_biased or run.beads < 2:
        raise InputError(f"'{run.source}' is biased or has one bead; an unbiased path integral is needed")
    system = run.run.only_system()
    places = [atom for atom, label in enumerate(system.labels) if label == request.light]
    if not places:
        raise InputError(f"'{run.source}' has no {request.light}; it has {', '.join(sorted(set(system.labels)))}")
    expected = Elements.mass(request.light)
    masses = system.atoms.masses[places]
    if np.abs(masses / expected - 1).max() > 1e-3:
        raise InputError(f"'{run.source}' gives {request.light} another mass than its label; they must agree")
    if request.atoms is not None and request.atoms < len(places):
        places = [places[index] for index in np.linspace(0, len(places) - 1, request.atoms).round().astype(int)]
    first = first_step(run.steps, request.skip, run.timestep, run.source)
    usable = [step for step in run.steps if step >= first]
    chosen = np.unique(np.linspace(0, len(usable) - 1, min(request.samples, len(usable))).round().astype(int))
    thermal = kB * run.temperature
    written = _potential_of(run)
    exponents = []
    for done, place in enumerate(chosen):
        positions, cell = run.frame(usable[place])
        plain = _energies(evaluator, run.numbers, positions, cell).mean()
        _check(run, usable[place], plain, written.get(usable[place]), thermal)
        moved = np.stack([scaled_beads(positions, atom, ratio) for atom in places])
        energies = _energies(evaluator, run.numbers, moved.reshape(-1, *positions.shape[1:]), cell)
        exponents.append((energies.reshape(len(places), run.beads).mean(axis=1) - plain) / thermal)
        if advance is not None:
            advance(f"samples of {run.source}", done + 1, len(chosen))
    shape = (len(exponents), len(places))
    return RunRatio(run.source, run.beads, run.temperature, isotope_ratio(np.reshape(exponents, shape)))


def _energies(evaluator: Evaluator, numbers: np.ndarray, positions: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Energies of many structures in eV, in batches."""
    step = max(1, AT_A_TIME // len(numbers))
    found = []
    for start in range(0, len(positions), step):
        part = positions[start : start + step]
        cells = np.repeat(cell[None], len(part), axis=0)
        found.append(evaluator.evaluate(Batch(numbers, part, cells, PERIODIC), ("energy",)).energy)
    return np.concatenate(found)


def _potential_of(run: BeadTrajectory) -> dict[int, float]:
    """Potential that the run wrote, in eV by step; empty where it wrote none."""
    system = run.run.only_system()
    if not writes_property(system, "potential"):
        return {}
    steps, energies = energies_of_run(system, "potential")
    return dict(zip(steps.tolist(), energies.tolist(), strict=True))


def _check(run: BeadTrajectory, step: int, energy: float, written: float | None, thermal: float) -> None:
    """Refuse a potential that is not the one of the run."""
    if written is not None and abs(written - energy) > DIFFERENT_POTENTIAL * thermal:
        raise BeadwiseError(
            f"'{run.source}' wrote the potential {written:.6f} eV at step {step}, and the model gives {energy:.6f} eV "
            f"there; the potential of the run is needed, to within {DIFFERENT_POTENTIAL * thermal:.3g} eV"
        )
