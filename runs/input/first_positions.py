"""Where the atoms of a system are when i-PI begins: of one of its beads, which is enough to ask what answers for it."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np

from ..ipi_utilities import read_array
from ..units import lengths_from_atomic
from .elements import InputError, integer_attribute, unit_of
from .run_input import System
from .structures import last_frame

POSITIONS = ("file", "positions", "beads")


def first_positions(system: System) -> np.ndarray | None:
    """Positions of a bead, as ``<beads>`` or ``<initialize>`` give them.

    As in i-PI, what ``<initialize>`` reads last wins.

    Parameters
    ----------
    system : System

    Returns
    -------
    ndarray of float64, shape (atoms, 3), or None
        In Å; None where they are not those of a file or of a RESTART, or stand for single atoms.

    Raises
    ------
    BeadwiseError
        If a file cannot be read.
    """
    beads = system.element.find("beads")
    found = None if beads is None else _of_beads(beads, system)
    for element in system.element.iterfind("initialize/*"):
        if element.tag not in POSITIONS:
            continue
        mode = element.get("mode", "chk").strip()
        if mode == "manual" or integer_attribute(element, "index", -1) >= 0:
            return None
        path = system.run.folder / (element.text or "").strip()
        if mode == "chk":
            beads = system.run.checkpoint(path).find("system/beads")
            found = None if beads is None else _of_beads(beads, system)
        else:
            units = element.get("units", "automatic").strip()
            found = np.array(last_frame(path, mode, units=units)["atoms"].q, dtype=np.float64)
    return None if found is None else lengths_from_atomic(found.reshape(-1, 3))


def _of_beads(beads: ElementTree.Element, system: System) -> np.ndarray | None:
    """Positions of the first bead in bohr, as they stand in ``<beads>``; None if there are none."""
    element = beads.find("q")
    if element is None:
        return None
    count = integer_attribute(beads, "nbeads", 1, least=1)
    try:
        numbers = read_array(float, element.text or "")
    except ValueError as error:
        raise InputError(f"<q> of <beads> in '{system.run.path}' is no list of numbers: {error}") from error
    if not len(numbers) or len(numbers) % (3 * count):
        raise InputError(f"<q> of <beads> in '{system.run.path}' holds {len(numbers)} numbers for {count} beads")
    return np.asarray(numbers[: len(numbers) // count] * unit_of(element, "length", system.run.path))
