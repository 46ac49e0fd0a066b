"""The cell of a run, as i-PI makes it of its input or RESTART."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ...model import StructureError
from ..ipi_utilities import abc2h, read_array
from ..units import lengths_from_atomic
from .elements import InputError, parse, unit_of
from .structures import last_frame

NUMBERS = {"manual": 9, "abc": 3, "abcABC": 6}
NO_CELL = -3.0  # i-PI's readers give minus the unit matrix where a file names no cell


def cell_of_system(
    system: ElementTree.Element, path: Path, folder: Path, read: Callable[[Path], ElementTree.Element] = parse
) -> np.ndarray:
    """Lattice vectors of a system.

    A ``<cell>`` of the system comes first, and what ``<initialize>`` names after it wins, the last element over those
    before it.

    Parameters
    ----------
    system : Element
    path : Path
        File that it is from.
    folder : Path
        Where i-PI runs, which is what the file names in its input are relative to.
    read : callable
        Parses a checkpoint that an input begins with.

    Returns
    -------
    ndarray of float64, shape (3, 3)
        In Å, one vector per row.

    Raises
    ------
    InputError
        If there is no cell, or it cannot be read, or it has no volume.
    """
    element = system.find("cell")
    matrix = None if element is None else _matrix(element, "manual", path)
    for element in system.iterfind("initialize/*"):
        found = _initial_matrix(element, path, folder, read)
        matrix = matrix if found is None else found
    if matrix is None:
        raise InputError(f"'{path}' gives no cell; a <cell>, a file with a cell, or a RESTART does")
    if not abs(np.linalg.det(matrix)) > 0:
        raise InputError(f"the cell in '{path}' is {matrix.tolist()} bohr, which spans no volume")
    return lengths_from_atomic(matrix).T  # i-PI's lattice vectors are columns


def _initial_matrix(
    element: ElementTree.Element, path: Path, folder: Path, read: Callable[[Path], ElementTree.Element]
) -> np.ndarray | None:
    """Matrix that an element of ``<initialize>`` gives, in bohr; None if it gives none."""
    mode = element.get("mode", "manual" if element.tag == "cell" else "chk").strip()
    if element.tag == "cell" and mode in NUMBERS:
        matrix = _matrix(element, mode, path)
        matrix[np.tril_indices(3, -1)] = 0.0  # as in i-PI
        return matrix
    if element.tag not in ("cell", "file"):
        return None
    file = folder / (element.text or "").strip()
    if mode == "chk":
        return _matrix_of_checkpoint(read(file), file)
    units = element.get("units" if element.tag == "cell" else "cell_units", "automatic").strip()
    return _matrix_of_structure(file, mode, units)


def _matrix(element: ElementTree.Element, mode: str, path: Path) -> np.ndarray:
    """Matrix from numbers: 9 of itself, 3 lengths, or 3 lengths and 3 angles in degrees."""
    try:
        numbers = read_array(float, element.text or "")
    except ValueError:
        numbers = np.zeros(0)
    if len(numbers) != NUMBERS[mode]:
        text = " ".join((element.text or "").split())
        raise InputError(
            f"<cell> with mode='{mode}' in '{path}' is '{text}'; allowed are {NUMBERS[mode]} numbers, [ …, … ]"
        )
    unit = unit_of(element, "length", path)
    if mode == "manual":
        return numbers.reshape(3, 3) * unit
    angles = np.deg2rad(numbers[3:]) if mode == "abcABC" else np.full(3, np.pi / 2)
    return np.array(abc2h(*numbers[:3], *angles), dtype=np.float64) * unit


def _matrix_of_checkpoint(root: ElementTree.Element, path: Path) -> np.ndarray:
    element = root.find("system/cell")
    if element is None:
        raise InputError(f"'{path}' holds no <cell> in a <system>; a checkpoint of i-PI does")
    return _matrix(element, "manual", path)


def _matrix_of_structure(path: Path, mode: str, units: str) -> np.ndarray | None:
    """Matrix of the last frame of a structure file, in bohr; None if the file names no cell."""
    matrix = _last_matrix(path, mode, "automatic")
    if np.trace(matrix) == NO_CELL:
        return None
    return matrix if units == "automatic" else _last_matrix(path, mode, units)


def _last_matrix(path: Path, mode: str, units: str) -> np.ndarray:
    try:
        return np.array(last_frame(path, mode, units)["cell"].h, dtype=np.float64)
    except StructureError as error:
        raise InputError(f"no cell: {error}") from error
