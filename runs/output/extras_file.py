"""Extras that i-PI wrote into one file, whose records are read by their steps, each bead by itself."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...errors import SeriesError
from ...properties.quantities import Property, properties
from ...quantity import OPEN
from ..units import from_atomic
from .alignment import that_count
from .compressed import uncompressed
from .records import BIAS, COMPONENT, HEADER, columns_of, step_of
from .series import passed_over, series_of_extras


class _Places(NamedTuple):
    """Names of the extras, the kind of the file, and where its records are by their steps."""

    names: tuple[str, ...]
    kind: bytes | None
    steps: np.ndarray
    places: list[slice]


class ExtrasFile:
    """A file of extras, finished or growing.

    Where records go back in step the later ones count, and half a record never does.

    Parameters
    ----------
    path : Path
    atoms : int
    """

    def __init__(self, path: Path, atoms: int):
        self.path = path
        self._atoms = atoms

    @property
    def steps(self) -> np.ndarray:
        """Steps of the records that count, increasing, shape (records,), int64."""
        return self._places.steps

    def record(self, step: int) -> list[dict[str, np.ndarray]]:
        """Read a record.

        Parameters
        ----------
        step : int
            One of `steps`.

        Returns
        -------
        list of dict of str to ndarray
            For each bead in the file; what there is for molecules, members or atoms has its axis first.  Properties
            have their own names, and are in eV, Å and e; what is none has i-PI's name, as i-PI wrote it.

        Raises
        ------
        SeriesError
            If it holds something else than the header says.
        """
        place = self._places.places[int(np.searchsorted(self.steps, step))]
        with open(uncompressed(self.path), "rb") as file:
            file.seek(place.start)
            lines = file.read(place.stop - place.start).splitlines()
        try:
            rows = [np.array(line.split(), dtype=np.float64) for line in lines if line.strip()]
            if self._places.kind == COMPONENT:
                return [self._split(row) for row in rows]
            return [self._split(np.concatenate(rows))]
        except ValueError as error:
            raise SeriesError(f"'{self.path}' holds a record of step {step} that cannot be read: {error}") from None

    def _split(self, numbers: np.ndarray) -> dict[str, np.ndarray]:
        """Numbers of one bead by their names."""
        names = self._places.names
        if self._places.kind == BIAS and len(numbers) == len(names):
            return dict(zip(names, numbers, strict=True))
        by_key = {one.key: one for one in properties().values() if one.key}
        one = by_key.get(names[0])
        is_of_atoms = one is not None and one.per == "atom"
        is_known = names[0] in series_of_extras() or names[0] in passed_over()
        if len(names) == 1 and (is_of_atoms or not is_known):
            return {names[0] if one is None else one.name: self._of_atoms(one, numbers)}
        found = {}
        for name, columns in columns_of(names, len(numbers), also_passed_over=True).items():
            own = properties().get(series_of_extras().get(name, name)) or by_key.get(name)
            values = numbers[columns]
            found[name if own is None else own.name] = values if own is None else _shaped(own, values)
        return found

    def _of_atoms(self, one: Property | None, numbers: np.ndarray) -> np.ndarray:
        """What has a file of its own: numbers for each atom, or of an unknown kind."""
        if one is None or one.per != "atom":
            return numbers
        members = (-1,) if one.kind == "members" else ()
        if not len(numbers) or len(numbers) % (self._atoms * int(np.prod(one.shape))):
            raise SeriesError(f"'{self.path}' holds {len(numbers)} numbers, which are no {one.name} of its atoms")
        values = from_atomic(one.name, numbers.reshape(*members, self._atoms, *one.shape))
        return np.moveaxis(values, 1, 0) if members else values

    @cached_property
    def _places(self) -> _Places:
        nothing = _Places((), None, np.zeros(0, dtype=np.int64), [])
        try:
            path = uncompressed(self.path)
            with open(path, "rb") as file:
                if not path.stat().st_size:
                    return nothing
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
                    found = [(one["names"], one["kind"], one["step"], *one.span()) for one in HEADER.finditer(text)]
                    if not found:
                        return nothing
                    ends = [*(start for *_, start, _ in found[1:]), text.rfind(b"\n") + 1]
                    places = [slice(begin, max(begin, end)) for (*_, begin), end in zip(found, ends, strict=True)]
                    words = _words(text, places)
        except OSError as error:
            raise SeriesError(f"cannot read '{self.path}': {error.strerror}") from error
        steps = np.array([step_of(one[2], self.path) for one in found], dtype=np.int64)
        counts = that_count(steps) & (words == words.max()) & (words > 0)
        names = tuple(name.strip() for name in found[0][0].decode(errors="replace").split(","))
        return _Places(
            names, found[0][1], steps[counts], [one for one, kept in zip(places, counts, strict=True) if kept]
        )


def _words(text: mmap.mmap, places: Sequence[slice]) -> np.ndarray:
    """How many numbers there are in each record, shape (records,): half a record has fewer."""
    return np.array([len(text[place].split()) for place in places])


def _shaped(one: Property, values: np.ndarray) -> np.ndarray:
    """Numbers of a property of a frame, of each molecule, or of each member.

    Of members with values on an axis of their own, one member after the other: how many of both is written nowhere.
    """
    if one.shape == (OPEN,):
        return from_atomic(one.name, values)
    several = (-1,) if one.kind == "members" or one.per not in ("cell", "atom") else ()
    return from_atomic(one.name, values.reshape((*several, *one.shape)))
