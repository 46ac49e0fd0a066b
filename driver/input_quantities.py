"""Numbers of an i-PI input in i-PI's internal units, and errors of one line where i-PI would stop with a traceback."""

from __future__ import annotations

import contextlib
import io
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from ipi.utils.units import UnitMap, unit_to_internal

from .ipi_input import InputError


def unit_of(element: ElementTree.Element, family: str, path: Path) -> float:
    """Unit of an element, in i-PI's internal units.

    Parameters
    ----------
    element : Element
        Its attribute ``units`` counts; ``automatic``, i-PI's default, is atomic units.
    family : str
        i-PI's name of the dimension: ``time``, ``length``, ``temperature`` …
    path : Path
        File that the element is from.

    Raises
    ------
    InputError
        If the unit is unknown.
    """
    units = element.get("units", "automatic").strip()
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # i-PI prints all units that it knows
            return float(unit_to_internal(family, units, 1.0))
    except (TypeError, ValueError):
        allowed = ", ".join(filter(None, UnitMap[family]))
        raise InputError(f"<{element.tag}> in '{path}' has units='{units}'; allowed are {allowed}") from None


def quantity(element: ElementTree.Element, name: str, family: str, path: Path) -> float:
    """Number in an element below `element`, in i-PI's internal units.

    Parameters
    ----------
    element : Element
    name : str
        Tags that lead to it, separated by ``/``.
    family : str
        i-PI's name of the dimension.
    path : Path
        File that the element is from.

    Raises
    ------
    InputError
        If there is no such number, or its unit is unknown.
    """
    found = element.find(name)
    try:
        value = None if found is None else float((found.text or "").strip())
    except ValueError:
        value = None
    if found is None or value is None:
        raise InputError(f"'{path}' holds no number in <{name.split('/')[-1]}>; a spectrum needs it")
    return value * unit_of(found, family, path)
