"""Velocities that i-PI wrote as xyz, read some frames at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from ..spectra import SeriesError

STEP = re.compile(r"Step:\s+(\d+)")
FRAMES_AT_ONCE = 500


class VelocityFile:
    """One trajectory of velocities.

    Parameters
    ----------
    path : Path
        In i-PI's xyz, ``v_centroid`` or ``velocities`` of a bead, in any unit.

    Raises
    ------
    SeriesError
        If it cannot be read.
    """

    def __init__(self, path: Path):
        self.path = path
        self.stride = 0
        if not path.is_file():
            raise SeriesError(f"'{path}' does not exist")

    def pieces(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Frames, some at a time: labels (atoms,) and velocities (frames, atoms, 3); `stride` is known afterwards."""
        with open(self.path, encoding="utf-8", errors="replace") as file:
            try:
                atoms = int(file.readline())
            except ValueError:
                raise SeriesError(f"'{self.path}' does not begin with a number of atoms; it is no xyz file") from None
            file.seek(0)
            lines_of_frame = atoms + 2
            while lines := list(islice(file, FRAMES_AT_ONCE * lines_of_frame)):
                frames = len(lines) // lines_of_frame  # i-PI may be writing the last one
                if not frames:
                    return
                words = [line.split() for line in lines[: frames * lines_of_frame]]
                self._check_steps(lines[1 : frames * lines_of_frame : lines_of_frame])
                rows = [word for place, word in enumerate(words) if place % lines_of_frame > 1]
                try:
                    values = np.array([row[1:4] for row in rows], dtype=np.float64)
                except ValueError as error:
                    raise SeriesError(f"'{self.path}' holds a line that is no atom: {error}") from error
                labels = np.array([row[0] for row in rows[:atoms]])
                yield labels, values.reshape(frames, atoms, 3)

    def _check_steps(self, comments: list[str]) -> None:
        steps = [int(found[1]) for comment in comments if (found := STEP.search(comment))]
        apart = set(np.diff(steps).tolist())
        if self.stride:
            apart.add(self.stride)
        if len(apart) > 1:
            raise SeriesError(f"the frames of '{self.path}' are {sorted(apart)} steps apart; a series needs one stride")
        self.stride = apart.pop() if apart else self.stride or 1
