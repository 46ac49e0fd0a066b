"""From a structure and a model to a table of vibrations: what ``beadwise vibrations`` does."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from ...model import Batch, Evaluator
from ...model.crystals.minimum import minimum_of
from ...model.structures import species_names
from ...progress import Progress
from ...whole_files import write_table
from ..results import Report, warned, write_files, written_to
from .derivatives import DISPLACEMENT, Derivatives, VibrationError, derivatives
from .harmonic import Modes, non_analytical, normal_modes, optical_permittivity

AXES = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}
LARGE_ASYMMETRY = 0.005  # of the largest element, beyond which forces are no derivatives of an energy, or are noisy
LARGEST_FORCE = 1e-3  # eV/Å, on an atom of a minimum
SAME = 0.5  # cm⁻¹; a longitudinal mode that is nearer to a transverse one is that one


@dataclass(frozen=True)
class VibrationRequest:
    """What a user asks for.

    Parameters
    ----------
    model : str
        Name of the model, for the output.
    output : Path
        Stem of the files.
    minimise : bool
        Whether the structure is brought to its minimum first.
    permittivity : float or None
        ε∞ for longitudinal modes; None for that of the model's polarizability.
    """

    model: str
    output: Path
    minimise: bool = True
    permittivity: float | None = None


def make(evaluator: Evaluator, atoms: Atoms, request: VibrationRequest, progress: Progress | None = None) -> Report:
    """Find the vibrations of a structure, write them as CSV and PNG, and say what came out.

    Parameters
    ----------
    evaluator : Evaluator
    atoms : ase.Atoms
        A molecule, or a crystal in its primitive or conventional cell, whose modes at the zone centre are found.
    request : VibrationRequest
    progress : callable, optional
        Told what is done, how much of it, and of how much.

    Raises
    ------
    BeadwiseError
        If there is no minimum near, or the model cannot answer.
    """
    periodic = bool(atoms.pbc.any())
    _check(atoms, request, evaluator.properties)
    batch, force, hessian = Batch.from_ase(atoms), None, None
    if request.minimise:
        at = minimum_of(evaluator, batch, True, DISPLACEMENT, LARGEST_FORCE, progress)
        batch, force, hessian = at.structure, at.largest_force, at.hessian
    found = derivatives(evaluator, batch, hessian, progress)
    masses, positions = atoms.get_masses(), batch.positions[0]
    modes = normal_modes(found, masses, positions, periodic)
    longitudinal = _longitudinal(found, masses, positions, float(atoms.get_volume()), request) if periodic else {}
    warnings = _warnings(modes, found)
    title = f"harmonic vibrations of {atoms.get_chemical_formula()}, {request.model}"
    notes = [title, _note_of_minimum(request, force)]

    def picture(image: Path) -> None:
        from .picture import draw  # matplotlib takes long to import

        draw(modes, title, image)

    def table(path: Path) -> None:
        write_table(path, notes, _rows(modes, longitudinal))

    files = write_files(request.output, {".csv": table, ".png": picture})
    lines = [*notes, *_lines(modes), *_lines_of_fields(modes, longitudinal), *warned(warnings), written_to(files)]
    return Report(tuple(lines), _numbers(modes, longitudinal, batch) | {"warnings": warnings, "files": files})


def _check(atoms: Atoms, request: VibrationRequest, known: Collection[str]) -> None:
    """Refuse what has no vibrations, and a permittivity without longitudinal modes."""
    if atoms.pbc.any() and not atoms.pbc.all():
        raise VibrationError(f"pbc is {atoms.pbc.tolist()}; a molecule without a cell, or a crystal, is needed")
    if len(atoms) < 2:
        raise VibrationError(f"the structure has {len(atoms)} atom, which does not vibrate; two or more are needed")
    if request.permittivity is None:
        return
    given = f"the optical permittivity {request.permittivity:g} is for longitudinal modes"
    if not atoms.pbc.all():
        raise VibrationError(f"{given} of crystals; this is a molecule, leave it away")
    if not {"dipole", "born_charges"} & set(known):
        raise VibrationError(f"{given}, which need Born charges; '{request.model}' has {', '.join(known)}")


def _longitudinal(
    found: Derivatives, masses: np.ndarray, positions: np.ndarray, volume: float, request: VibrationRequest
) -> dict[str, Modes]:
    """Modes with the field of a wave along each axis; none where Born charges or a permittivity are not known."""
    if request.permittivity is not None:
        permittivity = request.permittivity * np.eye(3)
    elif found.polarizability is not None:
        permittivity = optical_permittivity(found.polarizability, volume)
    else:
        return {}
    if found.born_charges is None:
        return {}
    return {
        name: normal_modes(
            found, masses, positions, True, non_analytical(found, volume, permittivity, np.array(direction))
        )
        for name, direction in AXES.items()
    }


def _note_of_minimum(request: VibrationRequest, force: float | None) -> str:
    if force is None:
        return "at the structure as it is, no minimum was looked for"
    return f"at the minimum in the fixed cell, largest force {force:.1g} eV/Å"


def _warnings(modes: Modes, found: Derivatives) -> list[str]:
    warnings = []
    if len(modes.negative):
        listed = ", ".join(f"{abs(own):.0f}i" for own in modes.negative)
        warnings.append(f"the energy falls along {len(modes.negative)} modes ({listed} cm⁻¹): this is no minimum")
    if found.asymmetry > LARGE_ASYMMETRY:
        warnings.append(
            f"elements of the Hessian that must be equal differ by up to {100 * found.asymmetry:.1f} % of the largest"
        )
    return warnings


def _columns(modes: Modes) -> dict[str, np.ndarray]:
    every = {
        "wavenumber (cm^-1)": modes.wavenumbers,
        "infrared (km/mol)": modes.infrared,
        "raman (A^4/u)": modes.raman,
        "depolarisation": modes.depolarisation,
    }
    return {name: values for name, values in every.items() if values is not None}


def _rows(modes: Modes, longitudinal: Mapping[str, Modes]) -> list[list[str]]:
    """Header and rows of the CSV file."""
    columns = _columns(modes) | {f"LO along {name} (cm^-1)": own.wavenumbers for name, own in longitudinal.items()}
    return [list(columns), *([f"{value:.6g}" for value in row] for row in zip(*columns.values(), strict=True))]


def _lines(modes: Modes) -> list[str]:
    """A table for people."""
    columns = _columns(modes)
    widths = [max(len(name), 10) for name in columns]
    head = "  ".join(f"{name:>{width}}" for name, width in zip(columns, widths, strict=True))
    rows = zip(*columns.values(), strict=True)
    return [head, *("  ".join(f"{v:>{w}.5g}" for v, w in zip(row, widths, strict=True)) for row in rows)]


def _lines_of_fields(modes: Modes, longitudinal: Mapping[str, Modes]) -> list[str]:
    """Which modes a field moves."""
    lines = []
    for name, own in longitudinal.items():
        nearest = np.abs(own.wavenumbers[:, None] - modes.wavenumbers).min(axis=1)
        moved = own.wavenumbers[nearest > SAME]
        if len(moved):
            lines.append(f"longitudinal along {name}: {', '.join(f'{one:.1f}' for one in moved)} cm⁻¹")
    return lines


def _numbers(modes: Modes, longitudinal: Mapping[str, Modes], batch: Batch) -> dict[str, Any]:
    return {
        "modes": {name: values.tolist() for name, values in _columns(modes).items()},
        "longitudinal": {name: own.wavenumbers.tolist() for name, own in longitudinal.items()},
        "displacements": modes.displacements.tolist(),
        "positions": batch.positions[0].tolist(),
        "elements": species_names(batch.numbers.tolist()),
    }
