"""Records of extras as i-PI writes them for each bead, and what a reader should make of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from beadwise.runs.output.bead_series import BeadSeries
from beadwise.runs.units import BOHR_PER_ANGSTROM

KINDS = ("dipole", "polarizability")
NUMBERS = 12


def header(step: int, kinds: Sequence[str] = KINDS) -> str:
    """As ipi.engine.outputs writes it."""
    return f" #EXTRAS({','.join(kinds)})# Step:  {step:10d} \n"


def line(numbers: Iterable[float]) -> str:
    return " ".join(f"{number: .8e}" for number in numbers) + "\n"


def numbers_of(bead: int, step: int, count: int = NUMBERS) -> np.ndarray:
    return np.random.default_rng([bead, step]).normal(0, 10, count).round(6)


def record(bead: int, step: int, kinds: Sequence[str] = KINDS, count: int = NUMBERS) -> str:
    return header(step, kinds) + line(numbers_of(bead, step, count))


def records(bead: int, steps: Iterable[int], kinds: Sequence[str] = KINDS, count: int = NUMBERS) -> str:
    return "".join(record(bead, step, kinds, count) for step in steps)


class Files:
    """The files of a few beads."""

    def __init__(self, folder: Path, beads: int = 2):
        self.paths = [folder / f"out.extras_{bead}" for bead in range(beads)]

    def append(self, *texts: str) -> None:
        for path, text in zip(self.paths, texts, strict=True):
            with open(path, "a") as file:
                file.write(text)

    def append_steps(self, steps: Iterable[int], **options) -> None:
        steps = list(steps)
        self.append(*(records(bead, steps, **options) for bead in range(len(self.paths))))

    def series(self, last_step: int | None = None) -> BeadSeries:
        return BeadSeries(self.paths, last_step)


def read_all(series: BeadSeries) -> dict[str, np.ndarray]:
    pieces = []
    while piece := series.read():
        pieces.append(piece)
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]} if pieces else {}


def mean_of(steps: Iterable[int], beads: int = 2, count: int = NUMBERS) -> np.ndarray:
    """What was written, in atomic units."""
    return np.mean([[numbers_of(bead, step, count) for step in steps] for bead in range(beads)], axis=0)


def assert_series(samples: dict[str, np.ndarray], steps: Iterable[int], beads: int = 2) -> None:
    expected = mean_of(steps, beads)
    np.testing.assert_allclose(samples["dipole"], expected[:, :3] / BOHR_PER_ANGSTROM, rtol=1e-13)
    polarizability = expected[:, 3:].reshape(-1, 3, 3) / BOHR_PER_ANGSTROM**3
    np.testing.assert_allclose(samples["polarizability"], polarizability, rtol=1e-13)


def component_records(steps: Iterable[int], beads: int, kinds: Sequence[str] = KINDS, count: int = NUMBERS) -> str:
    """All beads of a force component in one file, as ipi.engine.outputs writes them."""
    mark = f" #EXTRAS_COMPONENT_RAW({','.join(kinds)})# Step:  {{:10d}}  Bead:      0  \n"
    rows = {step: "".join(line(numbers_of(bead, step, count)) for bead in range(beads)) for step in steps}
    return "".join(mark.format(step) + rows[step] for step in rows)


def read_in_two(files: Files, texts: Sequence[str], *cuts: int) -> dict[str, np.ndarray]:
    """Read when the files hold so many bytes of the texts, and again when they are whole."""
    cuts = cuts * len(texts) if len(cuts) == 1 else cuts
    series = files.series()
    files.append(*(text[:cut] for text, cut in zip(texts, cuts, strict=True)))
    first = read_all(series)
    files.append(*(text[cut:] for text, cut in zip(texts, cuts, strict=True)))
    second = read_all(series)
    pieces = [piece for piece in (first, second) if piece]
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
