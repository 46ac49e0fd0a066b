"""Velocities that i-PI wrote as xyz, read some frames at a time."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from ...errors import SeriesError
from ...reading import refusing
from .frames import places_of_frames

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
        if not os.path.isfile(path):
            raise SeriesError(f"'{path}' does not exist")
        with open(path, encoding="utf-8", errors="replace") as file:
            self._atoms = self._number_of_atoms(file.readline())
            self.quantity = self._quantity_of(file.readline())

    def pieces(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Frames, some at a time; `stride` is known after the first piece.

        Where frames go back in step, as those of a run that was killed and continued, the later ones count.

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
        frames = self._frames()
        while lines := [line for frame in islice(frames, FRAMES_AT_ONCE) for line in frame]:
            rows = [line.split() for line in lines]
            try:
                values = np.array([row[1:4] for row in rows], dtype=np.float64)
                yield np.array([row[0] for row in rows[: self._atoms]]), values.reshape(-1, self._atoms, 3)
            except (IndexError, ValueError) as error:
                raise SeriesError(f"'{self.path}' holds a line that is no atom: {error}") from error

    def count(self) -> int:
        """Number of frames that are whole and count."""
        return len(places_of_frames(self.path, self._atoms).places) or sum(1 for _ in self._frames_without_steps())

    def _frames(self) -> Iterator[list[str]]:
        """Lines of the atoms of each frame that is whole and counts."""
        with refusing(SeriesError, f"cannot read '{self.path}'"):
            places = places_of_frames(self.path, self._atoms)
        self._check_steps(places.steps)
        with open(self.path, "rb") as file:
            for place in places.places:
                file.seek(place.start)
                yield file.read(place.stop - place.start).decode(errors="replace").splitlines()[1 : self._atoms + 1]
        if not places.places:
            yield from self._frames_without_steps()

    def _frames_without_steps(self) -> Iterator[list[str]]:
        """The same of a file whose comments tell no steps."""
        with open(self.path, encoding="utf-8", errors="replace") as file:
            while lines := list(islice(file, self._atoms + 2)):
                if len(lines) < self._atoms + 2 or not lines[-1].endswith("\n"):  # somebody may be writing it
                    return
                yield lines[2:]

    def _number_of_atoms(self, line: str) -> int:
        if not line.strip().isdecimal() or len(line) > 18 or int(line) < 1:
            raise SeriesError(f"'{self.path}' does not begin with a number of atoms; it is no xyz file of velocities")
        return int(line)

    def _quantity_of(self, comment: str) -> str:
        names = [name for name in QUANTITY.findall(comment) if name != "cell"]
        found = next((name for name in names if name in (OF_CENTROID, OF_BEAD)), "")
        if names and not found:
            raise SeriesError(f"'{self.path}' holds {names[0]}; allowed are {OF_CENTROID} and {OF_BEAD}")
        return found

    def _check_steps(self, steps: np.ndarray) -> None:
        apart = np.unique(np.diff(steps)).tolist()
        if len(apart) > 1:
            raise SeriesError(f"the frames of '{self.path}' are {apart} steps apart; a series needs one stride")
        self.stride = apart[0] if apart else 0
