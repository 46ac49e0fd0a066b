"""Numbers of an i-PI input in i-PI's internal units, and errors of one line where i-PI would stop with a traceback."""

from __future__ import annotations

import contextlib
import io
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from ipi.utils.units import UnitMap, unit_to_internal

from .ipi_input import InputError

DIGITS = 7  # i-PI writes nine into a RESTART, in its own units: a temperature of 300 K comes back as almost that


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
        raise InputError(f"'{path}' holds no number in <{name.split('/')[-1]}>; one is needed")
    return value * unit_of(found, family, path)


def temperature_of(system: ElementTree.Element, path: Path) -> float:
    """Temperature of a system's ensemble in K, the same from an input and from the RESTART of its run.

    Raises
    ------
    InputError
        If there is no such number, or its unit is unknown.
    """
    kelvin = float(unit_to_internal("temperature", "kelvin", 1.0))
    return float(f"{quantity(system, 'ensemble/temperature', 'temperature', path) / kelvin:.{DIGITS}g}")


def timestep_of(dynamics: ElementTree.Element, path: Path) -> float:
    """Time step in fs, the same from an input and from the RESTART of its run.

    Raises
    ------
    InputError
        If there is no such number, or its unit is unknown.
    """
    femtosecond = float(unit_to_internal("time", "femtosecond", 1.0))
    return float(f"{quantity(dynamics, 'timestep', 'time', path) / femtosecond:.{DIGITS}g}")
