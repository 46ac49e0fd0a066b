"""Series of dipoles and polarizabilities in files: i-PI's extras, extended xyz, NumPy arrays."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from ase import Atoms

from ...errors import SeriesError
from ...properties.quantities import quantities
from ...quantity import Quantity
from .bead_series import BeadSeries
from .extended_xyz import complete_frames, count_of_frames
from .records import records_that_count
from .series import series_kinds

BEAD_NUMBER = re.compile(r"^(.*)_(\d+)$")
FRAMES_AT_ONCE = 500


def labels() -> dict[str, Quantity]:
    """Quantities of the cell that frames of extended xyz may have, by their label."""
    return {own.label: own for own in quantities().values() if own.per == "cell" and own.name != "energy"}


def arrays() -> tuple[str, ...]:
    """Names of the arrays that an archive may have."""
    return (*series_kinds(), "born_charges", "velocities")


@dataclass
class BeadFiles:
    """i-PI's extras, one file for each bead, or a single one of all beads of a force component."""

    path: Path
    files: tuple[Path, ...]
    stride: int = 0
    beads: int = 0

    def count(self) -> int:
        """Number of samples, as far as headers tell."""
        return min(int(records_that_count(file).sum()) for file in self.files)

    def samples(self) -> Iterator[dict[str, np.ndarray]]:
        """Consecutive samples, some at a time, means over the beads; `stride` and `beads` are known after the first."""
        series = BeadSeries(self.files)
        while samples := series.read():
            self.stride, self.beads = series.stride, series.beads
            yield samples


@dataclass
class Frames:
    """Extended xyz with ``dipole`` (e·Å) and ``polarizability`` (Å³) of every frame."""

    path: Path

    def count(self) -> int:
        """Number of frames."""
        return count_of_frames(self.path)

    def samples(self) -> Iterator[dict[str, np.ndarray]]:
        """Consecutive samples, some at a time; a last frame that is not yet whole is left out."""
        frames = complete_frames(self.path)
        while found := [_labels_of(frame, self.path) for frame in islice(frames, FRAMES_AT_ONCE)]:
            yield _stacked(found, self.path)


@dataclass
class Arrays:
    """``numpy.savez`` archive with series, samples along the first axis, in eV, Å, fs and e.

    ``dipole`` (samples, 3), ``polarizability`` (samples, 3, 3), the molecular ones, ``born_charges`` (samples[, beads],
    atoms, 3, 3) and ``velocities`` (samples[, beads], atoms, 3); arrays of other names do not matter.
    """

    path: Path

    def count(self) -> int:
        """Number of samples; of series of different lengths that of the shortest."""
        return min((len(array) for array in next(self.samples()).values()), default=0)

    def samples(self) -> Iterator[dict[str, np.ndarray]]:
        """All samples at once."""
        samples, others = _known_arrays(self.path)
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
        yield samples


def _known_arrays(path: Path) -> tuple[dict[str, np.ndarray], list[str]]:
    """Arrays of an archive that have the name of a series, and names of the others, which are not read."""
    try:
        with open(path, "rb") as file:
            archive = np.load(file)
            names = archive.files if isinstance(archive, np.lib.npyio.NpzFile) else None
            known = {name: archive[name] for name in names or () if name in arrays()}
    except Exception as error:  # zip, its compression and NumPy's headers raise whatever they stumble over
        raise SeriesError(f"cannot read '{path}' as arrays of numpy.savez: {error}") from error
    if names is None:
        raise SeriesError(f"'{path}' is a single array; an archive of numpy.savez is needed")
    return known, [name for name in names if name not in known]


Source = BeadFiles | Frames | Arrays


def _labels_of(frame: Atoms, path: Path) -> dict[str, np.ndarray]:
    results = {} if frame.calc is None else frame.calc.results
    known = labels()
    given = {own.name: results.get(label, frame.info.get(label)) for label, own in known.items()}
    found = {name: label for name, label in given.items() if label is not None}
    if not found:
        raise SeriesError(f"a frame of '{path}' holds neither {' nor '.join(known)}")
    return {name: _label(name, label, path) for name, label in found.items()}


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


def find_sources(paths: Sequence[Path]) -> list[Source]:
    """Sort files into trajectories: those of the beads of one run, whose names differ in their number, belong together.

    Parameters
    ----------
    paths : sequence of Path

    Raises
    ------
    SeriesError
        If a file is missing, or is nothing that series are read from.
    """
    beads: dict[Path, list[tuple[int, Path]]] = {}
    sources: list[Source] = []
    for path in paths:
        if not os.path.isfile(path):
            raise SeriesError(f"'{path}' does not exist")
        if path.suffix == ".npz":
            sources.append(Arrays(path))
        elif path.suffix in (".xyz", ".extxyz"):
            sources.append(Frames(path))
        elif b"#EXTRAS_COMPONENT_RAW" in (start := _start_of(path)):
            sources.append(BeadFiles(path, (path,)))
        elif b"#EXTRAS" in start:
            found = BEAD_NUMBER.match(path.name)
            stem, number = (found[1], int(found[2])) if found else (path.name, 0)
            beads.setdefault(path.with_name(stem), []).append((number, path))
        else:
            raise SeriesError(
                f"'{path}' holds no series; allowed are i-PI's extras, extended xyz (.xyz, .extxyz) and arrays (.npz)"
            )
    for stem, numbered in beads.items():
        numbered.sort()
        if [number for number, _ in numbered] != list(range(len(numbered))):
            numbers = ", ".join(str(number) for number, _ in numbered)
            raise SeriesError(f"of '{stem}' there are the beads {numbers}; the files of all beads from 0 are needed")
        sources.append(BeadFiles(stem, tuple(path for _, path in numbered)))
    return sources


def _start_of(path: Path) -> bytes:
    with open(path, "rb") as file:
        return file.read(256)
