"""Velocities that i-PI wrote as xyz, read some frames at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from ...errors import SeriesError

STEP = re.compile(r"Step:\s+(\d+)")
QUANTITY = re.compile(r"(\w+)\{")
OF_CENTROID, OF_BEAD = "v_centroid", "velocities"
FRAMES_AT_ONCE = 500


class VelocityFile:
    """One trajectory of velocities.

    Parameters
    ----------
    path : Path
        In i-PI's xyz, ``v_centroid`` or ``velocities`` of a bead, in any unit.

    Attributes
    ----------
    stride : int
        Steps between frames; 0 before they are known.
    quantity : str
        What the comment of the first frame calls the numbers: ``v_centroid``, ``velocities``, or nothing.

    Raises
    ------
    SeriesError
        If it cannot be read, or holds something else.
    """

    def __init__(self, path: Path):
        self.path = path
        self.stride = 0
        self._last: int | None = None
        if not path.is_file():
            raise SeriesError(f"'{path}' does not exist")
        with open(path, encoding="utf-8", errors="replace") as file:
            self._atoms = self._number_of_atoms(file.readline())
            self.quantity = self._quantity_of(file.readline())

    def pieces(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Frames, some at a time; `stride` is known after the first piece.

        Returns
        -------
        iterator of (labels, velocities)
            Labels of the atoms, ndarray of str, shape (atoms,), and velocities, ndarray of float64, shape (frames,
            atoms, 3).  A last frame that is not yet whole is left out.

        Raises
        ------
        SeriesError
            If a line is no atom, or the frames are not equally many steps apart.
        """
        lines_of_frame = self._atoms + 2
        with open(self.path, encoding="utf-8", errors="replace") as file:
            while lines := list(islice(file, FRAMES_AT_ONCE * lines_of_frame)):
                if not lines[-1].endswith("\n"):  # i-PI may be writing it
                    lines.pop()
                frames = len(lines) // lines_of_frame
                if not frames:
                    return
                words = [line.split() for line in lines[: frames * lines_of_frame]]
                self._check_steps(lines[1 : frames * lines_of_frame : lines_of_frame])
                rows = [word for place, word in enumerate(words) if place % lines_of_frame > 1]
                try:
                    values = np.array([row[1:4] for row in rows], dtype=np.float64)
                    yield np.array([row[0] for row in rows[: self._atoms]]), values.reshape(frames, self._atoms, 3)
                except (IndexError, ValueError) as error:
                    raise SeriesError(f"'{self.path}' holds a line that is no atom: {error}") from error

    def _number_of_atoms(self, line: str) -> int:
        if not line.strip().isdecimal() or int(line) < 1:
            raise SeriesError(f"'{self.path}' does not begin with a number of atoms; it is no xyz file of velocities")
        return int(line)

    def _quantity_of(self, comment: str) -> str:
        names = [name for name in QUANTITY.findall(comment) if name != "cell"]
        found = next((name for name in names if name in (OF_CENTROID, OF_BEAD)), "")
        if names and not found:
            raise SeriesError(f"'{self.path}' holds {names[0]}; allowed are {OF_CENTROID} and {OF_BEAD}")
        return found

    def _check_steps(self, comments: list[str]) -> None:
        steps = [int(found[1]) for comment in comments if (found := STEP.search(comment))]
        joined = steps if self._last is None else [self._last, *steps]
        apart = set(np.diff(joined).tolist()) | ({self.stride} if self.stride else set())
        if len(apart) > 1 or min(apart, default=1) < 1:
            raise SeriesError(f"the frames of '{self.path}' are {sorted(apart)} steps apart; a series needs one stride")
        self.stride = apart.pop() if apart else 0
        self._last = steps[-1] if steps else self._last
