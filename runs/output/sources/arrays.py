"""Series in archives of ``numpy.savez``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ....errors import SeriesError
from ..compressed import uncompressed
from ..series import series_kinds
from ..time_axis import time_axis
from .source import Source

TIMES = {"time": 1.0, "times": 1.0, "step": None, "steps": None}  # in fs
CELLS = ("cell", "cells")


def arrays() -> tuple[str, ...]:
    """Names of the arrays that an archive may have."""
    return (*series_kinds(), "born_charges", "velocities")


@dataclass
class Arrays(Source):
    """``numpy.savez`` archive with series, samples along the first axis, in eV, Å, fs and e.

    ``dipole`` (samples, 3), ``polarizability`` (samples, 3, 3), the molecular ones, ``born_charges`` (samples[, beads],
    atoms, 3, 3) and ``velocities`` (samples[, beads], atoms, 3).  ``time`` or ``step`` (samples,) say when they are,
    ``cell`` (3, 3) or (samples, 3, 3) what the cell is; arrays of other names do not matter.
    """

    def samples(self) -> Iterator[dict[str, np.ndarray]]:
        """All samples at once; the file is read once."""
        yield self._all

    @cached_property
    def _all(self) -> dict[str, np.ndarray]:
        samples, beside, others = _known_arrays(self.path)
        if not samples:
            raise SeriesError(
                f"'{self.path}' holds the arrays {', '.join(others) or '(none)'}; allowed are {', '.join(arrays())}"
            )
        for name, array in samples.items():
            if array.ndim == 0 or array.dtype.kind not in "fiu":
                raise SeriesError(
                    f"{name} in '{self.path}' has the shape {array.shape} and the type {array.dtype}; real numbers "
                    "with the samples along the first axis are needed"
                )
        return self._that_count(samples, beside)

    def _that_count(self, samples: dict[str, np.ndarray], beside: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        length = len(next(iter(samples.values())))
        if any(len(array) != length for array in samples.values()):
            return samples  # which of them is wrong is said where they are used
        kept = np.ones(length, dtype=bool)
        for name, femtoseconds in TIMES.items():
            if name in beside and beside[name].shape == (length,) and length > 1:
                axis = time_axis(beside[name], self.path, name)
                kept = kept & axis.counts
                if femtoseconds:
                    self.spacing = axis.spacing * femtoseconds
                self.remarks += [axis.note] if axis.note else []
        for name in CELLS:
            if name in beside and beside[name].shape[-2:] == (3, 3) and len(beside[name]) in (3, length):
                cells = np.broadcast_to(beside[name], (length, 3, 3))[kept]
                if wrong := self.set_cells(np.asarray(cells, dtype=np.float64)):
                    raise SeriesError(wrong)
        return samples if kept.all() else {name: array[kept] for name, array in samples.items()}


def _known_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], list[str]]:
    """Series of an archive, what it says of their times and cells, and names of the others, which are not read."""
    try:
        with open(uncompressed(path), "rb") as file:
            archive = np.load(file)
            names = archive.files if isinstance(archive, np.lib.npyio.NpzFile) else None
            known = {name: archive[name] for name in names or () if name in arrays()}
            beside = {name: archive[name] for name in names or () if name in (*TIMES, *CELLS)} if known else {}
    except SeriesError:
        raise
    except Exception as error:  # zip, its compression and NumPy's headers raise whatever they stumble over
        raise SeriesError(f"cannot read '{path}' as arrays of numpy.savez: {error}") from error
    if names is None:
        raise SeriesError(f"'{path}' is a single array; an archive of numpy.savez is needed")
    numbers = {name: array for name, array in beside.items() if array.dtype.kind in "fiu" and array.ndim}
    return known, numbers, [name for name in names if name not in known]
