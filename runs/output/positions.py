"""Positions of all beads that a run of i-PI wrote, sample by sample: finished, going on, killed, or continued.

A killed i-PI may leave half a frame, and the RESTART may lie steps before the last one; the run that continues appends
to the files. Where frames go back in step the later ones count, half a frame never does, and a sample is what all
beads have; see :mod:`beadwise.runs.output.alignment`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ..input.dynamics import Ensemble
from ..input.elements import InputError
from ..input.run_input import RunInput, System
from ..units import lengths_from_atomic
from .alignment import in_common
from .trajectory_file import ENDINGS, TrajectoryFile

LENGTH = "length"  # i-PI's dimension of positions
OF_BEADS, OF_CENTROID = "positions", "x_centroid"  # of a single bead they are the same


@dataclass(frozen=True)
class BeadTrajectory:
    """Where the positions of all beads of a run are, and what the run was told.

    Parameters
    ----------
    run : RunInput
    files : tuple of Path
        One for each bead.
    form : str
        ``xyz``, or ``ase``, which has more digits.
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
    form: str
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
    def _trajectories(self) -> tuple[TrajectoryFile, ...]:
        return tuple(TrajectoryFile(path, self.form, len(self.numbers), LENGTH) for path in self.files)

    @cached_property
    def steps(self) -> list[int]:
        """Steps that have a whole frame of every bead, increasing.

        Raises
        ------
        InputError
            If a file cannot be read.
        """
        return in_common([own.steps for own in self._trajectories])[0].tolist()

    def frame(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Positions in Å, shape (beads, atoms, 3), and lattice vectors in Å, one per row, at one of `steps`.

        Raises
        ------
        InputError
            If a frame cannot be read, or holds other atoms.
        """
        frames = [own.frame(step) for own in self._trajectories]
        return lengths_from_atomic(np.array([positions for positions, _ in frames])), lengths_from_atomic(frames[0][1])


def find_bead_trajectory(run: RunInput) -> BeadTrajectory:
    """Tell where a run writes the positions of all beads.

    Parameters
    ----------
    run : RunInput

    Raises
    ------
    InputError
        If it has several systems, does not write the positions of all beads as xyz or for ASE, or does not
        sample usual path integrals at one temperature.
    StructureError
        If the file with its atoms cannot be read.
    """
    system = run.only_system()
    form, files = _files(system)
    return BeadTrajectory(
        run=run,
        files=files,
        form=form,
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
    present = set(run.steps)
    for step in run.steps if steps is None else steps:
        if step not in present:
            raise InputError(f"'{run.files[0]}' has no sample of step {step}")
        yield step, *run.frame(step)


def _files(system: System) -> tuple[str, tuple[Path, ...]]:
    return files_of_beads(system, OF_BEADS, OF_CENTROID)


def files_of_beads(system: System, of_beads: str, of_centroid: str = "") -> tuple[str, tuple[Path, ...]]:
    """Format and files of a trajectory of all beads; of several outputs those that are written most often.

    Parameters
    ----------
    system : System
    of_beads, of_centroid : str
        What i-PI calls it: of all beads, and of the centroid, which is the same for a single bead.

    Raises
    ------
    InputError
        If there is none, in one line that says what to add.
    """
    found = _outputs_of_beads(system, of_beads, of_centroid)
    if not found:
        raise InputError(
            f"'{system.run.path}' does not write the {of_beads} of all its beads as xyz or for ASE; add to its "
            f"<output> <trajectory filename='{of_beads[:3]}' stride='20' format='ase'> {of_beads}{{ase}} "
            "</trajectory>, without the attribute bead"
        )
    _, form, files = min(found)
    return form, files


def writes_of_beads(system: System, of_beads: str) -> bool:
    """Whether `files_of_beads` finds what i-PI calls so."""
    return bool(_outputs_of_beads(system, of_beads, ""))


def _outputs_of_beads(system: System, of_beads: str, of_centroid: str) -> list[tuple[int, str, tuple[Path, ...]]]:
    """Stride, format and files of each trajectory of all beads."""
    found: list[tuple[int, str, tuple[Path, ...]]] = []
    for output in system.trajectory_outputs:
        written = output.written
        if output.form not in ENDINGS:
            continue
        names: Sequence[str] = ()
        if output.keyword == of_beads and written.holds_all(system.beads):
            names = written.files(system.beads)
        if output.keyword == of_centroid and system.beads == 1:
            names = (written.name,)
        if names:
            paths = tuple(system.run.folder / f"{name}{ENDINGS[output.form]}" for name in names)
            found.append((written.stride, output.form, paths))
    return found
