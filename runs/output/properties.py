"""Properties that a run of i-PI wrote, step by step: finished, going on, killed, or continued."""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ...reading import LARGEST, reason
from ..input.elements import InputError
from ..input.run_input import System
from ..ipi_utilities import unit_to_internal
from ..units import HARTREE_PER_ELECTRONVOLT
from .alignment import that_count

HEADING = re.compile(
    r"#\s*(?:column|cols\.)\s+([1-9]\d{0,5})(?:\s*-\s*([1-9]\d{0,5}))?\s+-->\s+([^\s:{(]+)(\([^)]*\))?(?:\{([^}]*)\})?"
)
UNIT_LABELS = {
    "": "atomic units",  # i-PI's default
    "atomic_unit": "atomic units",
    "electronvolt": "eV",
    "kelvin": "K",
    "picosecond": "ps",
    "femtosecond": "fs",
    "angstrom": "Å",
    "angstrom3": "Å³",
    "megapascal": "MPa",
    "gigapascal": "GPa",
    "g/cm3": "g/cm³",
    "kilocal/mol": "kcal/mol",
    "kilojoule/mol": "kJ/mol",
}


@dataclass(frozen=True)
class Property:
    """A property in the header of a file, ``name(argument){unit}``.

    Parameters
    ----------
    name, argument, unit : str
        The last two may be empty.
    columns : slice
    """

    name: str
    argument: str
    unit: str
    columns: slice

    @property
    def full_name(self) -> str:
        """With its argument, as ``kinetic_cv(O)``."""
        return f"{self.name}({self.argument})" if self.argument else self.name

    @property
    def spellings(self) -> tuple[str, ...]:
        """How it may be named: alone, with its unit as in the header, and as in i-PI's input."""
        unit = f"{{{self.unit}}}"
        argument = f"({self.argument})" if self.argument else ""
        return (self.full_name, self.full_name + unit, self.name + unit + argument)

    @property
    def unit_label(self) -> str:
        """The unit as it is written beside a number."""
        return UNIT_LABELS.get(self.unit, self.unit)


@dataclass(frozen=True)
class PropertyTable:
    """What i-PI wrote into one file of properties.

    Parameters
    ----------
    path : Path
    properties : tuple of Property
    rows : ndarray of float64, shape (rows, columns)
        Those that count: where steps or times go back, as those of a run that was killed and continued, the later
        ones do.
    timestep : float or None
        In fs, which makes steps of times.
    """

    path: Path
    properties: tuple[Property, ...]
    rows: np.ndarray
    timestep: float | None = None

    @cached_property
    def steps(self) -> np.ndarray:
        """Step of each row, shape (rows,), int64, from the column of steps or of times.

        Raises
        ------
        InputError
            If neither tells it.
        """
        step = self.first("step")
        if step is not None:
            return _rounded(self.values(step), self.path)
        time = self.first("time")
        if time is None or self.timestep is None:
            raise InputError(
                f"'{self.path}' holds neither step nor time{{femtosecond}}, by which its rows are told; add step"
            )
        return _steps_of_times(self.values(time), time.unit, self.timestep, self.path)

    @cached_property
    def by_name(self) -> dict[str, np.ndarray]:
        """Numbers of each property, of several components the first, by its name with its argument."""
        return {one.full_name: self.values(one) for one in self.properties}

    def first(self, name: str) -> Property | None:
        """The first property of a name, whatever its argument; None if there is none."""
        return next((one for one in self.properties if one.name == name), None)

    def values(self, one: Property) -> np.ndarray:
        """Numbers of a property, of several components the first, shape (rows,)."""
        return np.asarray(self.rows[:, one.columns.start])


def property_of_heading(line: str) -> Property | None:
    """The property that a line of a header tells of; None if it is no such line."""
    found = HEADING.match(line)
    if found is None:
        return None
    first, last, name, argument, unit = found.groups()
    return Property(name, (argument or "").strip("()"), unit or "", slice(int(first) - 1, int(last or first)))


class GrowingProperties:
    """A file of properties that is read as it grows: what has been read is kept, and only what is new is parsed.

    Parameters
    ----------
    path : Path
        It need not exist yet, and may be replaced by a new one.
    timestep : float, optional
        In fs; it makes steps of times where steps are not written.
    """

    def __init__(self, path: Path, timestep: float | None = None):
        self.path = path
        self.timestep = timestep
        self._position, self._inode = 0, 0
        self._properties: tuple[Property, ...] = ()
        self._pieces: list[np.ndarray] = []
        self._table: PropertyTable | None = None

    def read(self) -> PropertyTable | None:
        """All rows that count, also while the file grows: a last line that is not whole is left out.

        Returns
        -------
        PropertyTable or None
            None if there is no such file, or no row yet.

        Raises
        ------
        InputError
            If it cannot be read, or holds a word that is no number.
        """
        try:
            text = self._new_text() if os.path.exists(self.path) else self._forget()
        except (OSError, ValueError) as error:
            raise InputError(f"cannot read '{self.path}': {reason(error)}") from error
        if text:
            self._table = None
            self._add(text.splitlines())
        if self._table is None and self._pieces:
            width = self._pieces[-1].shape[1]
            self._pieces = [np.concatenate([piece for piece in self._pieces if piece.shape[1] == width])]
            table = PropertyTable(self.path, self._properties, self._pieces[0], self.timestep)
            rows = table.rows[that_count(_order_of(table))]
            self._table = PropertyTable(self.path, self._properties, rows, self.timestep)
        return self._table

    def _forget(self) -> str:
        self._position, self._inode = 0, 0
        self._properties, self._pieces, self._table = (), [], None
        return ""

    def _new_text(self) -> str:
        """Whole lines that have been added."""
        with open(self.path, "rb") as file:
            status = os.fstat(file.fileno())
            if status.st_ino != self._inode or status.st_size < self._position:
                self._forget()
                self._inode = status.st_ino
            file.seek(self._position)
            content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        self._position += len(whole)
        return whole.decode(errors="replace")

    def _add(self, lines: list[str]) -> None:
        found = (property_of_heading(line) for line in lines if line.startswith("#"))
        added = tuple(one for one in found if one is not None)
        # a run that was started anew and appends has a header of its own
        self._properties += tuple(one for one in added if one not in self._properties)
        width = max((one.columns.stop for one in self._properties), default=0)
        words = [words for line in lines if not line.startswith("#") and len(words := line.split()) == width > 0]
        if not words:
            return
        try:
            self._pieces.append(np.array(words, dtype=np.float64))
        except ValueError as error:
            raise InputError(f"'{self.path}' holds a word that is no number: {reason(error)}") from error


