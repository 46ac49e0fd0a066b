"""Properties that a run of i-PI wrote, step by step: finished, going on, killed, or continued."""

from __future__ import annotations

import contextlib
import io
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ipi.utils.units import unit_to_internal

from ..input.elements import InputError, integer_attribute, parse, systems_of, words
from ..input.outputs import output_name
from ..units import HARTREE_PER_ELECTRONVOLT

COLUMN = re.compile(r"#\s*(?:column|cols\.)\s+(\d+)(?:\s*-\s*(\d+))?\s+-->\s+([^\s:{(]+)(\([^)]*\))?(?:\{([^}]*)\})?")
MORE_UNITS = {"angstrom": "Å", "atomic_unit": "atomic units"}
IN_FEMTOSECONDS = {"femtosecond": 1.0, "picosecond": 1e3}


@dataclass(frozen=True)
class Property:
    """A property in the header of a file.

    Parameters
    ----------
    name : str
        With its argument, as ``kinetic_cv(O)``.
    unit : str
        i-PI's name of it; empty for its atomic units.
    columns : slice
    """

    name: str
    unit: str
    columns: slice

    @property
    def unit_label(self) -> str:
        """The unit as it is written beside a number."""
        return (UNITS | MORE_UNITS).get(self.unit, self.unit) or "atomic units"


@dataclass(frozen=True)
class PropertyTable:
    """What i-PI wrote into one file of properties.

    Parameters
    ----------
    path : Path
    properties : tuple of Property
    steps : ndarray of int64, shape (rows,)
    rows : ndarray of float64, shape (rows, columns)
    """

    path: Path
    properties: tuple[Property, ...]
    steps: np.ndarray
    rows: np.ndarray


def read_property_table(path: Path, timestep: float | None = None) -> PropertyTable | None:
    """Read a file of properties, also while it grows: a last line that is not whole is left out.

    Where steps go back, as those of a run that was killed and continued, the later rows count.

    Parameters
    ----------
    path : Path
    timestep : float, optional
        In fs; it makes steps of times where steps are not written.

    Returns
    -------
    PropertyTable or None
        None if there is no such file, or no row yet.

    Raises
    ------
    InputError
        If it cannot be read, or holds neither step nor time.
    """
    try:
        text = path.read_text(errors="replace") if path.exists() else ""
    except OSError as error:
        raise InputError(f"cannot read '{path}': {error.strerror}") from error
    lines = text[: text.rfind("\n") + 1].splitlines()
    found = [match for line in lines if line.startswith("#") and (match := COLUMN.match(line))]
    properties = tuple(
        Property(name + (argument or ""), unit or "", slice(int(first) - 1, int(last or first)))
        for first, last, name, argument, unit in (match.groups() for match in found)
    )
    width = max((one.columns.stop for one in properties), default=0)
    words = [words for line in lines if not line.startswith("#") and len(words := line.split()) == width > 0]
    if not words:
        return None
    try:
        rows = np.array(words, dtype=np.float64)
    except ValueError as error:
        raise InputError(f"'{path}' holds a word that is no number: {error}") from error
    steps = _steps_of(path, properties, rows, timestep)
    lowest_later = np.append(np.minimum.accumulate(steps[::-1])[::-1][1:], np.iinfo(np.int64).max)
    kept = steps < lowest_later
    return PropertyTable(path, properties, steps[kept], rows[kept])


def find_property(tables: Sequence[PropertyTable], name: str) -> tuple[PropertyTable, Property] | None:
    """The property of a name in one of several files, the one with most rows.

    Parameters
    ----------
    tables : sequence of PropertyTable
    name : str
        With its argument, or without one if only one property has that name.

    Returns
    -------
    tuple of PropertyTable and Property, or None
        None if no file holds it.

    Raises
    ------
    InputError
        If it is one of several with different arguments.
    """
    pairs = [(table, one) for table in tables for one in table.properties]
    exact = [pair for pair in pairs if pair[1].name == name.replace(" ", "")]
    alike = [pair for pair in pairs if pair[1].name.partition("(")[0] == name]
    if not exact and len({one.name for _, one in alike}) > 1:
        raise InputError(f"'{name}' is one of {', '.join(dict.fromkeys(one.name for _, one in alike))}; name one")
    return max(exact or alike, key=lambda pair: len(pair[0].steps), default=None)


def writes_property(source: Path, name: str) -> bool:
    """Whether an i-PI input or RESTART writes a property, together with the step.

    Raises
    ------
    InputError
        If it is no i-PI input.
    """
    return bool(_outputs(parse(source), source, name))


