"""Numbers of an i-PI input in i-PI's internal units, and errors of one line where i-PI would stop with a traceback."""

from __future__ import annotations

import contextlib
import io
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

from ipi.utils.units import UnitMap, unit_to_internal

from ...model import BeadwiseError

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


def words(text: str | None) -> list[str]:
    """Split one of i-PI's lists, ``[ O, H, H ]``."""
    return [word.strip() for word in (text or "").strip().strip("[]").split(",") if word.strip()]


class InputError(BeadwiseError, ValueError):
    """An i-PI input, or a file that it names, that cannot be used."""


def parse(path: Path) -> ElementTree.Element:
    """Parse an i-PI input or RESTART.

    Parameters
    ----------
    path : Path
        The XML file.

    Raises
    ------
    InputError
        If it cannot be read, or is no i-PI input.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except OSError as error:
        raise InputError(f"cannot read the i-PI input '{path}': {error.strerror}") from error
    except (ElementTree.ParseError, UnicodeDecodeError) as error:
        raise InputError(f"'{path}' is not well-formed XML ({error}); an i-PI input or RESTART is needed") from error
    if root.tag != "simulation":
        raise InputError(f"'{path}' starts with <{root.tag}>; an i-PI input starts with <simulation>")
    return root


def _text(root: ElementTree.Element, *names: str, default: str = "") -> str:
    return (root.findtext("/".join(names)) or default).strip()


def _integer(element: ElementTree.Element, name: str, default: int) -> int:
    text = _text(element, name, default=str(default))
    try:
        return int(text)
    except ValueError:
        raise InputError(f"<{name}> of <{element.tag}> is '{text}'; an integer is needed") from None


def integer_attribute(element: ElementTree.Element, name: str, default: int, least: int | None = None) -> int:
    """Read an attribute that is an integer.

    Parameters
    ----------
    element : Element
    name : str
        Of the attribute.
    default : int
        If it is absent.
    least : int, optional
        Smallest number that is allowed.

    Raises
    ------
    InputError
        If it is no integer, or too small.
    """
    text = element.get(name, str(default)).strip()
    try:
        value = int(text)
    except ValueError:
        raise InputError(f"{name} of <{element.tag}> is '{text}'; an integer is needed") from None
    if least is not None and value < least:
        raise InputError(f"{name} of <{element.tag}> is {value}; it must be at least {least}")
    return value


def beads_of(system: ElementTree.Element) -> int:
    """Number of beads of a ``<system>``: that of ``<beads>``, which i-PI keeps, or that of ``<initialize>``."""
    for name in ("beads", "initialize"):
        element = system.find(name)
        beads = 0 if element is None else integer_attribute(element, "nbeads", 0)
        if beads:
            return beads
    return 1


def systems_of(root: ElementTree.Element) -> Iterator[ElementTree.Element]:
    """Systems of an i-PI input: its own, then one for each ``<instance>`` of its templates, filled in as i-PI does.

    Parameters
    ----------
    root : Element
        ``<simulation>``.
    """
    yield from root.iterfind("system")
    for template in root.iterfind("system_template"):
        body = template.find("template/system")
        if body is None:
            continue
        labels = words(template.findtext("labels"))
        for instance in template.iterfind("instance"):
            yield _fill_template(body, labels, words(instance.text))


def _fill_template(body: ElementTree.Element, labels: list[str], values: list[str]) -> ElementTree.Element:
    text = ElementTree.tostring(body, encoding="unicode")
    for label, value in sorted(zip(labels, values, strict=False), reverse=True):  # "string1" before "string"
        text = text.replace(label, value)
    return ElementTree.fromstring(text)
