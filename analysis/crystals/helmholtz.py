"""From runs at several temperatures to free energies along temperature: what ``beadwise gibbs --helmholtz`` does."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from ase.units import Pascal, kB

from ...errors import SamplingError
from ...model.crystals.reference import CrystalError, HarmonicReference
from ...model.crystals.sites import Sites
from ...runs.input.dynamics import Ensemble, first_step
from ...runs.input.elements import InputError, settled
from ...runs.input.run_input import RunInput
from ...runs.output.properties import energies_of_run
from ...runs.source import find_run
from ...sampling import integrated_autocorrelation_time, standard_error_of_mean
from ...sampling.temperature_integration import TemperatureIntegration, integrate_over_temperature
from ...with_errors import with_error
from ..formula_unit import formula_unit
from ..mass.masses import DALTON
from ..results import warned
from .gibbs import MEGA, VOLUME, check_barostat, volumes_of
from .harmonic import MILLI
from .switch_inputs import check_masses, refuse_fixed_atoms

GIBBS_HELMHOLTZ = "beadwise gibbs --helmholtz"
KINETIC_ENERGY = "kinetic_cv"
FEWEST_ROWS = 16


@dataclass(frozen=True)
class HelmholtzReport:
    """Free energies along temperature.

    Parameters
    ----------
    found : TemperatureIntegration
    enthalpies, standard_errors : ndarray of float64, shape (runs,)
        ⟨H⟩ in eV of all atoms, by increasing temperature.
    labels : tuple of str
    beads : int
    letter : str
        G at constant pressure, A at constant volume.
    pressure : float or None
        In MPa.
    warnings : tuple of str
    """

    found: TemperatureIntegration
    enthalpies: np.ndarray
    standard_errors: np.ndarray
    labels: tuple[str, ...]
    beads: int
    letter: str
    pressure: float | None
    warnings: tuple[str, ...]

    def lines(self) -> Iterator[str]:
        """What the command prints."""
        unit, units = formula_unit(self.labels)
        found, letter, name = self.found, self.letter, "H" if self.letter == "G" else "E"
        beads = "1 bead" if self.beads == 1 else f"{self.beads} beads"
        pressure = "" if self.pressure is None else f", {self.pressure:g} MPa"
        yield f"{len(self.labels)} atoms, {units} x {unit}, {beads}{pressure}, <{name}> of degree {found.degree} in T"
        yield f"{letter}(T) - (T/T0) {letter}(T0) in meV per {unit}, T0 = {found.start:g} K"
        yield f"{'T/K':>8}{f'<{name}>':>14}{'error':>9}{'difference':>14}{'error':>9}"
        for row in zip(
            found.temperatures, self.enthalpies, self.standard_errors, found.differences, found.standard_errors,
            strict=True,
        ):  # fmt: skip
            mean, error, value, its_error = (MILLI / units * own for own in row[1:])
            yield f"{row[0]:>8g}{mean:>14.4f}{error:>9.2g}{value:>14.4f}{its_error:>9.2g}"
        last = found.temperatures[-1] if found.start == found.temperatures[0] else found.temperatures[0]
        place = int(np.flatnonzero(found.temperatures == last)[0])
        value, error = (MILLI / units * own[place] for own in (found.differences, found.standard_errors))
        yield (
            f"{letter}({last:g} K) = {last / found.start:.6f} {letter}({found.start:g} K) + "
            f"{with_error(f'{value:.4f}', error, f'meV per {unit}')}"
        )
        yield from warned(self.warnings)

    def as_dict(self) -> dict[str, Any]:
        """The same for programs, in eV of all atoms."""
        return {
            "made_by": GIBBS_HELMHOLTZ,
            "atoms": len(self.labels),
            "beads": self.beads,
            "free_energy": self.letter,
            "pressure": self.pressure,
            "enthalpies": self.enthalpies,
            "enthalpy_errors": self.standard_errors,
            "integration": self.found,
            "warnings": self.warnings,
        }


@dataclass(frozen=True)
class _Run:
    source: Path
    ensemble: Ensemble
    beads: int
    pressure: float | None
    mean: float
    standard_error: float


def make_helmholtz(
    paths: Sequence[Path], file: Path, start: float | None = None, skip: float | None = None
) -> HelmholtzReport:
    """Read enthalpies of runs at several temperatures, and integrate over temperature.

    Parameters
    ----------
    paths : sequence of Path
        Runs at one pressure, with an isotropic barostat, or all in the cell of the harmonic crystal.
    file : Path
        Harmonic crystal, which says whether the crystal floats: then the motion of the whole is left out.
    start : float, optional
        T0 in K; by default the lowest temperature.
    skip : float, optional
        Time to leave out of each run, in ps; by default a tenth of it.

    Raises
    ------
    BeadwiseError
        If a run cannot be used, or runs do not belong together.
    """
    if not os.path.isfile(file):
        raise CrystalError(f"no file '{file}', of the harmonic crystal; `beadwise harmonic` writes one")
    reference = HarmonicReference.load(file)
    runs = sorted(
        (_read(find_run(path), reference, file, skip) for path in paths), key=lambda run: run.ensemble.temperature
    )
    first = runs[0]
    for run in runs[1:]:
        if (run.beads, run.pressure, run.ensemble.field) != (first.beads, first.pressure, first.ensemble.field):
            raise InputError(
                f"'{first.source}' has {first.beads} beads at {first.ensemble.name}, '{run.source}' {run.beads} at "
                f"{run.ensemble.name}; all but the temperature must be the same"
            )
    temperatures = np.array([run.ensemble.temperature for run in runs])
    means, errors = np.array([[run.mean, run.standard_error] for run in runs]).T
    found = integrate_over_temperature(temperatures, means, errors, temperatures[0] if start is None else start)
    warnings = [*filter(None, (run.ensemble.warning(run.source) for run in runs))]
    worst = int(np.argmax(found.rule_changes - found.standard_errors))
    if found.rule_changes[worst] > found.standard_errors[worst]:
        warnings.append(
            f"at {temperatures[worst]:g} K a polynomial of degree {found.degree - 1} changes the difference by "
            f"{MILLI * found.rule_changes[worst]:.3g} meV, more than its error of "
            f"{MILLI * found.standard_errors[worst]:.3g} meV: temperatures are too far apart, or too few"
        )
    labels = tuple(chemical_symbols[number] for number in reference.numbers)
    letter = first.ensemble.free_energy
    return HelmholtzReport(found, means, errors, labels, first.beads, letter, first.pressure, tuple(warnings))


def _read(run: RunInput, reference: HarmonicReference, file: Path, skip: float | None) -> _Run:
    """⟨H⟩ of one run: potential, kinetic energy, and P V at constant pressure."""
    system, source = run.only_system(), run.path
    refuse_fixed_atoms(system)
    sites = Sites(reference)
    sites.check_atoms(run.numbers)
    if system.biases or system.ensemble.field:
        raise InputError(f"'{source}' is biased or in a field; a run without either is needed")
    steps, energies = energies_of_run(system, "potential")
    thermal, translations = kB * system.ensemble.temperature, 3 if reference.floats else 0
    if system.beads > 1:
        check_masses(system.atoms.masses / DALTON, source, reference, file)
        kinetic_steps, kinetic = energies_of_run(system, KINETIC_ENERGY)
        energies = (
            energies + _beside(steps, kinetic_steps, kinetic, KINETIC_ENERGY, source) - translations / 2 * thermal
        )
    else:
        energies = energies + (3 * len(reference.numbers) - translations) / 2 * thermal
    pressure = None
    if system.has_constant_volume:
        sites.check_cells(system.cell[None])
    else:
        check_barostat(run, system)
        pressure = settled(system.element, "ensemble/pressure", "pressure", "megapascal", source)
        own_steps, volumes = volumes_of(run, system)
        volumes = _beside(steps, own_steps, volumes, VOLUME, source)
        energies = energies + pressure * MEGA * Pascal * volumes
    kept = energies[steps >= first_step(steps, skip, system.timestep, source)]
    if len(kept) < FEWEST_ROWS:
        raise SamplingError(f"'{source}' has {len(kept)} rows after equilibration; at least {FEWEST_ROWS} are needed")
    error = standard_error_of_mean(kept, integrated_autocorrelation_time(kept))
    return _Run(source, system.ensemble, system.beads, pressure, float(kept.mean()), error)


def _beside(steps: np.ndarray, others: np.ndarray, values: np.ndarray, name: str, source: Path) -> np.ndarray:
    """Values at the steps that the potential was written at."""
    if not np.isin(steps, others).all():
        raise InputError(
            f"'{source}' does not write {name} at all steps at which it writes potential; put both into one "
            "<properties>"
        )
    return np.asarray(values[np.searchsorted(others, steps)])