def energies_of_run(source: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """A property of the dimension of an energy, from the output that has most of it.

    Where rows go back in step the later ones count: an i-PI that was killed continues from a RESTART that may lie
    steps before.  Rows that are not whole are left out.

    Parameters
    ----------
    source : Path
        i-PI input or RESTART; its outputs are in the same folder.
    name : str
        As in ``<properties>``, without its unit: ``potential``, ``kinetic_cv``.

    Returns
    -------
    steps : ndarray of int64, shape (rows,)
        Increasing.
    energies : ndarray of float64, shape (rows,)
        In eV.

    Raises
    ------
    InputError
        If no output holds it and the step, or a file cannot be read.
    """
    files = _outputs(parse(source), source, name)
    if not files:
        raise InputError(
            f"'{source}' does not write {name}; add to its <output> <properties filename='out' stride='10'> "
            f"[ step, {name}{{electronvolt}} ] </properties>"
        )
    path = files[0]
    if not path.exists():
        raise InputError(f"cannot read '{path}': no such file")
    table = read_property_table(path)
    if table is None:
        return np.zeros(0, dtype=np.int64), np.zeros(0)
    column = next((one for one in table.properties if one.name == name), None)
    if column is None:
        names = ", ".join(one.name for one in table.properties)
        raise InputError(f"'{path}' has no column {name}; its header names {names}")
    return table.steps, table.rows[:, column.columns.start] * electronvolts(column.unit, path)


def electronvolts(unit: str, path: Path) -> float:
    """A unit of energy in eV.

    Parameters
    ----------
    unit : str
        i-PI's name of it; empty for its atomic unit.
    path : Path
        File that it is from.

    Raises
    ------
    InputError
        If i-PI knows no such unit of energy.
    """
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # i-PI prints all units that it knows
            return float(unit_to_internal("energy", unit or "automatic", 1.0)) / HARTREE_PER_ELECTRONVOLT
    except (TypeError, ValueError):
        raise InputError(f"'{path}' has a column in {unit}, which is no unit of energy that i-PI knows") from None


def _outputs(root: ElementTree.Element, source: Path, name: str) -> list[Path]:
    """Files with the step and a property, the one that is written most often first."""
    system = next(systems_of(root), None)
    found: list[tuple[int, Path]] = []
    for element in root.iterfind("output/properties"):
        written = {word.partition("{")[0].strip() for word in words(element.text)}
        if {"step", name} <= written:
            file = source.parent / output_name(root, element.get("filename", "out"), system)
            found.append((integer_attribute(element, "stride", 1, least=1), file))
    return [file for _, file in sorted(found)]


def _steps_of(path: Path, properties: Sequence[Property], rows: np.ndarray, timestep: float | None) -> np.ndarray:
    """Step of each row, from the column of steps or of times."""
    by_name = {one.name: one for one in properties}
    if "step" in by_name:
        return np.rint(rows[:, by_name["step"].columns.start]).astype(np.int64)
    time = by_name.get("time")
    if time is None or timestep is None or time.unit not in IN_FEMTOSECONDS:
        raise InputError(f"'{path}' holds neither step nor time{{femtosecond}}, by which its rows are told; add step")
    return np.rint(rows[:, time.columns.start] * IN_FEMTOSECONDS[time.unit] / timestep).astype(np.int64)


HEADER = re.compile(r"#\s*(?:column|cols\.)\s+(\d+)(?:-\d+)?\s+-->\s+([^\s:{(]+)(\([^)]*\))?(?:\{([^}]*)\})?")


UNITS = {
    "electronvolt": "eV",
    "kelvin": "K",
    "picosecond": "ps",
    "femtosecond": "fs",
    "angstrom3": "Å³",
    "megapascal": "MPa",
    "gigapascal": "GPa",
    "g/cm3": "g/cm³",
    "kilocal/mol": "kcal/mol",
    "kilojoule/mol": "kJ/mol",
}


@dataclass(frozen=True)
class Column:
    """One column of a property output.

    Parameters
    ----------
    name, argument, unit : str
        As in i-PI's ``name(argument){unit}``; the last two may be empty.
    values : ndarray of float64, shape (rows,)
    """

    name: str
    argument: str
    unit: str
    values: np.ndarray

    @property
    def unit_label(self) -> str:
        """The unit as it is written beside an axis; i-PI's default are atomic units."""
        return UNITS.get(self.unit, self.unit) or "atomic units"


def read_properties(path: Path) -> list[Column]:
    """Read an i-PI property output, finished or still growing.

    Parameters
    ----------
    path : Path
        The file; a last line that is not complete is left out.

    Returns
    -------
    list of Column
        Its scalar properties and the first component of others; empty if there is no row yet.
    """
    text = path.read_text(errors="replace") if path.exists() else ""
    complete = text[: text.rfind("\n") + 1]
    header = [line for line in complete.splitlines() if line.startswith("#")]
    rows = "".join(line for line in complete.splitlines(keepends=True) if not line.startswith("#"))
    if not rows.strip():
        return []
    values = np.loadtxt(io.StringIO(rows), ndmin=2)
    found = [match for line in header if (match := HEADER.match(line))]
    return [
        Column(name, (argument or "").strip("()"), unit or "", values[:, int(position) - 1])
        for position, name, argument, unit in (match.groups() for match in found)
        if int(position) <= values.shape[1]
    ]
