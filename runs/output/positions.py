"""Positions of all beads that a run of i-PI wrote, sample by sample: finished, going on, killed, or continued.

A killed i-PI may leave half a frame, and the RESTART may lie steps before the last one; the run that continues appends
to the files. Where frames go back in step the later ones count, half a frame never does, and a sample is what all
beads have; see :mod:`beadwise.runs.output.alignment`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from ipi.utils.io import read_file

from ...reading import reason
from ..input.dynamics import Ensemble
from ..input.elements import InputError
from ..input.run_input import RunInput, System
from ..units import lengths_from_atomic
from .alignment import in_common
from .frames import FramePlaces, places_of_frames

OF_BEADS, OF_CENTROID = "positions", "x_centroid"  # of a single bead they are the same


@dataclass(frozen=True)
class BeadTrajectory:
    """Where the positions of all beads of a run are, and what the run was told.

    Parameters
    ----------
    run : RunInput
    files : tuple of Path
        i-PI's xyz, one for each bead.
    numbers : ndarray of int32, shape (atoms,)
        Atomic numbers.
    ensemble : Ensemble
    timestep : float or None
        In fs; None if the run is no dynamics.
    is_biased : bool
        Whether a bias acts, so that samples have weights.
    """

    run: RunInput
    files: tuple[Path, ...]
    numbers: np.ndarray
    ensemble: Ensemble
    timestep: float | None
    is_biased: bool

    @property
    def source(self) -> Path:
        """i-PI input or RESTART."""
        return self.run.path

    @property
    def temperature(self) -> float:
        """In K."""
        return self.ensemble.temperature

    @property
    def beads(self) -> int:
        """Number of beads."""
        return len(self.files)

    @cached_property
    def frames(self) -> dict[int, tuple[slice, ...]]:
        """Where in the files the frame of each bead is, by the step of the sample, increasing.

        Raises
        ------
        InputError
            If a file cannot be read.
        """
        by_bead = [_places_in(path, len(self.numbers)) for path in self.files]
        steps, places = in_common([own.steps for own in by_bead])
        slices = [[own.places[n] for n in found] for own, found in zip(by_bead, places, strict=True)]
        return dict(zip(steps.tolist(), zip(*slices, strict=True), strict=True))

    @property
    def steps(self) -> list[int]:
        """Steps that have a whole frame of every bead, increasing."""
        return list(self.frames)


def find_bead_trajectory(run: RunInput) -> BeadTrajectory:
    """Tell where a run writes the positions of all beads.

    Parameters
    ----------
    run : RunInput

    Raises
    ------
    InputError
        If it has several systems, does not write the positions of all beads as xyz, or does not
        sample usual path integrals at one temperature.
    StructureError
        If the file with its atoms cannot be read.
    """
    system = run.only_system()
    return BeadTrajectory(
        run=run,
        files=_files(system),
        numbers=run.numbers,
        ensemble=system.ensemble,
        timestep=system.timestep,
        is_biased=bool(system.biases),
    )


def read_bead_trajectory(
    run: BeadTrajectory, steps: Sequence[int] | None = None
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Samples of a run, one after the other.

    Parameters
    ----------
    run : BeadTrajectory
    steps : sequence of int, optional
        Which samples, out of `BeadTrajectory.steps`; by default all.

    Returns
    -------
    iterator of (step, positions, cell)
        The step; positions in Å, ndarray of float64, shape (beads, atoms, 3), as i-PI wrote them; lattice vectors in
        Å, one per row, ndarray of float64, shape (3, 3).

    Raises
    ------
    InputError
        If a file cannot be read, lacks a step, or holds a frame of other atoms.
    """
    with ExitStack() as stack:
        files = [stack.enter_context(_opened(path)) for path in run.files]
        for step in run.steps if steps is None else steps:
            if step not in run.frames:
                raise InputError(f"'{run.files[0]}' has no sample of step {step}")
            places = run.frames[step]
            frames = [_read_frame(file, place, run) for file, place in zip(files, places, strict=True)]
            yield step, np.array([positions for positions, _ in frames]), frames[0][1]


def _files(system: System) -> tuple[Path, ...]:
    """The xyz files of the positions of all beads; of several outputs those that are written most often."""
    beads, run = system.beads, system.run
    found: list[tuple[int, tuple[Path, ...]]] = []
    for output in system.trajectory_outputs:
        written = output.written
        if output.form != "xyz":
            continue
        if output.keyword == OF_BEADS and written.holds_all(beads):
            found.append((written.stride, tuple(run.folder / f"{name}.xyz" for name in written.files(beads))))
        if output.keyword == OF_CENTROID and beads == 1:
            found.append((written.stride, (run.folder / f"{written.name}.xyz",)))
    if not found:
        raise InputError(
            f"'{run.path}' does not write the positions of all its beads as xyz; add to its <output> "
            "<trajectory filename='pos' stride='20' format='xyz' cell_units='angstrom'> positions{angstrom} "
            "</trajectory>, without the attribute bead"
        )
    return min(found, key=lambda one: one[0])[1]


def _opened(path: Path) -> BinaryIO:
    """The file, open for reading."""
    try:
        return open(path, "rb")
    except OSError as error:
        raise InputError(f"cannot read '{path}': {error.strerror}") from error


def _places_in(path: Path, atoms: int) -> FramePlaces:
    try:
        return places_of_frames(path, atoms)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read '{path}': {reason(error)}") from error


def _read_frame(file: BinaryIO, place: slice, run: BeadTrajectory) -> tuple[np.ndarray, np.ndarray]:
    """Positions and lattice vectors of one frame in Å, by i-PI's own reader, which knows its units."""
    file.seek(place.start)
    text = file.read(place.stop - place.start).decode(errors="replace")
    atoms = len(run.numbers)
    try:
        frame = read_file("xyz", StringIO(f"{atoms}\n{text}"))
    except (ValueError, TypeError, IndexError, KeyError, EOFError, StopIteration) as error:
        raise InputError(f"'{file.name}' holds a frame that cannot be read: {error}") from error
    positions = np.array(frame["atoms"].q, dtype=np.float64).reshape(atoms, 3)
    return lengths_from_atomic(positions), lengths_from_atomic(np.array(frame["cell"].h, dtype=np.float64)).T
