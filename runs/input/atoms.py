"""The atoms of an i-PI input or RESTART: i-PI itself never names them to a driver."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from ..ipi_utilities import Elements, read_array
from .elements import InputError, integer_attribute, parse, unit_of, words
from .labels import element_of_label
from .structures import last_frame

Entry = TypeVar("Entry")

SAME_MASS = 1e-3  # relative; tables of atomic weights differ by less, isotopes by more

NO_ATOMS = (
    "names no atoms; i-PI never sends them to a driver, so they are read from <initialize><file mode='xyz'> (or pdb, "
    "ase, chk), from <labels>, or from <beads> of a RESTART"
)


@dataclass(frozen=True)
class SystemAtoms:
    """Labels and masses of the atoms of one system, in i-PI's order.

    Parameters
    ----------
    labels : tuple of str
        Isotopes have i-PI's names, ``D`` and ``O18``.
    masses : ndarray of float64, shape (atoms,)
        Those that i-PI moves the atoms with, in its own unit, the electron's mass; not above 0 where it has none.
    """

    labels: tuple[str, ...]
    masses: np.ndarray


def is_xml(path: Path) -> bool:
    """Whether a file looks like XML: a RESTART has no suffix to tell.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return file.read(256).lstrip().startswith(b"<")
    except OSError as error:
        raise InputError(f"cannot read '{path}': {error.strerror}") from error


def atoms_of_system(
    system: ElementTree.Element, path: Path, folder: Path, read: Callable[[Path], ElementTree.Element] = parse
) -> SystemAtoms:
    """Labels and masses of one system, as i-PI makes them of its ``<beads>`` and ``<initialize>``.

    As in i-PI, what ``<initialize>`` reads last wins.  A file gives labels and masses: masses of labels in ``xyz`` and
    ``pdb`` are those of i-PI's table, and in ``ase`` those of ASE or of a column ``masses``.

    Parameters
    ----------
    system : Element
        Of an i-PI input or RESTART.
    path : Path
        File that it is from.
    folder : Path
        Where i-PI runs, which is what the file names in its input are relative to.
    read : callable
        Parses a checkpoint that an input begins with.

    Raises
    ------
    InputError
        If it names no atoms, or what it says cannot be read.
    StructureError
        If a structure file cannot be read.
    """
    labels, masses = _of_beads(system.find("beads"), path)
    for element in system.iterfind("initialize/*"):
        if element.tag not in ("file", "labels", "masses"):
            continue
        mode = element.get("mode", "chk").strip()
        if mode == "manual":
            found = (words(element.text), _numbers(element, path))
        else:
            found = _of_file(folder / (element.text or "").strip(), mode, read)
        if element.tag != "masses":
            labels = _placed(labels, found[0], element)
        if element.tag != "labels":
            masses = _placed(masses, found[1], element)
    if not labels:
        raise InputError(f"a <system> in '{path}' {NO_ATOMS}")
    if not masses:
        masses = standard_masses(labels).tolist()
    if len(masses) == 1:  # i-PI gives one number to all
        masses *= len(labels)
    return SystemAtoms(tuple(labels), np.array(masses, dtype=np.float64))


def standard_masses(labels: Sequence[str]) -> np.ndarray:
    """Masses that i-PI gives to labels, in its own unit, shape (atoms,); -1 for those that it does not know."""
    known = Elements.mass_list
    return np.array([Elements.mass(label) if label in known else -1.0 for label in labels], dtype=np.float64)


def atomic_numbers_of(labels: Sequence[str], path: Path, any_label: bool = False) -> np.ndarray:
    """Atomic numbers of i-PI's labels, shape (atoms,), int32.

    Parameters
    ----------
    labels : sequence of str
    path : Path
        File that they are from.
    any_label : bool
        Whether a label may be no element, for what answers for any species; its number is 0.

    Raises
    ------
    InputError
        If a label is no element.
    """
    numbers = [element_of_label(label) for label in labels]
    if None in numbers and not any_label:
        index = numbers.index(None)
        raise InputError(f"atom {index} in '{path}' is labelled '{labels[index]}'; allowed are chemical symbols")
    return np.array([number or 0 for number in numbers], dtype=np.int32)


def common_labels(found: Iterable[tuple[str, ...]], path: Path, which: str = "") -> tuple[str, ...]:
    """The labels that all of several have.

    Parameters
    ----------
    found : iterable of tuple of str
        Of each system.
    path : Path
        File that they are from.
    which : str
        Which systems they are, for the message if they differ; empty for all.

    Raises
    ------
    InputError
        If there is none, or they stand for different atoms.
    """
    several = list(found)
    if not several:
        raise InputError(f"'{path}' holds no <system>; an i-PI input needs one")
    species = [[element_of_label(label) or label for label in labels] for labels in several]
    if any(one != species[0] for one in species):
        raise InputError(
            f"the systems in '{path}'{which} have different atoms; i-PI never tells a driver which system it asks for, "
            "so all systems of a force field must have the same atoms in the same order"
        )
    return several[0]


def _of_beads(beads: ElementTree.Element | None, path: Path) -> tuple[list[str], list[float]]:
    """Labels and masses that stand in ``<beads>``; none if there is none."""
    masses = None if beads is None else beads.find("m")
    labels = [] if beads is None else words(beads.findtext("names"))
    return labels, [] if masses is None else _numbers(masses, path)


def _of_file(path: Path, mode: str, read: Callable[[Path], ElementTree.Element]) -> tuple[list[str], list[float]]:
    """Labels and masses that a file gives; of a checkpoint those of its first system, as in i-PI."""
    if mode == "chk":
        return _of_beads(read(path).find("system/beads"), path)
    atoms = last_frame(path, mode)["atoms"]
    return [str(name) for name in atoms.names], np.array(atoms.m, dtype=np.float64).tolist()


def _numbers(element: ElementTree.Element, path: Path) -> list[float]:
    """Masses of an element in i-PI's own unit; none if it is one of labels."""
    if element.tag == "labels":
        return []
    text = (element.text or "").strip()
    try:
        numbers = read_array(float, text if "[" in text else f"[{text}]")
    except ValueError:
        raise InputError(f"the masses in '{path}' are '{text}', no list of numbers, [ …, … ]") from None
    return (numbers * unit_of(element, "mass", path)).tolist()


def _placed(before: list[Entry], found: list[Entry], element: ElementTree.Element) -> list[Entry]:
    """What holds after an element: what it gives, for all atoms or for the one of its ``index``."""
    index = integer_attribute(element, "index", -1)
    if index < 0 or not found:
        return found
    return [*before[:index], found[0], *before[index + 1 :]]
