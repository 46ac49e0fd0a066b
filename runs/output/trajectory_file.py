"""One trajectory of i-PI, of a bead or of the centroid, whose frames are read by their steps: xyz, or that of ASE."""

from __future__ import annotations

import re
from functools import cached_property
from io import StringIO
from pathlib import Path

import numpy as np

from ...errors import BeadwiseError
from ...extended_xyz import Block, atoms_of_block
from ...reading import reason
from ..input.elements import InputError
from ..ipi_utilities import read_file, unit_to_internal
from .compressed import uncompressed
from .frames import COMMENT, OF_ASE, FramePlaces, places_of_frames

ENDINGS = {"xyz": ".xyz", "ase": ".extxyz"}  # by the format in i-PI's input
WRITTEN = re.compile(r"(\w+)\{(\w*)\}")
WITH_SLASH = re.compile(r"\b\w+(?:\([^)]*\))?\{([^{}]*/[^{}]*)\}")  # units that i-PI's reader passes over, as ev/ang
CONTENT = (ValueError, IndexError, KeyError, EOFError, StopIteration, TypeError)


class TrajectoryFile:
    """A file of frames, finished or growing.

    Where frames go back in step the later ones count, and half a frame never does.

    Parameters
    ----------
    path : Path
    form : str
        One of `ENDINGS`.
    atoms : int
        Of a frame.
    family : str
        i-PI's dimension of the numbers: ``length``, ``force`` …
    """

    def __init__(self, path: Path, form: str, atoms: int, family: str):
        self.path = path
        self._form, self._atoms, self._family = form, atoms, family

    @cached_property
    def _places(self) -> FramePlaces:
        try:
            return places_of_frames(self.path, self._atoms, OF_ASE if self._form == "ase" else COMMENT)
        except (OSError, ValueError) as error:
            raise InputError(f"cannot read '{self.path}': {reason(error)}") from error

    @property
    def steps(self) -> np.ndarray:
        """Steps of the frames that count, increasing, shape (frames,), int64."""
        return self._places.steps

    def frame(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of the atoms, and the cell.

        Parameters
        ----------
        step : int
            One of `steps`.

        Returns
        -------
        values : ndarray of float64, shape (atoms, 3)
            In i-PI's internal units.
        cell : ndarray of float64, shape (3, 3)
            In bohr, one vector per row.

        Raises
        ------
        InputError
            If the frame cannot be read, or holds something else.
        """
        place = self._places.places[int(np.searchsorted(self.steps, step))]
        try:
            with open(uncompressed(self.path), "rb") as file:
                file.seek(place.start)
                text = file.read(place.stop - place.start).decode(errors="replace")
            return self._of_ase(text) if self._form == "ase" else self._of_xyz(text)
        except (*CONTENT, OSError, BeadwiseError) as error:
            raise InputError(f"'{self.path}' holds a frame of step {step} that cannot be read: {error}") from error

    def _of_xyz(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """By i-PI's own reader, which knows its units."""
        frame = read_file("xyz", StringIO(f"{self._atoms}\n{text}"), dimension=self._family)
        values = np.array(frame["atoms"].q, dtype=np.float64).reshape(self._atoms, 3)
        if passed_over := WITH_SLASH.search(text.partition("\n")[0]):
            values *= float(unit_to_internal(self._family, passed_over[1], 1.0))
        return values, np.array(frame["cell"].h, dtype=np.float64).T

    def _of_ase(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """i-PI's reader takes positions for what is not there, so that its own rules are followed here."""
        lines = text.splitlines()[: self._atoms + 1]
        frame = atoms_of_block(Block(lines, 1, f"'{self.path}'"))
        found = {name: unit for name, unit in WRITTEN.findall(frame.info["ipi_comment"])}
        cell_unit = found.pop("cell", "ase") or "ase"
        (name, unit), *_ = found.items()
        values = frame.positions if name == "positions" else frame.arrays[name]
        factor = float(unit_to_internal(self._family, unit or "ase", 1.0))
        return np.asarray(values * factor), frame.cell.array * float(unit_to_internal("length", cell_unit, 1.0))
