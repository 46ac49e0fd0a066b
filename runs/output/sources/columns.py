"""Series in tables of numbers: columns of text as other programs write them, and single arrays of ``numpy.save``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from ....errors import SeriesError
from ....properties.quantities import quantities
from ....properties.unit_names import ATOMIC, UnitError, in_own_units
from ..compressed import uncompressed
from ..time_axis import is_axis, time_axis
from .column_choice import Choice, choose, choose_given
from .source import Source

COMMENTS = ("#", "!", "@", "&", ";", "%", '"')  # also of xmgrace
IN_BRACKETS = re.compile(r"[\[({<]\s*([^\[\](){}<>]+?)\s*[\])}>]")
TIME_UNITS = {"fs": 1.0, "ps": 1e3}
FORTRAN = re.compile(r"(?<=[\d.])[dD](?=[-+]?\d)")


@dataclass
class Table:
    """Numbers of a text file.

    Parameters
    ----------
    rows : ndarray of float64, shape (rows, columns)
    names : list of str
        Of the columns; none if the file does not tell them.
    comments : list of str
    """

    rows: np.ndarray
    names: list[str] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)


@dataclass
class Columns(Source):
    """A table with a dipole or a polarizability in some of its columns, and steps or times in others.

    Which columns these are is said by the user, by the names in the file, or by their number and content:
    see `column_choice`.
    """

    wanted: tuple[str, ...] = ()

    def samples(self) -> Iterator[dict[str, np.ndarray]]:
        """All samples at once; the file is read once."""
        yield self._all

    @cached_property
    def _all(self) -> dict[str, np.ndarray]:
        array = _single_array(self.path)
        if array is not None and array.ndim == 3 and array.shape[1:] == (3, 3) and not self.wanted:
            return {"polarizability": array}
        table = read_table(self.path) if array is None else Table(_two_axes(array, self.path))
        if len(table.rows) < 1:
            raise SeriesError(f"'{self.path}' holds no row of numbers")
        axes = [column for column in range(table.rows.shape[1]) if is_axis(table.rows[:, column])]
        chosen = (
            choose_given(self.wanted, table.names, table.rows, self.path)
            if self.wanted
            else choose(table.names, table.rows, axes, self.path)
        )
        kept = self._that_count(table, [axis for axis in axes if axis not in chosen.columns])
        return {chosen.name: self._converted(table, chosen)[kept]}

    def _converted(self, table: Table, chosen: Choice) -> np.ndarray:
        values = table.rows[:, chosen.columns]
        factor, self.unit = _unit_of(table, chosen, self.path)
        self.tells_unit = bool(self.unit)
        kind = quantities()[chosen.name]
        unit = f"in {self.unit}, as the file says" if self.unit else f"in {kind.unit}, unless --unit says otherwise"
        places = ", ".join(str(column + 1) for column in chosen.columns)
        self.remarks.append(f"{chosen.name} from the columns {places} ({chosen.reason}), {unit}")
        return (values[:, chosen.order] * factor).reshape(len(values), *kind.form.shape)

    def _that_count(self, table: Table, axes: list[int]) -> np.ndarray:
        """Which rows count, by the columns of steps and times."""
        kept = np.ones(len(table.rows), dtype=bool)
        for axis in axes:
            name = table.names[axis] if table.names else "step"
            found = time_axis(table.rows[:, axis], self.path, name)
            if found.note:
                self.remarks.append(found.note)
            kept &= found.counts
            unit = next((unit for unit in IN_BRACKETS.findall(name) if unit in TIME_UNITS), None)
            if unit is not None:
                self.spacing = found.spacing * TIME_UNITS[unit]
        return kept


def _unit_of(table: Table, chosen: Choice, path: Path) -> tuple[float, str]:
    """What numbers are multiplied by, by the unit in brackets in their names or in the comments, and that unit.

    Raises
    ------
    SeriesError
        If there are several.
    """
    own = [table.names[column] for column in chosen.columns] if table.names else []
    for places in (own, table.comments):
        found = _units_in(places, chosen.name)
        if len(found) > 1:
            units = " and ".join(found.values())
            raise SeriesError(f"'{path}' tells the units {units} for a {chosen.name}; one is needed")
        if found:
            return next(iter(found.items()))
    return 1.0, ""


def _units_in(texts: list[str], name: str) -> dict[float, str]:
    """Units of a quantity in brackets, by their values; ``au``, which any number may have, where no other is."""
    found = {}
    for word in dict.fromkeys(word for text in texts for word in IN_BRACKETS.findall(text)):
        try:
            found[in_own_units(word, quantities()[name].unit)] = word
        except UnitError:
            continue
    specific = {value: word for value, word in found.items() if word.lower() not in ATOMIC}
    return specific or found


def _single_array(path: Path) -> np.ndarray | None:
    """The array of ``numpy.save``; None if the file is text."""
    try:
        with open(uncompressed(path), "rb") as file:
            if file.read(6) != b"\x93NUMPY":
                return None
            file.seek(0)
            array = np.load(file)
    except SeriesError:
        raise
    except Exception as error:  # NumPy's headers raise whatever they stumble over
        raise SeriesError(f"cannot read '{path}' as an array of numpy.save: {error}") from error
    if array.dtype.kind not in "fiu":
        raise SeriesError(f"'{path}' is an array of the type {array.dtype}; real numbers are needed")
    return np.asarray(array, dtype=np.float64)


def _two_axes(array: np.ndarray, path: Path) -> np.ndarray:
    if array.ndim != 2:
        raise SeriesError(
            f"'{path}' is an array of the shape {array.shape}; (samples, 3) of a dipole, (samples, 3, 3) of a "
            "polarizability, or a table (samples, columns) is needed"
        )
    return array


def read_table(path: Path) -> Table:
    """Read the numbers of a text file, in columns between spaces, commas or semicolons.

    A last line without its end is left out, as somebody may be writing it.

    Raises
    ------
    SeriesError
        If it cannot be read, or a line is no row of as many numbers as the others.
    """
    try:
        text = uncompressed(path).read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise SeriesError(f"cannot read '{path}': {error.strerror}") from error
    whole = text[: text.rfind("\n") + 1].splitlines()
    comments: list[str] = []
    heads: set[str] = set()
    rows: list[list[str]] = []
    lines: list[int] = []
    for number, line in enumerate(whole, 1):
        if not line.strip():
            continue
        if line.strip() in heads or not (rows or line.lstrip().startswith(COMMENTS) or _are_numbers(_words(line))):
            heads.add(line.strip())  # a restart writes it once more
            comments.append(line.strip())
            continue
        if line.lstrip().startswith(COMMENTS):
            comments.append(line.strip())
            continue
        rows.append(_words(line))
        lines.append(number)
    return Table(_numbers(rows, lines, path), _names(comments, len(rows[0]) if rows else 0), comments)


def _words(line: str) -> list[str]:
    return FORTRAN.sub("e", line.replace(",", " ").replace(";", " ")).split()


def _are_numbers(words: list[str]) -> bool:
    try:
        return bool([float(word) for word in words])
    except ValueError:
        return False


def _numbers(rows: list[list[str]], lines: list[int], path: Path) -> np.ndarray:
    width = len(rows[0]) if rows else 0
    for line, row in zip(lines, rows, strict=True):
        if len(row) != width:
            raise SeriesError(
                f"line {line} of '{path}' has {len(row)} columns, those before {width}; a table of one kind of rows is "
                "needed"
            )
    try:
        return np.array(rows, dtype=np.float64).reshape(len(rows), width)
    except ValueError:
        line = next(line for line, row in zip(lines, rows, strict=True) if not _are_numbers(row))
        words = " ".join(rows[lines.index(line)])
        raise SeriesError(f"line {line} of '{path}' is no row of numbers: '{words[:60]}'") from None


def _names(comments: list[str], width: int) -> list[str]:
    """Names of the columns: the words of the last comment that has as many."""
    for comment in reversed(comments):
        words = _words(comment.lstrip('#!@&;%" ').replace('"', " "))
        if len(words) == width and not any(_are_numbers([word]) for word in words):
            return words
    return []
