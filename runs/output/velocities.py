"""Velocities in xyz, of i-PI and of other programs, read some frames at a time."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

import numpy as np

from ...errors import SeriesError
from ...reading import refusing
from .compressed import uncompressed
from .extended_xyz import fields_of, survey
from .frames import places_of_frames
from .time_axis import time_axis

OF_POSITIONS = re.compile(r"\s*Atoms\. Timestep:")  # dump xyz
QUANTITY = re.compile(r"(\w+)\{")
OF_CENTROID, OF_BEAD = "v_centroid", "velocities"
VELOCITIES = (OF_CENTROID, OF_BEAD, "velocity", "velo", "vel", "v")  # in Properties of extended xyz
LABELS = ("species", "symbols", "element", "z", "numbers")
MOMENTA, MASSES = ("momenta", "momentum"), ("masses", "mass")
FRAMES_AT_ONCE = 500


class VelocityFile:
    """One trajectory of velocities.

    Parameters
    ----------
    path : Path
        In i-PI's xyz, ``v_centroid`` or ``velocities`` of a bead; in extended xyz, with velocities or momenta among its
        ``Properties``; or in another xyz, which does not tell what it holds.  In any unit.

    Attributes
    ----------
    stride : int
        Steps between frames; 0 before they are known.
    quantity : str
        What the comment of the first frame calls the numbers: ``v_centroid``, ``velocities``, ``momenta``, or nothing.
    spacing : float or None
        Between frames, as the comments of other programs tell times; in fs, if they are.

    Raises
    ------
    SeriesError
        If it cannot be read, or holds something else.
    """

    def __init__(self, path: Path):
        self.path = path
        self.stride = 0
        self.spacing: float | None = None
        self._label, self._place, self._masses = 0, slice(1, 4), -1
        if not os.path.isfile(path):
            raise SeriesError(f"'{path}' does not exist")
        with open(uncompressed(path), encoding="utf-8", errors="replace") as file:
            self._atoms = self._number_of_atoms(file.readline())
            self.quantity = self._quantity_of(file.readline())

    @property
    def is_named(self) -> bool:
        """Whether the file says that it holds velocities."""
        return bool(self.quantity)

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
        labels: np.ndarray | None = None
        while lines := [line for frame in islice(frames, FRAMES_AT_ONCE) for line in frame]:
            rows = [line.split() for line in lines]
            try:
                values = np.array([row[self._place] for row in rows], dtype=np.float64)
                if self._masses >= 0:
                    values /= np.array([[row[self._masses]] for row in rows], dtype=np.float64)
                own = np.array([row[self._label] for row in rows]).reshape(-1, self._atoms)
                labels = own[0] if labels is None else labels
                if not (own == labels).all():
                    raise SeriesError(f"the atoms of '{self.path}' are not the same in all frames")
                yield labels, values.reshape(-1, self._atoms, 3)
            except SeriesError:
                raise
            except (IndexError, ValueError) as error:
                raise SeriesError(f"'{self.path}' holds a line that is no atom: {error}") from error

    def count(self) -> int:
        """Number of frames that are whole and count."""
        return len(places_of_frames(self.path, self._atoms).places) or int(self._that_count().sum())

    def _frames(self) -> Iterator[list[str]]:
        """Lines of the atoms of each frame that is whole and counts."""
        with refusing(SeriesError, f"cannot read '{self.path}'"):
            places = places_of_frames(self.path, self._atoms)
        self._check_steps(places.steps)
        with open(uncompressed(self.path), "rb") as file:
            for place in places.places:
                file.seek(place.start)
                yield file.read(place.stop - place.start).decode(errors="replace").splitlines()[1 : self._atoms + 1]
        if not places.places:
            yield from self._frames_without_steps()

    def _frames_without_steps(self) -> Iterator[list[str]]:
        """The same of a file whose comments do not tell steps as i-PI does."""
        counts = self._that_count()
        with open(uncompressed(self.path), encoding="utf-8", errors="replace") as file:
            for does_count in counts:
                lines = list(islice(file, self._atoms + 2))
                if does_count:
                    yield lines[2:]

    def _that_count(self) -> np.ndarray:
        """Which frames count, by what their comments say of steps and times."""
        seen = survey(self.path)
        counts = np.ones(seen.frames, dtype=bool)
        for name, times in seen.times.items():
            axis = time_axis(times, self.path, name)
            counts &= axis.counts
            if name == "time":
                self.spacing = axis.spacing
            else:
                self.stride = round(axis.spacing)
        return counts

    def _number_of_atoms(self, line: str) -> int:
        if not line.strip().isdecimal() or len(line) > 18 or int(line) < 1:
            raise SeriesError(f"'{self.path}' does not begin with a number of atoms; it is no xyz file of velocities")
        return int(line)

    def _quantity_of(self, comment: str) -> str:
        if OF_POSITIONS.match(comment):
            raise SeriesError(f"'{self.path}' is LAMMPS's xyz, which holds positions; velocities are needed")
        fields = fields_of(comment)
        if fields:
            return self._quantity_among(fields)
        names = [name for name in QUANTITY.findall(comment) if name != "cell"]
        found = next((name for name in names if name in (OF_CENTROID, OF_BEAD)), "")
        if names and not found:
            raise SeriesError(f"'{self.path}' holds {names[0]}; allowed are {OF_CENTROID} and {OF_BEAD}")
        return found

    def _quantity_among(self, fields: Mapping[str, slice]) -> str:
        """What extended xyz calls the velocities, or the momenta of which they are made."""
        found = next((name for name in (*VELOCITIES, *MOMENTA) if name in fields), "")
        if not found:
            raise SeriesError(
                f"'{self.path}' holds {', '.join(fields)} of the atoms; velocities ({', '.join(VELOCITIES)}) "
                "or momenta are needed among its Properties"
            )
        self._place = fields[found]
        self._label = next((fields[name].start for name in LABELS if name in fields), 0)
        if self._place.stop - self._place.start != 3:
            raise SeriesError(f"{found} in '{self.path}' has {self._place.stop - self._place.start} columns, not three")
        # each species has its own normalisation: a mass matters only where atoms of one species differ in it
        masses = next((fields[name] for name in MASSES if name in fields), None)
        self._masses = masses.start if masses is not None and found in MOMENTA else -1
        return found if found in (OF_CENTROID, "momenta") else "momenta" if found in MOMENTA else OF_BEAD

    def _check_steps(self, steps: np.ndarray) -> None:
        apart = np.unique(np.diff(steps)).tolist()
        if len(apart) > 1:
            raise SeriesError(f"the frames of '{self.path}' are {apart} steps apart; a series needs one stride")
        self.stride = apart[0] if apart else 0
