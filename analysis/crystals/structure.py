"""A crystal from a structure file: atoms with their isotopes, the cell, and how many formula units there are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import ase
import ase.io
import numpy as np
from ase.io.formats import UnknownFileTypeError, filetype

from ...model import Batch, StructureError
from ...reading import refusing
from ...runs.input.atoms import standard_masses
from ...runs.input.labels import element_of_label
from ...runs.input.structures import last_frame
from ...runs.units import PERIODIC, lengths_from_atomic
from ..mass.masses import DALTON

OF_IPI = re.compile(r"\bCELL[({\[]")  # in the second line of an xyz file, by which i-PI's own are told from others
OF_ASE = "Lattice="  # there in extended xyz
NO_CELL = -3.0  # trace of what i-PI's readers give where there is no cell


@dataclass(frozen=True)
class Crystal:
    """A crystal as a file has it.

    Parameters
    ----------
    labels : tuple of str
        Isotopes have i-PI's names.
    masses : ndarray of float64, shape (atoms,)
        In u.
    structure : Batch
        Of one structure.
    """

    labels: tuple[str, ...]
    masses: np.ndarray
    structure: Batch


def read_crystal(path: Path) -> Crystal:
    """Read the last frame of a structure file as i-PI would.

    Parameters
    ----------
    path : Path
        An xyz file with i-PI's ``CELL(abcABC): …`` in its comment, pdb, or anything that ASE reads.

    Raises
    ------
    InputError
        If it cannot be read.
    StructureError
        If there is no such file, no cell, a direction that is not periodic, or an atom without element or mass.
    """
    mode = "pdb" if path.suffix == ".pdb" else "xyz" if is_only_of_ipi(path) else "ase"
    frame = last_frame(path, mode)
    if mode == "ase":
        _check_periodicity(path)
    labels = tuple(map(str, frame["atoms"].names))
    numbers = [element_of_label(label) for label in labels]
    masses = np.array(frame["atoms"].m, dtype=np.float64)
    masses = np.where(masses > 0, masses, standard_masses(labels)) / DALTON
    for atom, (label, number, mass) in enumerate(zip(labels, numbers, masses, strict=True)):
        if number is None or not mass > 0:
            raise StructureError(f"atom {atom} in '{path}' is labelled '{label}'; allowed are chemical symbols")
    cell = np.array(frame["cell"].h, dtype=np.float64)
    if np.trace(cell) == NO_CELL or not abs(np.linalg.det(cell)) > 0:
        raise StructureError(f"'{path}' has no cell that spans a volume; a crystal needs one")
    positions = np.array(frame["atoms"].q, dtype=np.float64).reshape(1, -1, 3)
    structure = Batch(
        np.array(numbers, dtype=np.int32), lengths_from_atomic(positions), lengths_from_atomic(cell.T)[None], PERIODIC
    )
    return Crystal(labels, masses, structure)


def is_only_of_ipi(path: Path) -> bool:
    """Whether a file is an xyz file as i-PI writes them, which others would read without its cell and its units."""
    comment = _comment(path)
    return OF_IPI.search(comment) is not None and OF_ASE not in comment


def _check_periodicity(path: Path) -> None:
    """Refuse a wire, a slab or a molecule in a box as ASE reads it, which i-PI would take for a crystal."""
    with refusing(StructureError, f"'{path}' cannot be read"):
        try:
            form = filetype(str(path))
        except UnknownFileTypeError:
            form = "extxyz"  # as in i-PI
        atoms = ase.io.read(path, index=-1, format=form, parallel=False)
    assert isinstance(atoms, ase.Atoms)
    if atoms.cell.rank == 3 and not atoms.pbc.all():
        raise StructureError(
            f"'{path}' has pbc='{' '.join('FT'[int(own)] for own in atoms.pbc)}'; a crystal is periodic in all "
            "directions, pbc='T T T'"
        )


def _comment(path: Path) -> str:
    if path.suffix != ".xyz":
        return ""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            file.readline()
            return file.readline()
    except OSError:
        return ""  # said by what reads it
