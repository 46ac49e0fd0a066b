"""From runs at constant pressure to the step from A to G: what ``beadwise gibbs`` does."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from ase.units import Pascal

from ...model.crystals.reference import CrystalError, HarmonicReference
from ...model.crystals.sites import Sites
from ...runs.input.dynamics import Ensemble, first_step
from ...runs.input.elements import InputError, settled
from ...runs.input.run_input import RunInput, System
from ...runs.output.properties import read_property_table
from ...runs.source import find_run
from ...runs.units import BOHR_PER_ANGSTROM
from ...sampling.constant_pressure import PressureStep, pressure_step
from ...with_errors import with_error
from ..formula_unit import formula_unit
from ..mass.masses import DALTON
from ..results import GIBBS, warned
from .harmonic import MILLI
from .switch_inputs import check_masses, refuse_fixed_atoms

VOLUME = "volume"
CUBIC_ANGSTROM = ("angstrom3",)
MEGA = 1e6
ISOTROPIC = ("isotropic",)


@dataclass(frozen=True)
class GibbsReport:
    """G − A.

    Parameters
    ----------
    step : PressureStep
    volume : float
        Of the cell of the harmonic crystal in Å³.
    labels : tuple of str
    masses : ndarray of float64, shape (atoms,)
        Of the first run, in u.
    beads : int
    ensemble : Ensemble
    pressure : float
        In MPa.
    warnings : tuple of str
    """

    step: PressureStep
    volume: float
    labels: tuple[str, ...]
    masses: np.ndarray
    beads: int
    ensemble: Ensemble
    pressure: float
    warnings: tuple[str, ...]

    def lines(self) -> Iterator[str]:
        """What the command prints."""
        unit, units = formula_unit(self.labels)
        step = self.step
        beads = "1 bead" if self.beads == 1 else f"{self.beads} beads"
        yield f"{len(self.labels)} atoms, {units} x {unit}, {beads}, {self.ensemble.name}"
        yield (
            f"volume of the harmonic crystal {self.volume:.3f} Å³, {step.distance:+.2f} standard deviations from the "
            f"mean {step.mean_volume:.3f} Å³ of {step.independent_samples} independent samples (deviation "
            f"{step.deviation:.3f})"
        )
        per_unit = MILLI / units
        total = with_error(f"{step.difference:.6f}", step.standard_error, "eV")
        own = with_error(f"{per_unit * step.difference:.4f}", per_unit * step.standard_error, f"meV per {unit}")
        yield f"G - A = P V + kT ln(density in 1/Å³) = {total} = {own}"
        yield from warned(self.warnings)

    def as_dict(self) -> dict[str, Any]:
        """The same for programs, in eV of all atoms."""
        return {
            "made_by": GIBBS,
            "difference": self.step.difference,
            "standard_error": self.step.standard_error,
            "atoms": len(self.labels),
            "temperature": self.ensemble.temperature,
            "beads": self.beads,
            "masses": self.masses.tolist(),
            "pressure": self.pressure,
            "volume": self.volume,
            "step": self.step,
            "warnings": self.warnings,
        }


def make(paths: Sequence[Path], file: Path, skip: float | None = None) -> GibbsReport:
    """Read volumes of runs at one constant pressure, and make G − A of them.

    Parameters
    ----------
    paths : sequence of Path
        Runs of one isotropic ensemble.
    file : Path
        Harmonic crystal, whose cell is that of all that is at constant volume.
    skip : float, optional
        Time to leave out of each run, in ps; by default a tenth of it.

    Raises
    ------
    BeadwiseError
        If a run or the crystal cannot be used, or they do not belong together.
    """
    if not os.path.isfile(file):
        raise CrystalError(f"no file '{file}', of the harmonic crystal; `beadwise harmonic` writes one")
    reference = HarmonicReference.load(file)
    sites = Sites(reference)
    runs = [find_run(path) for path in paths]
    systems = [run.only_system() for run in runs]
    for run, system in zip(runs, systems, strict=True):
        check_barostat(run, system)
        refuse_fixed_atoms(system)
        sites.check_atoms(run.numbers)
        if system.beads > 1:  # what is classical has one distribution of volumes whatever the masses
            check_masses(system.atoms.masses / DALTON, run.path, reference, file)
        first = systems[0]
        if system.ensemble.name != first.ensemble.name or system.beads != first.beads:
            raise InputError(
                f"'{runs[0].path}' is at {first.ensemble.name} with {first.beads} beads and '{run.path}' at "
                f"{system.ensemble.name} with {system.beads}; they must be the same"
            )
    volumes = np.concatenate([_volumes(run, system, skip) for run, system in zip(runs, systems, strict=True)])
    volume = float(abs(np.linalg.det(reference.cell)))
    first = systems[0]
    pressure = settled(first.element, "ensemble/pressure", "pressure", "megapascal", runs[0].path)
    return GibbsReport(
        step=pressure_step(volumes, volume, pressure * MEGA * Pascal, first.ensemble.temperature),
        volume=volume,
        labels=tuple(chemical_symbols[number] for number in reference.numbers),
        masses=first.atoms.masses / DALTON,
        beads=first.beads,
        ensemble=first.ensemble,
        pressure=pressure,
        warnings=tuple(filter(None, (one.ensemble.warning(run.path) for one, run in zip(systems, runs, strict=True)))),
    )


def check_barostat(run: RunInput, system: System) -> None:
    """Refuse a run whose cell changes otherwise than in size.

    Raises
    ------
    InputError
        If it does, or is biased.
    """
    barostat = None if system.dynamics is None else system.dynamics.find("barostat")
    mode = "" if barostat is None else barostat.get("mode", "").strip()
    if system.has_constant_volume or mode not in ISOTROPIC or system.element.find("ensemble/pressure") is None:
        raise InputError(
            f"'{run.path}' has the barostat '{mode or 'none'}'; a run at constant pressure with <barostat "
            "mode='isotropic'> is needed, whose cells differ in size only"
        )
    if system.biases:
        raise InputError(f"'{run.path}' has a <bias>; the density of volumes is that of a run without one")


def _volumes(run: RunInput, system: System, skip: float | None) -> np.ndarray:
    """Volumes after equilibration in Å³."""
    steps, volumes = volumes_of(run, system)
    return volumes[steps >= first_step(steps, skip, system.timestep, run.path)]


def volumes_of(run: RunInput, system: System) -> tuple[np.ndarray, np.ndarray]:
    """Steps and volumes in Å³ that a run wrote.

    Raises
    ------
    InputError
        If it wrote none.
    """
    files = [one for one in system.properties_outputs if {"step", VOLUME} <= set(one.properties)]
    if not files:
        raise InputError(
            f"'{run.path}' does not write {VOLUME}; add to its <output> <properties filename='out' stride='10'> "
            f"[ step, {VOLUME}{{angstrom3}} ] </properties>"
        )
    path = run.folder / min(files, key=lambda one: one.stride).name
    table = read_property_table(path)
    if table is None:
        raise InputError(f"'{path}' does not exist, or holds no row yet")
    column = table.first(VOLUME)
    if column is None:
        raise InputError(f"'{path}' has no column {VOLUME}")
    if column.unit not in ("", "atomic_unit", *CUBIC_ANGSTROM):
        raise InputError(f"'{path}' has {VOLUME} in {column.unit}; angstrom3 or atomic units are needed")
    factor = 1.0 if column.unit in CUBIC_ANGSTROM else BOHR_PER_ANGSTROM**-3
    return table.steps, np.asarray(factor * table.values(column))
