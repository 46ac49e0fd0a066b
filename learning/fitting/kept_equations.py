"""Normal equations of linear heads on disk, so that a fit that was stopped goes on with the frame where it was."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from ...whole_files import whole_file
from ..data import Frame
from .configuration import Configuration
from .head_fit import HeadProblem
from .least_squares import NormalEquations

SECONDS = 30.0  # between two states that are written
SHARE = 0.05  # of the time, at most, that goes into writing them
ENDING = ".equations.npz"


def equations_of(problem: HeadProblem, frames: Sequence[Frame], counted: Iterable[Frame]) -> NormalEquations:
    """The equations of all frames, which go on from those that are kept; the sum is the same to the last bit.

    Parameters
    ----------
    problem : HeadProblem
    frames : sequence of Frame
    counted : iterable of Frame
        The same one by one, for a progress bar.
    """
    equations = problem.empty_equations()
    kept = KeptEquations(equations_path(problem.configuration, problem.name), problem, frames)
    done = kept.take_up(equations)
    for count, frame in enumerate(counted):
        if count >= done:
            problem.add(equations, frame)
            kept.keep(equations, count + 1)
    return equations


class KeptEquations:
    """A file with the equations of the first frames of one fit.

    Parameters
    ----------
    path : Path
    problem : HeadProblem
    frames : sequence of Frame
        With the problem they tell whose equations these are; those of anything else are left alone until they are
        written over.
    """

    def __init__(self, path: Path, problem: HeadProblem, frames: Sequence[Frame]):
        self.path = path
        self._of = problem, frames
        self._belongs_to = ""
        self._written, self._pause = time.monotonic(), SECONDS

    def take_up(self, equations: NormalEquations) -> int:
        """Fill equations with those that are kept, and tell how many frames these are of: none if they do not fit."""
        if not self.path.is_file():
            return 0
        try:
            with np.load(self.path, allow_pickle=False) as file:
                if str(file["belongs_to"]) != self.belongs_to:
                    return 0
                state = {name: file[name] for name in equations.state()}
                frames = int(file["frames"])
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):  # half a file, or none of ours
            return 0
        equations.restore(state)
        return frames

    def keep(self, equations: NormalEquations, frames: int) -> None:
        """Write the equations of the first frames, unless that was done a moment ago."""
        began = time.monotonic()
        if began - self._written < self._pause:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        state: dict[str, Any] = dict(equations.state())  # Any, since savez has keywords of its own
        with whole_file(self.path) as unfinished, open(unfinished, "wb") as file:
            np.savez(file, belongs_to=self.belongs_to, frames=frames, **state)
        self._written = time.monotonic()
        self._pause = max(SECONDS, (self._written - began) / SHARE)

    @property
    def belongs_to(self) -> str:
        """The `fingerprint` of everything that the equations depend on; most fits end before it is needed."""
        if not self._belongs_to:
            problem, frames = self._of
            own = problem.configuration
            section = own.energy if problem.is_energy else own.quantities[problem.quantity.name]
            said = [(sorted(one.labels), sorted(one.label_weights.items()), one.weight, one.charge) for one in frames]
            sections = own.density, own.lode, own.repulsion, section, problem.metadata
            release = version("beadwise")
            settings = release, problem.name, sections, problem.model.numbers, problem.model.local_field, said
            known = [problem.offsets, problem.is_fixed, problem.labelled, problem.model.repulsion.onset]
            self._belongs_to = fingerprint(settings, [*known, *(array for one in frames for array in arrays_of(one))])
        return self._belongs_to


def arrays_of(frame: Frame) -> Iterator[np.ndarray]:
    """Numbers of a frame: its structure and its labels."""
    yield from (frame.atoms.numbers, frame.atoms.positions, frame.atoms.cell.array, frame.atoms.pbc)
    yield from (frame.labels[name] for name in sorted(frame.labels))
    if frame.quantum is not None:
        yield frame.quantum


def fingerprint(settings: object, arrays: Iterable[np.ndarray]) -> str:
    """What a state belongs to: the text of settings, and the numbers of frames and labels."""
    digest = hashlib.sha256(repr(settings).encode())
    for array in arrays:
        digest.update(np.ascontiguousarray(array, dtype=np.float64).tobytes())
    return digest.hexdigest()


def equations_path(configuration: Configuration, name: str) -> Path:
    """Where the equations of the heads of one name are kept: each model has its own, though they share a report."""
    stem = Path(configuration.output.model).stem
    return configuration.folder / configuration.output.report / f"{stem}.{name}{ENDING}"


def forget_equations(configuration: Configuration, names: Iterable[str]) -> None:
    """What is done is not gone on with: the equations of these heads are deleted."""
    for name in names:
        equations_path(configuration, name).unlink(missing_ok=True)
