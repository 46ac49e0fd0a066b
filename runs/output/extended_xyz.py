"""Extended xyz frame by frame, also while it is being written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms

from ...errors import SeriesError
from ...extended_xyz import COLUMN, Block, FormatError, atoms_of_block, frame_blocks
from .compressed import uncompressed

NUMBER = r'"?\s*(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*"?(?=[\s,]|$)'
BEFORE = r"(?:^|[\s\"'])"
TIMES = {  # also of CP2K (i = 0, time = 0.000), LAMMPS (Timestep: 0) and i-PI (Step: 0)
    "step": re.compile(BEFORE + r"(?:md_?step|time_?step|step|i)\s*[=:]\s*" + NUMBER, re.IGNORECASE),
    "time": re.compile(BEFORE + r"(?:md_?time|time_fs|time)\s*[=:]\s*" + NUMBER, re.IGNORECASE),
}
PROPERTIES = re.compile(BEFORE + r"properties\s*=\s*\"?(?P<fields>[^\s\"]+)", re.IGNORECASE)
LATTICE = re.compile(r"(?:^|\s)lattice\s*=\s*[\"'{\[]([^\"'}\]]*)[\"'}\]]", re.IGNORECASE)


@dataclass(frozen=True)
class Survey:
    """What the comments of all frames say.

    Parameters
    ----------
    frames : int
        Whole ones.
    times : mapping of str to ndarray of float64, shape (frames,)
        ``step`` and ``time``, those that are told and not always the same.
    cells : ndarray of float64, shape (frames, 3, 3), or None
        Lattice vectors in Å, one per row; None if not every frame tells them.
    """

    frames: int
    times: Mapping[str, np.ndarray]
    cells: np.ndarray | None


def fields_of(comment: str) -> dict[str, slice]:
    """Columns of each property of the atoms, by its name in lower case; nothing if the comment does not tell them."""
    found = PROPERTIES.search(comment)
    fields, first = {}, 0
    for name, _, count in COLUMN.findall(found["fields"] if found else ""):
        fields[name.lower()] = slice(first, first + int(count))
        first += int(count)
    return fields


def survey(path: Path) -> Survey:
    """Read the comments of all frames.

    Raises
    ------
    SeriesError
        If the file cannot be read, or some of its frames differ in what they tell or in their number of atoms.
    """
    comments: list[str] = []
    atoms = 0
    for number, (lines, _, _) in enumerate(_whole_frames(path)):
        if number and len(lines) - 1 != atoms:
            raise SeriesError(
                f"frame {number} of '{path}' has {len(lines) - 1} atoms, the one before {atoms}; the frames of one run "
                "are needed"
            )
        atoms = len(lines) - 1
        comments.append(lines[0])
    times = {}
    for name, pattern in TIMES.items():
        found = [pattern.search(comment) for comment in comments]
        told = [float(match["number"]) for match in found if match]
        if len(set(told)) > 1:
            if len(told) < len(comments):
                raise SeriesError(f"frame {found.index(None)} of '{path}' tells no {name}, and others do")
            times[name] = np.array(told)
    return Survey(len(comments), times, _cells([LATTICE.search(comment) for comment in comments]))


def _cells(found: list[re.Match[str] | None]) -> np.ndarray | None:
    try:
        cells = [[float(word) for word in match[1].replace(",", " ").split()] for match in found if match]
        return np.array(cells).reshape(-1, 3, 3) if cells and len(cells) == len(found) else None
    except ValueError:
        return None  # its reader says what is wrong with the frame


def complete_frames(path: Path, counts: np.ndarray | None = None) -> Iterator[Atoms]:
    """Frames of an extended xyz file; one at its end that is not yet whole is left out.

    Parameters
    ----------
    path : Path
    counts : ndarray of bool, shape (frames,), optional
        Which of the first frames are wanted; all by default.

    Raises
    ------
    SeriesError
        If the file cannot be read as text, or a whole frame is none.
    """
    for number, block in enumerate(_whole_frames(path)):
        if counts is None or (number < len(counts) and counts[number]):
            with _refusing(path):
                frame = atoms_of_block(block)
            yield frame


def _whole_frames(path: Path) -> Iterator[Block]:
    with _refusing(path), open(uncompressed(path), encoding="utf-8-sig") as file:
        yield from frame_blocks(file, str(path), is_growing=True)


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    try:
        yield
    except FormatError as error:
        raise SeriesError(str(error)) from error
    except OSError as error:
        raise SeriesError(f"cannot read '{path}': {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SeriesError(f"'{path}' is no text: {error}") from error
