"""Frames from arrays of NumPy, ``.npz``: one array for each thing that is known, its first axis the frames."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers

from ...model.molecules import atoms_of_formula
from ...reading import shown
from .frame import QUANTUM
from .label import DataError, names_in_files
from .reading import USUAL, Reading

MOST_ATOMS = 1_000_000
POSITIONS, CELL, PERIODIC = "positions", ("cell", "cells"), "pbc"
ELEMENTS = ("numbers", "atomic_numbers", "symbols", "species")


def atoms_of_arrays(path: Path, reading: Reading | None = None) -> Iterator[Atoms]:
    """Read a file of arrays, frame by frame.

    Parameters
    ----------
    path : Path
        Its array ``positions`` has shape (frames, atoms, 3); ``cell``, (frames, 3, 3) or (3, 3), and ``pbc``, three
        truths, may be there; without ``pbc`` a cell is periodic.  ``numbers`` or ``symbols``, of one frame or of each,
        are the elements.  Every other array with a row for each frame is an entry of its frames.
    reading : Reading, optional
        Its ``species`` are the elements where the file does not say them; its ``keys`` have names of labels.

    Raises
    ------
    DataError
        If the file cannot be read, elements are not known, or an array has another shape or kind than it should.
    """
    reading = reading or Reading()
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: np.asarray(file[name]) for name in file.files}
    except Exception as error:  # readers of archives raise whatever their parsing stumbles over
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(f"data file '{path}' cannot be read: {reason}") from error
    positions = arrays.pop(POSITIONS, None)
    if positions is None or positions.ndim != 3 or positions.shape[2] != 3 or positions.dtype.kind not in "fi":
        shape = "none" if positions is None else positions.shape
        raise DataError(f"positions of '{path}' are {shape}; an array of shape (frames, atoms, 3) is needed")
    frames, atoms, _ = positions.shape
    numbers = _numbers(path, arrays, frames, atoms, reading.species)
    cells = _cells(path, arrays, frames)
    said = arrays.pop(PERIODIC, None)
    if said is not None and said.shape != (3,):
        raise DataError(f"pbc of '{path}' has shape {said.shape}; three truths are needed")
    if said is not None and said.dtype.kind not in "bi":
        raise DataError(f"pbc of '{path}' is of {said.dtype}; three truths are needed")
    _check_rows(path, arrays, frames, reading)
    for index in range(frames):
        cell = None if cells is None else cells[index]
        periodic = cells is not None if said is None else said.astype(bool)
        own = Atoms(numbers[index], positions[index].astype(np.float64), cell=cell, pbc=periodic)
        for name, values in arrays.items():
            if values.ndim and len(values) == frames:
                row = values[index].astype(np.float64) if values.dtype.kind == "f" else values[index]
                (own.arrays if row.ndim and len(row) == atoms else own.info)[name] = row
        yield own


def _check_rows(path: Path, arrays: dict[str, np.ndarray], frames: int, reading: Reading) -> None:
    """Refuse what would be left out without a word: what is known of frames, without a row for each."""
    usual = (*(name for names in USUAL.values() for name in names), QUANTUM)
    known = {*names_in_files(), *(name.lower() for name in (*reading.keys.values(), *usual))}
    for name, values in arrays.items():
        if name.lower() not in known:
            continue
        if values.ndim == 0 or len(values) != frames:
            raise DataError(f"{name} of '{path}' has shape {values.shape}; a row for each of {frames} frames is needed")
        if values.dtype.kind == "c":
            raise DataError(f"{name} of '{path}' is complex; real numbers are needed")


def _numbers(path: Path, arrays: dict[str, np.ndarray], frames: int, atoms: int, formula: str) -> np.ndarray:
    """Atomic numbers, shape (frames, atoms)."""
    name = next((name for name in ELEMENTS if name in arrays), "")
    if not name:
        if not formula:
            raise DataError(f"'{path}' does not say its elements; say species in [data], as 'OHH', or add 'numbers'")
        unit = elements_of(formula)
        if atoms % len(unit):
            raise DataError(f"'{path}' has {atoms} atoms, no whole number of '{formula}', its species")
        return np.broadcast_to(np.tile(unit, atoms // len(unit)), (frames, atoms))
    said = arrays.pop(name)
    if said.shape not in ((atoms,), (frames, atoms)):
        raise DataError(
            f"{name} of '{path}' has shape {said.shape}; {atoms} elements are needed, of one frame or of each"
        )
    if said.dtype.kind == "S":
        said = np.char.decode(said, "ascii", "replace")
    if said.dtype.kind == "U":
        symbols, places = np.unique(said, return_inverse=True)
        said = np.array([_element(path, name, str(symbol)) for symbol in symbols], dtype=int)[places].reshape(
            said.shape
        )
    if said.dtype.kind not in "iu":
        raise DataError(f"{name} of '{path}' is of {said.dtype}; whole numbers or symbols are needed")
    return np.broadcast_to(said.astype(int), (frames, atoms))


def _element(path: Path, name: str, symbol: str) -> int:
    number = atomic_numbers.get(symbol.strip(), 0)
    if not number:
        raise DataError(f"{name} of '{path}' has '{shown(symbol)}'; the symbol of one element for each atom is needed")
    return number


def _cells(path: Path, arrays: dict[str, np.ndarray], frames: int) -> np.ndarray | None:
    """Cells, shape (frames, 3, 3); None if there are none."""
    name = next((name for name in CELL if name in arrays), "")
    if not name:
        return None
    said = arrays.pop(name)
    if said.shape not in ((frames, 3, 3), (3, 3)):
        raise DataError(
            f"{name} of '{path}' has shape {said.shape}; three vectors for each of {frames} frames are needed"
        )
    if said.dtype.kind not in "fi":
        raise DataError(f"{name} of '{path}' is of {said.dtype}; three vectors of real numbers are needed")
    return np.broadcast_to(said.astype(np.float64), (frames, 3, 3))


def elements_of(formula: str) -> np.ndarray:
    """Atomic numbers of a formula in its order.

    Raises
    ------
    DataError
        If it is none.
    """
    try:
        return atoms_of_formula(formula, MOST_ATOMS)
    except ValueError as error:
        raise DataError(f"species: {error}; a formula such as OHH is needed") from error
