"""The free energy of a crystal as a sum of what commands found, and differences between crystals."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from ase.units import kB

from ...model.crystals.reference import CrystalError, HarmonicReference
from ...sampling.harmonic import harmonic_free_energy
from ...with_errors import with_error
from ..formula_unit import formula_unit
from ..results import warned
from .cycle_results import Results, check_beads
from .cycle_settings import read_cycle
from .harmonic import KILOJOULE_PER_MOLE, MILLI

MINIMUM, HARMONIC, BEADS = "minimum", "harmonic", "harmonic, beads"
ANHARMONIC, QUANTUM, PROMOTED = "anharmonic", "quantum nuclei", "reference"
VOLUME, DISORDER = "constant pressure", "disorder"


@dataclass(frozen=True)
class Part:
    """One contribution, of all atoms, in eV."""

    name: str
    value: float
    error: float = 0.0


@dataclass(frozen=True)
class CrystalFreeEnergy:
    """The free energy of one crystal.

    Parameters
    ----------
    name : str
    unit : str
        Formula unit.
    units : int
        How many there are.
    temperature : float
        In K.
    nuclei : str
        ``classical``, ``quantum``, or with so many beads.
    letter : str
        A, or G at constant pressure.
    pressure : float or None
        In MPa; None at constant volume.
    parts : tuple of Part
    warnings : tuple of str
    """

    name: str
    unit: str
    units: int
    temperature: float
    nuclei: str
    letter: str
    pressure: float | None
    parts: tuple[Part, ...]
    warnings: tuple[str, ...]

    @property
    def total(self) -> Part:
        """The sum, with its error from those of the parts, which are independent."""
        return Part(
            self.letter,
            math.fsum(part.value for part in self.parts),
            float(np.sqrt(sum(part.error**2 for part in self.parts))),
        )

    def per_unit(self, part: Part) -> tuple[float, float]:
        """A contribution and its error in meV per formula unit."""
        return MILLI * part.value / self.units, MILLI * part.error / self.units


@dataclass(frozen=True)
class CycleReport:
    """Free energies of crystals, and their differences from the first."""

    crystals: tuple[CrystalFreeEnergy, ...]

    def lines(self) -> Iterator[str]:
        """What the command prints."""
        for crystal in self.crystals:
            yield f"{crystal.name}: {crystal.units} x {crystal.unit}, {crystal.temperature:g} K, {crystal.nuclei}"
            yield from _table(crystal.unit, [(part.name, *crystal.per_unit(part)) for part in crystal.parts])
            yield _row(f"{crystal.letter}", *crystal.per_unit(crystal.total))
        first = self.crystals[0]
        for other in self.crystals[1:]:
            yield f"{other.name} - {first.name}"
            yield from _table(first.unit, [(name, *found) for name, found in differences(first, other).items()])
            value, error = _difference(first.per_unit(first.total), other.per_unit(other.total))
            yield _row(f"{first.letter}", value, error)
            stable = first.name if value > 0 else other.name
            sure = abs(value) / error if error > 0 else math.inf
            yield f"{stable} is more stable by {with_error(f'{abs(value):.4f}', error, f'meV per {first.unit}')}" + (
                f", {sure:.1f} errors" if math.isfinite(sure) else ""
            )
        yield from warned(warning for crystal in self.crystals for warning in crystal.warnings)

    def as_dict(self) -> dict[str, Any]:
        """The same for programs, in eV of all atoms, differences in meV per formula unit."""
        first = self.crystals[0]
        return {
            "crystals": [
                {
                    "name": one.name,
                    "formula_unit": one.unit,
                    "formula_units": one.units,
                    "temperature": one.temperature,
                    "nuclei": one.nuclei,
                    "free_energy": one.letter,
                    "pressure": one.pressure,
                    "total": one.total.value,
                    "standard_error": one.total.error,
                    "parts": [{"name": p.name, "value": p.value, "standard_error": p.error} for p in one.parts],
                    "warnings": one.warnings,
                }
                for one in self.crystals
            ],
            "differences": [
                {
                    "of": other.name,
                    "from": first.name,
                    "parts": differences(first, other),
                    "total": _difference(first.per_unit(first.total), other.per_unit(other.total)),
                }
                for other in self.crystals[1:]
            ],
        }


def differences(first: CrystalFreeEnergy, other: CrystalFreeEnergy) -> dict[str, tuple[float, float]]:
    """Each contribution of another crystal over that of the first, with its error, in meV per formula unit."""
    own = {part.name: other.per_unit(part) for part in other.parts}
    return {part.name: _difference(first.per_unit(part), own[part.name]) for part in first.parts}


def sum_up(paths: Sequence[Path]) -> CycleReport:
    """Read what files say of crystals, and add up.

    Parameters
    ----------
    paths : sequence of Path
        TOML files, see `CycleSettings`.

    Raises
    ------
    CrystalError
        If one cannot be read, its parts do not belong together, or crystals cannot be compared.
    """
    crystals = tuple(map(free_energy_of, paths))
    first = crystals[0]
    for other in crystals[1:]:
        for what, value, own in (
            ("formula unit", first.unit, other.unit),
            ("temperature in K", first.temperature, other.temperature),
            ("nuclei", first.nuclei, other.nuclei),
            ("pressure in MPa", first.pressure, other.pressure),
            ("contributions", [part.name for part in first.parts], [part.name for part in other.parts]),
        ):
            if value != own:
                raise CrystalError(
                    f"'{first.name}' has the {what} {value}, '{other.name}' {own}; they must be the same"
                )
    return CycleReport(crystals)


def free_energy_of(path: Path) -> CrystalFreeEnergy:
    """Read one file, and add up.

    Raises
    ------
    CrystalError
        If it cannot be read, or its parts do not belong together.
    """
    settings = read_cycle(path).settings
    folder, temperature = path.parent, settings.temperature
    if not os.path.isfile(folder / settings.harmonic):
        raise CrystalError(f"'{path}' names the harmonic crystal '{settings.harmonic}', and there is no such file")
    reference = HarmonicReference.load(folder / settings.harmonic)
    unit, units = formula_unit([chemical_symbols[number] for number in reference.numbers])
    found = Results(path, settings.harmonic, reference, temperature)
    anharmonic, quantum = found.anharmonic(settings.anharmonic), found.quantum(settings.quantum)
    pressure = found.pressure(settings.pressure)
    promotion = found.promotion(settings.reference, pressure is not None)
    beads = 1 if anharmonic is None else anharmonic.beads
    if beads > 1 and quantum is not None:
        raise CrystalError(f"'{path}' has runs of {beads} beads over λ and quantum nuclei besides; they count twice")
    for result in (promotion, pressure):
        check_beads(result, beads, quantum is not None)
    parts = [
        Part(MINIMUM, reference.energy),
        Part(HARMONIC, harmonic_free_energy(reference.quanta, temperature, beads)),
    ]
    parts += [
        Part(name, result.difference, result.standard_error)
        for name, result in (
            (ANHARMONIC, anharmonic),
            (QUANTUM, quantum),
            (PROMOTED, promotion),
            (VOLUME, pressure),
        )
        if result is not None
    ]
    if settings.residual_entropy:
        parts.append(Part(DISORDER, -kB * temperature * settings.residual_entropy * units))
    nuclei = f"{beads} beads" if beads > 1 else "classical" if quantum is None else "quantum"
    return CrystalFreeEnergy(
        name=settings.name or path.stem,
        unit=unit,
        units=units,
        temperature=temperature,
        nuclei=nuclei,
        letter="A" if pressure is None else "G",
        # files of the same pressure in two units differ in the last digits
        pressure=None if pressure is None else float(f"{pressure.number('pressure'):.8g}"),
        parts=tuple(parts),
        warnings=tuple(found.warnings),
    )


def _difference(first: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    return other[0] - first[0], float(np.hypot(first[1], other[1]))


def _table(unit: str, rows: Sequence[tuple[str, float, float]]) -> Iterator[str]:
    yield f"  {'':<18}{f'meV per {unit}':>18}{'error':>9}{'kJ/mol':>16}{'error':>9}"
    for row in rows:
        yield _row(*row)


def _row(name: str, value: float, error: float) -> str:
    factor = KILOJOULE_PER_MOLE / MILLI
    errors = [f"{own:.2g}" if own else "" for own in (error, factor * error)]
    return f"  {name:<18}{value:>18.4f}{errors[0]:>9}{factor * value:>16.5f}{errors[1]:>9}".rstrip()
