"""Series of the labels of frames in extended xyz."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from ....errors import SeriesError
from ....properties.quantities import quantities
from ....quantity import Quantity
from ..extended_xyz import complete_frames, survey
from ..time_axis import time_axis
from .source import Source

FRAMES_AT_ONCE = 500


def labels() -> dict[str, Quantity]:
    """Quantities of the cell that frames of extended xyz may have, by their label."""
    return {own.label: own for own in quantities().values() if own.per == "cell" and own.name != "energy"}


@dataclass
class Frames(Source):
    """Extended xyz with ``dipole`` (e·Å) and ``polarizability`` (Å³) of every frame.

    Steps and times in the comments, and the cells, are looked at before the first sample.
    """

    def count(self) -> int:
        """Number of frames that count."""
        return int(self._that_count.sum())

    def samples(self) -> Iterator[dict[str, np.ndarray]]:
        """Consecutive samples, some at a time; a last frame that is not yet whole is left out."""
        frames = complete_frames(self.path, self._that_count)
        species: list[int] | None = None
        while found := list(islice(frames, FRAMES_AT_ONCE)):
            species = _same_species(found, species, self.path)
            yield _stacked([_labels_of(frame, self.path, self.remarks) for frame in found], self.path)

    @cached_property
    def _that_count(self) -> np.ndarray:
        """Which frames count, by what their comments say of steps and times."""
        seen = survey(self.path)
        counts = np.ones(seen.frames, dtype=bool)
        for name, times in seen.times.items():
            axis = time_axis(times, self.path, name)
            if not axis.counts.all():
                self.remarks.append(axis.note)
            if name == "time":
                self.spacing = axis.spacing
            counts &= axis.counts
        if seen.cells is not None and (wrong := self.set_cells(seen.cells[counts])):
            raise SeriesError(wrong)
        return counts


def _same_species(frames: Sequence[Atoms], known: list[int] | None, path: Path) -> list[int]:
    """Atomic numbers of the frames, in ascending order; those before had `known`."""
    for frame in frames:
        own = sorted(frame.numbers.tolist())
        if known is not None and own != known:
            raise SeriesError(
                f"a frame of '{path}' is of {frame.symbols.formula.format('hill')}, others are not; the frames of one "
                "run are needed"
            )
        known = own
    return known or []


def _labels_of(frame: Atoms, path: Path, remarks: list[str]) -> dict[str, np.ndarray]:
    results = {} if frame.calc is None else frame.calc.results
    known = labels()
    given = {own.name: results.get(label, frame.info.get(label)) for label, own in known.items()}
    found = {name: label for name, label in given.items() if label is not None}
    for own in known.values():
        if own.name not in found and (name := _name_of_others(own, frame.info, path)):
            found[own.name] = frame.info[name]
            remarks.append(f"{own.name} from {name}")
    if not found:
        raise SeriesError(f"a frame of '{path}' holds neither {' nor '.join(known)}")
    return {name: _label(name, label, path) for name, label in found.items()}


def _name_of_others(own: Quantity, info: Mapping[str, Any], path: Path) -> str:
    """The other name under which a quantity stands in a frame, as ``REF_dipole`` and ``mu``; empty if there is none.

    Raises
    ------
    SeriesError
        If there are several.
    """
    pattern = re.compile(rf"(?:\w+(?:_|::))?(?:{'|'.join((own.label, *own.aliases))})", re.IGNORECASE)
    names = [key for key, value in info.items() if pattern.fullmatch(key) and np.size(value) == own.form.size]
    if len(names) > 1:
        raise SeriesError(f"a frame of '{path}' holds {' and '.join(names)}; one of them must be called {own.label}")
    return names[0] if names else ""


def _label(name: str, label: object, path: Path) -> np.ndarray:
    shape = quantities()[name].form.shape
    try:
        return np.asarray(label, dtype=np.float64).reshape(shape)
    except (TypeError, ValueError):
        raise SeriesError(
            f"{name} in a frame of '{path}' is {label}; {int(np.prod(shape))} numbers are needed"
        ) from None


def _stacked(found: Sequence[dict[str, np.ndarray]], path: Path) -> dict[str, np.ndarray]:
    if any(set(one) != set(found[0]) for one in found):
        raise SeriesError(f"the frames of '{path}' do not all hold the same of {' and '.join(labels())}")
    return {name: np.stack([one[name] for one in found]) for name in found[0]}
