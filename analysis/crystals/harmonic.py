"""From a structure to its harmonic reference: what ``beadwise harmonic`` does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from ase.units import kJ, mol

from ...errors import BeadwiseError
from ...model.crystals.hessian import RawHessian
from ...model.crystals.minimum import minimum_of
from ...model.crystals.reference import CrystalError, HarmonicReference
from ...model.evaluators import full_name, identity_of, load_evaluator
from ...progress import Progress
from ...sampling.harmonic import harmonic_free_energy
from ...whole_files import whole_file, write_text
from ..formula_unit import formula_unit
from .cycle_settings import ENDING
from .structure import read_crystal

BREAKS_SUM_RULE = 0.02  # of the largest force constant: more than differences of forces leave
MILLI = 1000
KILOJOULE_PER_MOLE = mol / kJ


@dataclass(frozen=True)
class HarmonicRequest:
    """What a user asks of ``beadwise harmonic``.

    Parameters
    ----------
    structure : Path
    model : str
        As commands take it.
    temperatures : tuple of float
        In K.
    beads : int or None
        Of ring polymers whose free energy is wanted, too.
    held : bool
        Whether something outside holds the atoms: then no translation is projected out, and all 3N modes count.
    largest_force : float
        That may be left on an atom, in eV/Å.
    displacement : float
        Of the differences, in Å.
    output : Path or None
        Beginning of the names of all files; None for that of the structure.
    """

    structure: Path
    model: str
    temperatures: tuple[float, ...]
    beads: int | None = None
    held: bool = False
    largest_force: float = 1e-4
    displacement: float = 0.005
    output: Path | None = None


@dataclass(frozen=True)
class HarmonicReport:
    """What came out.

    Parameters
    ----------
    reference : HarmonicReference
    labels : tuple of str
    raw : RawHessian
        Before symmetry and sum rule.
    largest_force : float
        Left on an atom in eV/Å.
    request : HarmonicRequest
    """

    reference: HarmonicReference
    labels: tuple[str, ...]
    raw: RawHessian
    largest_force: float
    request: HarmonicRequest

    def lines(self) -> Iterator[str]:
        """What the command prints."""
        unit, units = formula_unit(self.labels)
        reference, wavenumbers = self.reference, self.reference.wavenumbers
        yield f"{len(self.labels)} atoms, {units} x {unit}, model {reference.model}"
        yield (
            f"minimum {reference.energy:.6f} eV, {self._per_unit(reference.energy):.4f} meV per {unit}, largest force "
            f"left {self.largest_force:.1e} eV/Å"
        )
        yield (
            f"Hessian: asymmetry {self.raw.asymmetry:.1e}, sum rule broken by {self.raw.sum_rule:.1e} eV/Å²"
            + (", both removed" if reference.floats else ", of which the asymmetry was removed: the atoms are held")
        )
        yield (
            f"{len(wavenumbers)} modes from {wavenumbers[0]:.2f} to {wavenumbers[-1]:.1f} cm⁻¹"
            + ("; 3 translations are projected out" if reference.floats else "; no translation is free")
        )
        yield f"A_har - V_min in meV per {unit}" + " and kJ/mol in brackets"
        yield f"{'T/K':>8}" + "".join(f"{name:>24}" for name in self._columns)
        for temperature in self.request.temperatures:
            cells = (self._per_unit(self.free_energy(temperature, beads)) for beads in self._columns.values())
            texts = (f"{value:.4f} ({value / MILLI * KILOJOULE_PER_MOLE:.4f})" for value in cells)
            yield f"{temperature:>8g}" + "".join(f"{text:>24}" for text in texts)

    def free_energy(self, temperature: float, beads: float) -> float:
        """A_har over the energy of the minimum, in eV of all atoms."""
        return harmonic_free_energy(self.reference.quanta, temperature, beads)

    @property
    def _columns(self) -> dict[str, float]:
        """Numbers of beads by what the table calls them."""
        beads = self.request.beads
        return {"quantum": np.inf, "classical": 1} | ({f"{beads} beads": beads} if beads else {})

    def _per_unit(self, energy: float) -> float:
        """In meV per formula unit."""
        return MILLI * energy / formula_unit(self.labels)[1]

    def as_dict(self) -> dict[str, Any]:
        """The same for programs, in eV of all atoms."""
        unit, units = formula_unit(self.labels)
        return {
            "model": self.reference.model,
            "identity": self.reference.identity,
            "atoms": len(self.labels),
            "formula_unit": unit,
            "formula_units": units,
            "minimum": self.reference.energy,
            "largest_force": self.largest_force,
            "asymmetry": self.raw.asymmetry,
            "sum_rule": self.raw.sum_rule,
            "floats": self.reference.floats,
            "wavenumbers": self.reference.wavenumbers,
            "free_energies": [
                {"temperature": one}
                | {name.replace(" ", "_"): self.free_energy(one, beads) for name, beads in self._columns.items()}
                for one in self.request.temperatures
            ],
        }

    def write(self) -> list[Path]:
        """Write the reference, its structure, and what phonopy reads; tell the files.

        Raises
        ------
        BeadwiseError
            If one cannot be written.
        """
        stem = self.request.output or self.request.structure.with_suffix("")
        files = [
            stem.with_name(stem.name + ending) for ending in (ENDING, ".minimum.xyz", ".POSCAR", ".FORCE_CONSTANTS")
        ]
        self.reference.save(files[0])
        atoms = Atoms(
            self.reference.numbers, self.reference.positions, cell=self.reference.cell, pbc=True,
            masses=self.reference.masses,
        )  # fmt: skip
        try:
            _write_structure(files[1], atoms, format="extxyz", columns=["symbols", "positions", "masses"])
            _write_structure(files[2], atoms, format="vasp", direct=True)
            write_text(files[3], "".join(force_constants(self.reference.hessian)))
        except OSError as error:
            raise BeadwiseError(f"cannot write files beside '{stem}': {error.strerror or error}") from error
        return files


def make(request: HarmonicRequest, advance: Progress | None = None) -> HarmonicReport:
    """Find the minimum and the Hessian there.

    Parameters
    ----------
    request : HarmonicRequest
    advance : Progress, optional
        Told how far it is.

    Raises
    ------
    BeadwiseError
        If the structure or the model cannot be used, the minimum is not found, or it is none.
    """
    crystal = read_crystal(request.structure)
    evaluator = load_evaluator(request.model)
    if not {"energy", "forces"} <= set(evaluator.properties):
        raise CrystalError(f"'{request.model}' has {', '.join(evaluator.properties)}; energy and forces are needed")
    floats = not request.held
    minimum = minimum_of(evaluator, crystal.structure, floats, request.displacement, request.largest_force, advance)
    raw = minimum.hessian
    if floats and raw.sum_rule > BREAKS_SUM_RULE * raw.largest:
        raise CrystalError(
            f"the Hessian breaks the acoustic sum rule by {raw.sum_rule:.3g} eV/Å² of at most {raw.largest:.3g}: moved "
            "as a whole the crystal changes its energy; if a trap holds its atoms, say --held"
        )
    reference = HarmonicReference(
        numbers=crystal.structure.numbers,
        masses=crystal.masses,
        positions=minimum.structure.positions[0],
        cell=minimum.structure.cells[0],
        hessian=raw.symmetric(floats),
        energy=minimum.energy,
        floats=floats,
        model=full_name(request.model),
        identity=identity_of(request.model, evaluator),
    )
    _ = reference.quanta  # refuses what is no minimum
    return HarmonicReport(reference, crystal.labels, raw, minimum.largest_force, request)


def force_constants(hessian: np.ndarray) -> Iterator[str]:
    """Lines of phonopy's FORCE_CONSTANTS: for each pair of atoms their numbers from 1, then 3 × 3 numbers in eV/Å²."""
    atoms = len(hessian) // 3
    yield f"{atoms} {atoms}\n"
    for first in range(atoms):
        for second in range(atoms):
            yield f"{first + 1} {second + 1}\n"
            for row in hessian[3 * first : 3 * first + 3, 3 * second : 3 * second + 3]:
                yield "".join(f"{value:22.15f}" for value in row) + "\n"


def _write_structure(path: Path, atoms: Atoms, **options: Any) -> None:
    with whole_file(path) as unfinished, open(unfinished, "w", encoding="utf-8") as file:
        ase.io.write(file, atoms, **options)