def read_property_table(path: Path, timestep: float | None = None) -> PropertyTable | None:
    """Read a file of properties once; see `GrowingProperties`.

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
        If it cannot be read, or holds a word that is no number.
    """
    return GrowingProperties(path, timestep).read()


def find_property(tables: Sequence[PropertyTable], name: str) -> tuple[PropertyTable, Property] | None:
    """The property of a name in one of several files, the one with most rows.

    Parameters
    ----------
    tables : sequence of PropertyTable
    name : str
        With its argument, or without one if only one property has that name; its unit may follow, if it is that of
        the file.

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
    exact = [pair for pair in pairs if name.replace(" ", "") in pair[1].spellings]
    alike = [pair for pair in pairs if pair[1].name == name]
    if not exact and len({one.full_name for _, one in alike}) > 1:
        raise InputError(f"'{name}' is one of {', '.join(dict.fromkeys(one.full_name for _, one in alike))}; name one")
    return max(exact or alike, key=lambda pair: len(pair[0].rows), default=None)


def writes_property(system: System, name: str) -> bool:
    """Whether a system writes a property, together with the step."""
    return bool(files_with(system, name))


def energies_of_run(system: System, name: str) -> tuple[np.ndarray, np.ndarray]:
    """A property of the dimension of an energy, from the output that has most of it.

    Parameters
    ----------
    system : System
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
    return column_of_run(system, name, "electronvolt", electronvolts)


def column_of_run(
    system: System, name: str, unit: str, factor: Callable[[str, Path], float]
) -> tuple[np.ndarray, np.ndarray]:
    """Steps and numbers of a property as `energies_of_run`; `factor` is what a unit in a file counts."""
    files = files_with(system, name)
    if not files:
        raise InputError(
            f"'{system.run.path}' does not write {name}; add to its <output> <properties filename='out' stride='10'> "
            f"[ step, {name}{{{unit}}} ] </properties>"
        )
    path = files[0]
    if not os.path.exists(path):
        raise InputError(f"cannot read '{path}': no such file")
    table = read_property_table(path)
    if table is None:
        return np.zeros(0, dtype=np.int64), np.zeros(0)
    column = next((one for one in table.properties if one.full_name == name), None)
    if column is None:
        names = ", ".join(one.full_name for one in table.properties)
        raise InputError(f"'{path}' has no column {name}; its header names {names}")
    return table.steps, table.values(column) * factor(column.unit, path)


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
    return internal_unit("energy", unit, path) / HARTREE_PER_ELECTRONVOLT


def internal_unit(family: str, unit: str, path: Path) -> float:
    """A unit of a column in i-PI's internal units.

    Raises
    ------
    InputError
        If i-PI knows no such unit of its family.
    """
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # i-PI prints all units that it knows
            return float(unit_to_internal(family, unit or "automatic", 1.0))
    except (TypeError, ValueError):
        raise InputError(f"'{path}' has a column in {unit}, which is no unit of {family} that i-PI knows") from None


def files_with(system: System, name: str) -> list[Path]:
    """Files with the step and a property, the one that is written most often first."""
    found = [one for one in system.properties_outputs if {"step", name} <= set(one.properties)]
    return [system.run.folder / one.name for one in sorted(found, key=lambda one: (one.stride, one.name))]


def _order_of(table: PropertyTable) -> np.ndarray:
    """What increases along a file: steps, or times; the number of the row where neither is known."""
    time = table.first("time")
    if table.first("step") is not None or (time is not None and table.timestep is not None):
        return table.steps
    return np.arange(len(table.rows)) if time is None else table.values(time)


def _rounded(values: np.ndarray, path: Path) -> np.ndarray:
    rounded = np.rint(values)
    fits = np.abs(rounded) < LARGEST  # not where one is not finite
    if not fits.all():
        raise InputError(f"'{path}' has {values[~fits][0]} as a step or time; a number below 2^63 is needed")
    return rounded.astype(np.int64)


def _steps_of_times(times: np.ndarray, unit: str, timestep: float, path: Path) -> np.ndarray:
    femtoseconds = internal_unit("time", unit, path) / float(unit_to_internal("time", "femtosecond", 1.0))
    return _rounded(times * femtoseconds / timestep, path)
