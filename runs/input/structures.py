"""Structure files that an i-PI input names: read by i-PI's own readers, as its ``mode`` says and whatever their suffix.

Reference: ``ipi.engine.initializer`` of i-PI 3.3, whose `init_file` reads all frames and keeps labels, masses and cell
of the last.
"""

from __future__ import annotations

import contextlib
import io
import os
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from ...model import StructureError
from ...reading import CONTENT, reason, shown
from ..ipi_utilities import iter_file
from .elements import InputError
from .labels import element_of_label

MODES = ("xyz", "pdb", "ase")
SHORTEST_LINE = 6  # bytes of an atom in an xyz file, without its end


def last_frame(path: Path, mode: str, cell_units: str = "automatic", units: str = "automatic") -> dict[str, Any]:
    """Last frame of a structure file as i-PI makes it.

    Parameters
    ----------
    path : Path
    mode : str
        ``xyz``, ``pdb`` or ``ase``, the attribute of the element that names the file.
    cell_units, units : str
        i-PI's names of units of length, of the cell and of positions; ``automatic`` for what the file says.

    Returns
    -------
    dict
        ``atoms``, i-PI's, with ``names`` and ``m`` in atomic units (-1 where i-PI knows no mass of the label), and
        ``cell``, i-PI's.

    Raises
    ------
    InputError
        If the mode is unknown, or the file cannot be read.
    StructureError
        If the file is missing, or holds fewer or more atoms than it says.
    """
    if mode not in MODES:
        raise InputError(f"mode='{mode}' for '{path}'; allowed are {', '.join((*MODES, 'chk'))}")
    if not os.path.isfile(path):
        raise StructureError(f"structure file '{path}' does not exist (looked for it in {Path.cwd()})")
    if mode == "xyz":
        _check_count(path)
    frame = None
    try:
        # i-PI prints the units that it knows, and labels whose mass it does not
        with open(path) as file, contextlib.redirect_stdout(io.StringIO()):
            if mode == "ase":
                _read_alone(file)
            for one in iter_file(mode, file, dimension="length", units=units, cell_units=cell_units):
                frame = one
    except (*CONTENT, RuntimeError) as error:
        named = ", ".join(f"'{one}'" for one in (units, cell_units) if one != "automatic")
        what = f"structure file '{path}' cannot be read with mode='{mode}'{named and f', units {named}'}"
        raise InputError(f"{what}: {reason(error)}") from error
    if frame is None or not len(frame["atoms"].names):
        raise StructureError(f"structure file '{path}' holds no atom that can be read with mode='{mode}'")
    if not all(frame["atoms"].names):
        raise _holds_fewer(path, len(frame["atoms"].names))
    if mode == "xyz":
        _check_end(path)
    return frame


def _check_end(path: Path) -> None:
    """Refuse an xyz file that goes on with an atom where a frame is at its end: i-PI stops there without a word."""
    with open(path) as file:
        count, line = "", file.readline().strip()
        while line.isdigit():
            count = line
            next(islice(file, int(count), int(count) + 1), None)  # past the comment and the atoms
            line = file.readline().strip()
    if _is_atom(line):
        raise StructureError(
            f"structure file '{path}' announces {count} atoms but holds more: after them stands '{shown(line)}'"
        )


def _is_atom(line: str) -> bool:
    """Whether a line is a label and three numbers."""
    label, *numbers = line.split()[:4] or [""]
    try:
        return element_of_label(label) is not None and len([float(number) for number in numbers]) == 3
    except ValueError:
        return False


def _check_count(path: Path) -> None:
    """Refuse an xyz file that announces more atoms than its bytes can hold, before there are arrays for them."""
    with open(path, "rb") as file:
        count = file.readline(64).strip()
    if count.isdigit() and int(count) * SHORTEST_LINE > path.stat().st_size:
        raise _holds_fewer(path, int(count))


def _holds_fewer(path: Path, count: int) -> StructureError:
    return StructureError(f"structure file '{path}' announces {count} atoms but holds fewer")


def _read_alone(file: TextIO) -> None:
    """Let i-PI read a file with ASE on this rank alone.

    Where MPI is loaded, ASE would otherwise read on all ranks together, that of i-PI included.
    """
    # what ASE and i-PI have for files of other programs takes long to import
    from ase.io import iread
    from ase.io.formats import UnknownFileTypeError, filetype
    from ipi.utils.io.backends import io_ase

    try:
        form = filetype(file, read=False)  # as in i-PI
    except UnknownFileTypeError:
        form = "extxyz"
    io_ase._ase_open_files[file] = iread(file, ":", format=form, parallel=False)
