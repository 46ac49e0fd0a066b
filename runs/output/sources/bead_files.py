"""i-PI's extras as a series."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ....errors import SeriesError
from ..bead_series import BeadSeries
from ..compressed import plain_name
from ..records import records_that_count
from .source import Source

BEAD_NUMBER = re.compile(r"^(.*)_(\d+)$")


@dataclass
class BeadFiles(Source):
    """i-PI's extras, one file for each bead, or a single one of all beads of a force component."""

    files: tuple[Path, ...]

    def count(self) -> int:
        """Number of samples, as far as headers tell."""
        return min(int(records_that_count(file).sum()) for file in self.files)

    def samples(self) -> Iterator[dict[str, np.ndarray]]:
        """Consecutive samples, some at a time, means over the beads; `stride` and `beads` are known after the first."""
        self.unit = "au"
        series = BeadSeries(self.files)
        while samples := series.read():
            self.stride, self.beads, self.steps = series.stride, series.beads, series.steps
            yield samples


def bead_files(paths: Sequence[Path]) -> list[Source]:
    """Put files of beads together: those of one run differ in their number.

    Raises
    ------
    SeriesError
        If a bead is missing.
    """
    beads: dict[Path, list[tuple[int, Path]]] = {}
    for path in paths:
        found = BEAD_NUMBER.match(plain_name(path))
        stem, number = (found[1], int(found[2])) if found else (plain_name(path), 0)
        beads.setdefault(path.with_name(stem), []).append((number, path))
    sources: list[Source] = []
    for stem, numbered in beads.items():
        numbered.sort()
        if [number for number, _ in numbered] != list(range(len(numbered))):
            numbers = ", ".join(str(number) for number, _ in numbered)
            raise SeriesError(f"of '{stem}' there are the beads {numbers}; the files of all beads from 0 are needed")
        sources.append(BeadFiles(stem, tuple(path for _, path in numbered)))
    return sources
