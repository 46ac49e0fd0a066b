"""Series of dipoles and polarizabilities in files: i-PI's extras, extended xyz, NumPy arrays."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import ase.io
import numpy as np
from ase import Atoms

from ..spectra import SeriesError
from .bead_series import BeadSeries

BEAD_NUMBER = re.compile(r"^(.*)_(\d+)$")
FRAMES_AT_ONCE = 500


class Source(Protocol):
    """The series of one trajectory."""

    path: Path

    def samples(self) -> Iterator[dict[str, np.ndarray]]:
        """Consecutive samples, some at a time: means over beads."""
        ...


@dataclass
class BeadFiles:
    """i-PI's extras, one file for each bead."""

    path: Path
    files: tuple[Path, ...]

    def samples(self) -> Iterator[dict[str, np.ndarray]]:
        """Consecutive samples; `stride` is known after the first."""
        series = BeadSeries(self.files)
        while samples := series.read():
            self.stride = series.stride
            yield samples

    stride: int = 0


@dataclass
class Frames:
    """Extended xyz with ``dipole`` (e·Å) and ``polarizability`` (Å³) of every frame."""

    path: Path

    def samples(self) -> Iterator[dict[str, np.ndarray]]:
        """Consecutive samples."""
        pending: list[dict[str, np.ndarray]] = []
        for frame in ase.io.iread(self.path, ":"):
            pending.append(_labels_of(frame, self.path))
            if len(pending) == FRAMES_AT_ONCE:
                yield _stacked(pending, self.path)
                pending = []
        if pending:
            yield _stacked(pending, self.path)


@dataclass
class Arrays:
    """``numpy.savez`` archive with arrays ``dipole`` (samples, 3), ``polarizability`` (samples, 3, 3) …, eV, Å, e."""

    path: Path

    def samples(self) -> Iterator[dict[str, np.ndarray]]:
        """All samples at once."""
        try:
            with np.load(self.path) as archive:
                yield {name: archive[name] for name in archive.files}
        except (OSError, ValueError) as error:
            raise SeriesError(f"cannot read '{self.path}' as arrays of numpy.savez: {error}") from error


def _labels_of(frame: Atoms, path: Path) -> dict[str, np.ndarray]:
    results = {} if frame.calc is None else frame.calc.results
    labels = {
        name: np.asarray(results.get(name, frame.info.get(name)), dtype=np.float64)
        for name in ("dipole", "polarizability")
        if name in results or name in frame.info
    }
    if "polarizability" in labels:
        labels["polarizability"] = labels["polarizability"].reshape(3, 3)
    if not labels:
        raise SeriesError(f"a frame of '{path}' holds neither dipole nor polarizability")
    return labels


def _stacked(labels: Sequence[dict[str, np.ndarray]], path: Path) -> dict[str, np.ndarray]:
    if any(set(one) != set(labels[0]) for one in labels):
        raise SeriesError(f"the frames of '{path}' do not all hold the same of dipole and polarizability")
    return {name: np.stack([one[name] for one in labels]) for name in labels[0]}


def find_sources(paths: Sequence[Path]) -> list[BeadFiles | Frames | Arrays]:
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
    sources: list[BeadFiles | Frames | Arrays] = []
    for path in paths:
        if not path.is_file():
            raise SeriesError(f"'{path}' does not exist")
        if path.suffix == ".npz":
            sources.append(Arrays(path))
        elif path.suffix in (".xyz", ".extxyz"):
            sources.append(Frames(path))
        elif _holds_extras(path):
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


def _holds_extras(path: Path) -> bool:
    with open(path, "rb") as file:
        return b"#EXTRAS" in file.read(256)
