"""Which atoms i-PI is talking about: it sends cells and positions only, so species come from elsewhere."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from itertools import islice
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers, chemical_symbols

from ...model import StructureError
from ...model.molecules import atoms_of_formula
from ...reading import reason, shown

FILE_PARAMETERS = ("structure", "template")
MOST_ATOMS = 1_000_000  # of a formula; more have a structure file
MOST_DIGITS = 18  # of a number of atoms
HYDROGEN_LABELS = ("D", "T", "Z")
HOW_TO_GIVE = (
    "give a structure file with the atoms in i-PI's order: `--structure FILE`, or in a force field of i-PI's input "
    "`<parameters> {structure: FILE} </parameters>` or `<parameters> {species: (OH2)64} </parameters>`"
)
NO_SPECIES = f"i-PI does not send the species of the atoms, and no structure was given; {HOW_TO_GIVE}"


def read_species(path: str | Path) -> np.ndarray:
    """Atomic numbers of the first structure in a file, in the order of the file.

    Parameters
    ----------
    path : str or Path
        An xyz file, i-PI's isotope labels (``D``, ``C13``) included, or any format that ASE reads.

    Returns
    -------
    ndarray of int32, shape (atoms,)

    Raises
    ------
    StructureError
        If the file is missing or cannot be read, or holds no atom.
    """
    path = Path(path)
    return np.array([_atomic_number(label, path) for label in read_labels(path)], dtype=np.int32)


def read_labels(path: str | Path) -> list[str]:
    """Labels of the atoms of the first structure in a file, in the order of the file.

    Parameters
    ----------
    path : str or Path
        As for `read_species`; isotopes keep i-PI's names.

    Raises
    ------
    StructureError
        If the file is missing or cannot be read, or holds no atom.
    """
    path = Path(path)
    if not os.path.isfile(path):
        raise StructureError(f"structure file '{path}' does not exist (looked for it in {Path.cwd()})")
    labels = _xyz_labels(path) if path.suffix == ".xyz" or not _has_known_suffix(path) else None
    if labels is None:
        labels = [chemical_symbols[number] for number in _numbers_from_ase(path)]
    if len(labels) == 0:
        raise StructureError(f"structure file '{path}' holds no atom; at least one is needed")
    return labels


def species_from_parameters(parameters: Mapping[str, str]) -> np.ndarray | None:
    """Atomic numbers from i-PI's ``<parameters>``, or None if they do not name any.

    Parameters
    ----------
    parameters : mapping of str to str
        ``structure`` or ``template`` names a structure file; ``species`` is a chemical formula whose order is that
        of the atoms, such as ``(OH2)64`` or ``O H H``.

    Returns
    -------
    ndarray of int32, shape (atoms,), or None

    Raises
    ------
    StructureError
        If what is given cannot be used.
    """
    for name in FILE_PARAMETERS:
        if name in parameters:
            return read_species(parameters[name])
    if "species" in parameters:
        return _species_from_formula(parameters["species"])
    return None


def _species_from_formula(formula: str) -> np.ndarray:
    try:
        return atoms_of_formula("".join(formula.split()), MOST_ATOMS)
    except ValueError as error:
        raise StructureError(
            f"species '{shown(formula)}' is not a chemical formula; allowed is one like (OH2)64, of at most "
            f"{MOST_ATOMS} atoms"
        ) from error


def _xyz_labels(path: Path) -> list[str] | None:
    """First column of an xyz file; None if it is not laid out that way."""
    with path.open(errors="replace") as file:
        count, comment = file.readline().strip(), file.readline()
        if not count.isdecimal() or "Properties=" in comment:
            return None
        found: list[str] = []
        announced = int(count) if len(count) < MOST_DIGITS else sys.maxsize
        # no more is held than there is: the count may be any number
        for line in islice(file, announced):
            words = line.split(maxsplit=1)
            if not words:
                break
            found.append(words[0])
    if len(found) < announced:
        raise StructureError(f"structure file '{path}' announces {shown(count)} atoms but holds fewer: {len(found)}")
    return found


def _has_known_suffix(path: Path) -> bool:
    """Whether ASE knows a format by the name of a file; ``start.dat`` may well be laid out as xyz."""
    from ase.io.formats import UnknownFileTypeError, filetype  # takes long to import

    try:
        return bool(filetype(str(path), read=False, guess=False))
    except UnknownFileTypeError:
        return False


def element_of_label(label: str) -> int | None:
    """Atomic number of one of i-PI's labels, which may be an isotope (``D``, ``O18``); None if it is no element."""
    symbol = "H" if label in HYDROGEN_LABELS else re.sub(r"\d+$", "", label)
    return atomic_numbers.get(symbol) or None  # ASE's X, of number 0, is no element


def _atomic_number(label: str, path: Path) -> int:
    number = element_of_label(label)
    if number is None:
        raise StructureError(f"structure file '{path}' holds the atom '{shown(label)}'; allowed are chemical symbols")
    return number


def _numbers_from_ase(path: Path) -> list[int]:
    from ase.io import iread  # takes long to import

    try:
        # where MPI is loaded, ASE would otherwise read on all ranks together, that of i-PI included
        return next(iread(path, parallel=False)).numbers.tolist()
    except Exception as error:  # ASE's readers raise whatever their parsing stumbles over
        raise StructureError(
            f"structure file '{path}' cannot be read: {type(error).__name__}: {reason(error)}"
        ) from error
