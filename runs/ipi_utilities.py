"""i-PI's units, elements and readers, without its engine.

``import ipi`` brings the whole engine for those who write scripts, and much of SciPy with it: seconds, in each command
and in each server.  What is here needs none of that.  Where i-PI is not loaded, these modules of it are loaded under a
package without contents, which is taken away again: who imports i-PI later gets all of it, untouched.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, TextIO

NAME = "ipi"


@contextmanager
def _package_without_contents() -> Iterator[None]:
    """Let modules of i-PI be imported without what its package imports."""
    if NAME in sys.modules:
        yield
        return
    spec = find_spec(NAME)
    package: Any = ModuleType(NAME)
    package.__path__ = [] if spec is None else spec.submodule_search_locations
    sys.modules[NAME] = package
    try:
        package.__version__ = import_module(f"{NAME}._version").__version__
        package.ipi_global_settings = {}  # of how outputs are written; readers only name it
        yield
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == NAME]:
            del sys.modules[name]


with _package_without_contents():
    _units: Any = import_module("ipi.utils.units")
    _mathtools: Any = import_module("ipi.utils.mathtools")
    _io_xml: Any = import_module("ipi.utils.io.inputs.io_xml")
    _io_xyz: Any = import_module("ipi.utils.io.backends.io_xyz")
    _atoms: Any = import_module("ipi.engine.atoms")
    _cell: Any = import_module("ipi.engine.cell")

Constants, Elements = _units.Constants, _units.Elements
UnitMap, UnitPrefix, unit_to_internal = _units.UnitMap, _units.UnitPrefix, _units.unit_to_internal
abc2h, read_array = _mathtools.abc2h, _io_xml.read_array
Atoms, Cell, read_xyz = _atoms.Atoms, _cell.Cell, _io_xyz.read_xyz

LENGTHS = {"positions", "x_centroid"}  # i-PI's trajectories of lengths
WITH_UNIT = re.compile(r"(\w+)\{([A-Za-z_]*)\}")  # as i-PI finds them in comments
AUTOMATIC, ATOMIC = "automatic", "atomic_unit"  # i-PI's names of units


def iter_file(
    mode: str, file: TextIO, dimension: str = AUTOMATIC, units: str = AUTOMATIC, cell_units: str = AUTOMATIC
) -> Iterator[dict[str, Any]]:
    """Frames of a file as i-PI reads them, its engine untouched where they are xyz and hold lengths.

    Parameters
    ----------
    mode : str
        i-PI's name of the format.
    file : TextIO
    dimension, units, cell_units : str
        As ``ipi.utils.io.iter_file`` has them.

    Yields
    ------
    dict
        ``atoms`` and ``cell``, i-PI's, in atomic units, and ``comment``.

    Raises
    ------
    ValueError
        If a unit is unknown, or another than the comment of the frame names.
    """
    if mode != "xyz":
        yield from import_module("ipi.utils.io").iter_file(
            mode, file, dimension=dimension, units=units, cell_units=cell_units
        )
        return
    with suppress(EOFError):
        while True:
            comment, cell, values, names, masses = read_xyz(file)
            if (factors := _factors_of_lengths(comment, dimension, units, cell_units)) is None:
                process = import_module("ipi.utils.io.io_units").process_units
                yield process(comment, cell, values, names, masses, len(names), dimension, units, cell_units, mode)
                continue
            atoms = Atoms(len(names))
            atoms.q[:], atoms.names[:], atoms.m[:] = values * factors[0], names, masses
            yield {"atoms": atoms, "cell": Cell(cell * factors[1]), "comment": comment}


def read_file(mode: str, file: TextIO, **units: str) -> dict[str, Any]:
    """First frame of a file; see `iter_file`.

    Parameters
    ----------
    mode : str
    file : TextIO
    **units : str
        ``dimension``, ``units``, ``cell_units``.

    Returns
    -------
    dict

    Raises
    ------
    EOFError
        If there is none.
    """
    for frame in iter_file(mode, file, **units):
        return frame
    raise EOFError("the file holds no frame")


def _factors_of_lengths(comment: str, dimension: str, units: str, cell_units: str) -> tuple[float, float] | None:
    """What positions and cell of an xyz frame are multiplied by; None where i-PI itself has to say what is meant."""
    found = WITH_UNIT.findall(comment)
    named = dict(found)
    of_values = [unit for name, unit in found if name in LENGTHS]
    is_length = dimension == "length" or (dimension == AUTOMATIC and of_values)
    is_asked = units != AUTOMATIC or cell_units != AUTOMATIC
    if not is_length or len(named) < len(found) or set(named) - LENGTHS - {"cell"} or len(of_values) > 1:
        return None
    if of_values and is_asked:
        return None  # they may not agree
    if units == AUTOMATIC:
        units = of_values[0] if of_values else ATOMIC
    if cell_units == AUTOMATIC:
        cell_units = named.get("cell", ATOMIC)
    return float(unit_to_internal("length", units, 1)), float(unit_to_internal("length", cell_units, 1))
