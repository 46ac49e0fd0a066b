"""Properties that a run of i-PI wrote, step by step: finished, going on, killed, or continued."""

from __future__ import annotations

import contextlib
import io
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
from ipi.utils.units import unit_to_internal

from .force_components import words
from .ipi_input import InputError, integer_attribute, output_name, parse
from .system_templates import systems_of
from .units import HARTREE_PER_ELECTRONVOLT

COLUMN = re.compile(
    r"#\s*(?:column|cols\.)\s+(?P<first>\d+)(?:-(?P<last>\d+))?\s+-->\s+(?P<name>[^\s:{]+)(?:\{(?P<unit>[^}]*)\})?"
)


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
    rows = _rows(files[0], name)
    return np.array(list(rows), dtype=np.int64), np.array(list(rows.values()), dtype=np.float64)


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


def _rows(path: Path, name: str) -> dict[int, float]:
    """Values in eV by their step, increasing."""
    try:
        text = path.read_text(errors="replace")
    except OSError as error:
        raise InputError(f"cannot read '{path}': {error.strerror}") from error
    lines = text[: text.rfind("\n") + 1].splitlines()
    columns = [found for line in lines if (found := COLUMN.match(line))]
    places = {column["name"]: column for column in columns}
    missing = [wanted for wanted in ("step", name) if wanted not in places]
    if missing:
        raise InputError(f"'{path}' has no column {missing[0]}; its header names {', '.join(places) or 'none'}")
    numbers = max(int(column["last"] or column["first"]) for column in columns)
    step_place, place = (int(places[wanted]["first"]) - 1 for wanted in ("step", name))
    unit = _electronvolts(places[name]["unit"] or "", path)
    rows: dict[int, float] = {}
    for line in lines:
        row = [] if line.startswith("#") else line.split()
        if len(row) != numbers:
            continue  # half a row, to which the next run has appended its first
        with contextlib.suppress(ValueError):
            step, value = int(float(row[step_place])), float(row[place])
            while rows and next(reversed(rows)) >= step:
                rows.popitem()
            rows[step] = value * unit
    return rows


def _electronvolts(unit: str, path: Path) -> float:
    """A unit of energy, by i-PI's name, in eV."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # i-PI prints all units that it knows
            return float(unit_to_internal("energy", unit or "automatic", 1.0)) / HARTREE_PER_ELECTRONVOLT
    except (TypeError, ValueError):
        raise InputError(f"'{path}' has a column in {unit}, which is no unit of energy that i-PI knows") from None
