"""Files of series: which reader each of them has, by its first bytes."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ...errors import SeriesError
from .compressed import uncompressed
from .sources.arrays import Arrays
from .sources.bead_files import BeadFiles, bead_files
from .sources.columns import Columns
from .sources.cp2k_moments import MARK, Moments
from .sources.frames import FRAMES_AT_ONCE, Frames
from .sources.source import Source

__all__ = ["FRAMES_AT_ONCE", "Arrays", "BeadFiles", "Columns", "Frames", "Moments", "Reading", "Source", "find_sources"]

OF_ASE = b"- of Ulm"  # ASE's trajectories
START = 1 << 16  # bytes that tell what a file is
ALLOWED = (
    "i-PI's extras, extended xyz, arrays of numpy (.npz, .npy), CP2K's moments, and columns of numbers, also packed by "
    "gzip, bzip2 or xz"
)


@dataclass(frozen=True)
class Reading:
    """What a user says of how files are read.

    Parameters
    ----------
    columns : tuple of str
        Numbers from 1, or names, of the columns of a table; empty if the file is to tell them.
    """

    columns: tuple[str, ...] = ()


class Format(NamedTuple):
    """How a format is known by the beginning of a file, and what reads it."""

    is_known: Callable[[bytes], bool]
    reader: Callable[[Path, Reading], Source]


FORMATS = (
    Format(lambda start: start.startswith(b"PK"), lambda path, reading: Arrays(path)),
    Format(lambda start: start.startswith(b"\x93NUMPY"), lambda path, reading: Columns(path, reading.columns)),
    Format(lambda start: b"#EXTRAS_COMPONENT_RAW" in start[:256], lambda path, reading: BeadFiles(path, (path,))),
    Format(lambda start: _begins_as_xyz(start), lambda path, reading: Frames(path)),
    Format(lambda start: MARK in start, lambda path, reading: Moments(path)),
    Format(lambda start: _begins_as_table(start), lambda path, reading: Columns(path, reading.columns)),
)
DAMAGED: dict[str, Callable[[Path, Reading], Source]] = {  # by their suffix: the reader says what is wrong
    ".xyz": lambda path, reading: Frames(path),
    ".extxyz": lambda path, reading: Frames(path),
    ".npz": lambda path, reading: Arrays(path),
}


def find_sources(paths: Sequence[Path], reading: Reading = Reading()) -> list[Source]:
    """Sort files into trajectories: those of the beads of one run, whose names differ in their number, belong together.

    Parameters
    ----------
    paths : sequence of Path
    reading : Reading

    Raises
    ------
    SeriesError
        If a file is missing, is given twice, or is nothing that series are read from.
    """
    refuse_given_twice(paths)
    of_beads: list[Path] = []
    sources: list[Source] = []
    for path in paths:
        start = _start_of(path)
        reader = next((one.reader for one in FORMATS if one.is_known(start)), DAMAGED.get(path.suffix.lower()))
        if b"#EXTRAS(" in start[:256]:
            of_beads.append(path)
        elif reader is not None:
            sources.append(reader(path, reading))
            if reading.columns and not isinstance(sources[-1], Columns):
                raise SeriesError(f"'{path}' is no table; --columns {','.join(reading.columns)} is for tables")
        else:
            holds = "is empty" if not start else "holds no series"
            hint = "; 'ase convert' makes extended xyz of it" if start.startswith(OF_ASE) else ""
            raise SeriesError(f"'{path}' {holds}; allowed are {ALLOWED}{hint}")
    return [*sources, *bead_files(of_beads)]


def refuse_given_twice(paths: Sequence[Path]) -> None:
    """Raise SeriesError if a file is missing, or two paths are the same file, which would count twice."""
    seen: dict[tuple[int, int], Path] = {}
    for path in paths:
        if not os.path.isfile(path):
            raise SeriesError(f"'{path}' {'is no file' if os.path.exists(path) else 'does not exist'}")
        file = path.stat().st_dev, path.stat().st_ino
        if file in seen:
            same = "is given twice" if seen[file] == path else f"is the same file as '{seen[file]}'"
            raise SeriesError(f"'{path}' {same}; a trajectory counts once")
        seen[file] = path


def _start_of(path: Path) -> bytes:
    try:
        with open(uncompressed(path), "rb") as file:
            return file.read(START)
    except OSError as error:
        raise SeriesError(f"cannot read '{path}': {error.strerror}") from error


def _begins_as_xyz(start: bytes) -> bool:
    """Whether a number of atoms stands alone in the first line."""
    first, _, rest = start.partition(b"\n")
    second = rest.partition(b"\n")[0].split()
    return first.strip().isdigit() and not (len(second) == 1 and second[0].isdigit())


def _begins_as_table(start: bytes) -> bool:
    """Whether a row of numbers stands somewhere at the beginning of a text."""
    if b"\0" in start:
        return False
    return any(_is_row(line) for line in start.split(b"\n")[:1000])


def _is_row(line: bytes) -> bool:
    words = line.replace(b",", b" ").replace(b";", b" ").split()
    try:
        return len([float(word.replace(b"D", b"e").replace(b"d", b"e")) for word in words]) >= 3
    except ValueError:
        return False
