"""Where the frames of an xyz file of i-PI are, by their steps."""

from __future__ import annotations

import mmap
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...reading import whole_number
from .alignment import that_count
from .compressed import uncompressed

# without "#" inside, or half a comment that a killed i-PI left would swallow the one appended to it
COMMENT = re.compile(rb"#[^#\n]*\bStep: +(?P<step>\d+)[^#\n]*\n")
# only from beginnings of lines: from every byte of a line of an atom it would take the square of its length
OF_ASE = re.compile(rb"^[^\n]*\bipi_comment=\"[^\"\n]*\bStep: +(?P<step>\d+)[^\n]*\n", re.MULTILINE)  # format='ase'


@dataclass(frozen=True)
class FramePlaces:
    """The frames of a file that count: those that are whole, and not superseded by later ones.

    Parameters
    ----------
    steps : ndarray of int64, shape (frames,)
        Increasing.
    places : list of slice
        Bytes of each of them in the file, from its comment to its last line; the number of atoms stands before.
    """

    steps: np.ndarray
    places: list[slice]


NOTHING = FramePlaces(np.zeros(0, dtype=np.int64), [])


def places_of_frames(path: Path, atoms: int, comment: re.Pattern[bytes] = COMMENT) -> FramePlaces:
    """Find the frames of a file.

    Parameters
    ----------
    path : Path
        Finished, or still growing.
    atoms : int
        Of a frame.
    comment : re.Pattern
        What begins a frame, with a group ``step``: `COMMENT` or `OF_ASE`.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If a step has too many digits.
    """
    path = uncompressed(path)
    with open(path, "rb") as file:
        if not path.stat().st_size:
            return NOTHING
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            starts = [(found["step"], found.start(), found.end()) for found in comment.finditer(text)]
            if not starts:
                return NOTHING
            ends = [*(start for _, start, _ in starts[1:]), len(text)]
            # before the next comment stands the line with its number of atoms
            lines = [text[body:end].count(b"\n") for (_, _, body), end in zip(starts, ends, strict=True)]
    is_whole = np.array(lines) >= [*(atoms + 1 for _ in starts[1:]), atoms]
    steps = np.array([whole_number(word.decode()) for word, _, _ in starts], dtype=np.int64)
    # also half a frame supersedes what lies beyond: the run that wrote it had gone back
    counts = that_count(steps) & is_whole
    places = [slice(start, end) for (_, start, _), end in zip(starts, ends, strict=True)]
    return FramePlaces(steps[counts], [place for place, kept in zip(places, counts, strict=True) if kept])
