"""The atoms of an i-PI input or RESTART: i-PI itself never names them to a driver."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from .elements import InputError, parse, systems_of, words
from .labels import element_of_label, read_labels, read_species


def species_of_run(path: Path, folder: Path | None = None) -> np.ndarray:
    """Atomic numbers in i-PI's order, from an i-PI input, a RESTART, or a structure file.

    Parameters
    ----------
    path : Path
        An input, a RESTART, or any structure file that :func:`beadwise.runs.input.labels.read_species` reads.
    folder : Path, optional
        Where i-PI runs, which is what the file names in its input are relative to; by default the current folder.

    Returns
    -------
    ndarray of int32, shape (atoms,)

    Raises
    ------
    InputError
        If an input names no atoms or an unknown element, or holds systems of different atoms.
    StructureError
        If a structure file cannot be read.
    """
    if not is_xml(path):
        return read_species(path)
    return atomic_numbers_of(labels_of_systems(list(systems_of(parse(path))), path, folder or Path()), path)


def labels_of_systems(
    systems: Sequence[ElementTree.Element],
    path: Path,
    folder: Path,
    read: Callable[[Path], ElementTree.Element] = parse,
) -> list[str]:
    """Labels of the atoms in i-PI's order, isotopes by i-PI's names, which are those of all systems.

    Parameters
    ----------
    systems : sequence of Element
        All of an i-PI input or RESTART.
    path : Path
        File that they are from.
    folder : Path
        Where i-PI runs, which is what the file names in its input are relative to.
    read : callable
        Parses a checkpoint that an input begins with.

    Raises
    ------
    InputError
        If an input names no atoms or an unknown element, or holds systems of different atoms.
    StructureError
        If a structure file cannot be read.
    """
    found = [_labels_of_system(system, path, folder, read) for system in systems]
    if not found:
        raise InputError(f"'{path}' holds no <system>; an i-PI input needs one")
    species = [atomic_numbers_of(labels, path) for labels in found]
    if any(not np.array_equal(one, species[0]) for one in species):
        raise InputError(
            f"the systems in '{path}' have different atoms; i-PI never tells a driver which system it asks for, "
            "so all systems must have the same atoms in the same order"
        )
    return found[0]


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


def _labels_of_system(
    system: ElementTree.Element, path: Path, folder: Path, read: Callable[[Path], ElementTree.Element]
) -> list[str]:
    """Labels of the atoms of one system; as in i-PI, what ``<initialize>`` reads last wins."""
    labels = words(system.findtext("beads/names"))
    for element in system.iterfind("initialize/*"):
        if element.tag == "labels" and element.get("mode") == "manual":
            labels = words(element.text)
        elif element.tag in ("file", "labels"):
            file = folder / (element.text or "").strip()
            is_checkpoint = element.get("mode", "chk") == "chk"
            labels = words(read(file).findtext("system/beads/names")) if is_checkpoint else read_labels(file)
    if not labels:
        raise InputError(
            f"a <system> in '{path}' names no atoms; i-PI never sends them to a driver, so they are read from "
            "<initialize><file mode='xyz'> (or pdb, ase, chk), from <labels>, or from <beads> of a RESTART"
        )
    return labels


def atomic_numbers_of(labels: Sequence[str], path: Path) -> np.ndarray:
    """Atomic numbers of i-PI's labels, shape (atoms,), int32.

    Parameters
    ----------
    labels : sequence of str
    path : Path
        File that they are from.

    Raises
    ------
    InputError
        If a label is no element.
    """
    numbers = [element_of_label(label) for label in labels]
    if None in numbers:
        index = numbers.index(None)
        raise InputError(f"atom {index} in '{path}' is labelled '{labels[index]}'; allowed are chemical symbols")
    return np.array(numbers, dtype=np.int32)
