"""Numbers of an i-PI input in i-PI's internal units, and errors of one line where i-PI would stop with a traceback."""

from __future__ import annotations

import contextlib
import copy
import io
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

from ...model import BeadwiseError
from ...reading import reason, shown, whole_number
from ..ipi_utilities import UnitMap, unit_to_internal
from .xml_reader import XmlError, read_xml

WRITTEN_DIGITS = 9  # of a number in a RESTART, in i-PI's own units, so that 300 K come back as almost that
AROUND_WORDS = " \n\r\t'"  # what i-PI takes off the entries of a list
DIGITS = WRITTEN_DIGITS - 1  # what they leave of a number in any other unit


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


def as_written(value: float) -> str:
    """A number as i-PI writes it into a RESTART."""
    return f"{value:.{WRITTEN_DIGITS - 1}e}"


def settled(element: ElementTree.Element, name: str, family: str, unit: str, path: Path) -> float:
    """Number in an element below `element`, the same from an input and from the RESTART of its run.

    i-PI writes nine digits in its internal units.  So every number is read as if it had been written there, and then
    gets the digits that this leaves of it: 330 K are 330 K again.

    Parameters
    ----------
    element : Element
    name : str
        Tags that lead to it, separated by ``/``.
    family : str
        i-PI's name of the dimension.
    unit : str
        i-PI's name of the unit of the result.
    path : Path
        File that the element is from.

    Raises
    ------
    InputError
        If there is no such number, or its unit is unknown.
    """
    value = float(as_written(quantity(element, name, family, path)))
    return float(f"{value / float(unit_to_internal(family, unit, 1.0)):.{DIGITS}g}")


def words(text: str | None) -> list[str]:
    """Split one of i-PI's lists, ``[ O, H, H ]`` or ``['O', 'H', 'H']``: i-PI strips blanks and single quotes."""
    stripped = (word.strip(AROUND_WORDS) for word in (text or "").strip().strip("[]").split(","))
    return [word for word in stripped if word]


class InputError(BeadwiseError, ValueError):
    """An i-PI input, or a file that it names, that cannot be used."""


def parse(path: Path) -> ElementTree.Element:
    """Parse an i-PI input or RESTART, without its comments; see `parse_with_comments`."""
    return without_comments(parse_with_comments(path))


def parse_with_comments(path: Path) -> ElementTree.Element:
    """Parse an i-PI input or RESTART.

    Parameters
    ----------
    path : Path
        The XML file.

    Returns
    -------
    Element
        ``<simulation>``, with comments as elements, which cut the text of the element that they stand in.

    Raises
    ------
    InputError
        If it cannot be read, or is no i-PI input.
    """
    try:
        root = read_xml(path)
    except XmlError as error:
        raise InputError(f"'{path}' is not well-formed XML ({error}); an i-PI input or RESTART is needed") from error
    except (OSError, ValueError) as error:  # a name with a null is no name
        raise InputError(f"cannot read the i-PI input '{path}': {reason(error)}") from error
    if root.tag != "simulation":
        raise InputError(f"'{path}' starts with <{root.tag}>; an i-PI input starts with <simulation>")
    return root


def without_comments(root: ElementTree.Element) -> ElementTree.Element:
    """The same elements without comments, whose text is whole; a copy if there are comments."""
    if all(isinstance(element.tag, str) for element in root.iter()):  # the tag of a comment is a function
        return root
    root = copy.deepcopy(root)
    for parent in root.iter():
        before: ElementTree.Element | None = None
        for child in list(parent):
            if isinstance(child.tag, str):
                before = child
                continue
            if before is None:
                parent.text = (parent.text or "") + (child.tail or "")
            else:
                before.tail = (before.tail or "") + (child.tail or "")
            parent.remove(child)
    return root


def text_in(element: ElementTree.Element, name: str, default: str = "") -> str:
    """Text of an element below `element`, without blanks around it.

    Parameters
    ----------
    element : Element
    name : str
        Tags that lead to it, separated by ``/``.
    default : str
        If there is no such element, or nothing in it.
    """
    return (element.findtext(name) or default).strip()


def integer_in(element: ElementTree.Element, name: str, default: int) -> int:
    """Integer in an element below `element`.

    Parameters
    ----------
    element : Element
    name : str
        Tags that lead to it, separated by ``/``.
    default : int
        If there is no such element, or nothing in it.

    Raises
    ------
    InputError
        If it is no integer.
    """
    text = text_in(element, name, str(default))
    try:
        return whole_number(text)
    except ValueError:
        raise InputError(f"<{name}> of <{element.tag}> is '{shown(text)}'; an integer is needed") from None


def boolean_in(element: ElementTree.Element, name: str, default: bool) -> bool:
    """Truth value in an element below `element`, as i-PI reads it.

    Parameters
    ----------
    element : Element
    name : str
        Tags that lead to it, separated by ``/``.
    default : bool
        If there is no such element, or nothing in it.

    Raises
    ------
    InputError
        If it is none.
    """
    text = text_in(element, name, str(default))
    if text.upper() not in ("TRUE", "FALSE"):
        raise InputError(f"<{name}> of <{element.tag}> is '{text}'; allowed are True, False")
    return text.upper() == "TRUE"


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
        value = whole_number(text)
    except ValueError:
        raise InputError(f"{name} of <{element.tag}> is '{shown(text)}'; an integer is needed") from None
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
    try:
        return read_xml(text, with_comments=False)
    except XmlError as error:
        raise InputError(f"a <system_template> with the values {shown(values)} is no XML: {error}") from error
