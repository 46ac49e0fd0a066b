"""What a run of centroids holds: where they are, the mean force of the beads on them, and the classical force there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...runs.input.elements import InputError
from ...runs.input.run_input import RunInput, System
from ...runs.ipi_utilities import unit_to_internal
from ...runs.output.alignment import in_common
from ...runs.output.trajectory_file import ENDINGS, TrajectoryFile
from ...runs.units import lengths_from_atomic
from ..mass.masses import isotopes_of_masses
from .inputs import CENTROID, CLASSICAL_FORCE, EQUILIBRATION, FORCE, MEAN_FORCE

FEWEST = 16  # frames, of which blocks are made for the error
PART = 10  # of the frames, the first of so many is left out, too


@dataclass(frozen=True)
class CentroidSamples:
    """Frames of a run.

    Parameters
    ----------
    numbers : ndarray of int32, shape (atoms,)
        Atomic numbers.
    positions : ndarray of float64, shape (frames, atoms, 3)
        Of the centroids, in Å.
    cells : ndarray of float64, shape (frames, 3, 3)
        Lattice vectors in Å, one per row.
    forces : ndarray of float64, shape (frames, atoms, 3)
        Mean over the beads, in eV/Å.
    classical : ndarray of float64, shape (frames, atoms, 3)
        Force of the potential at the centroid, in eV/Å.
    temperature : float
        In K.
    beads : int
    interval : float
        Time between frames in fs.
    isotopes : tuple of str
        Of which atoms are, sorted; see `isotopes_of`.
    """

    numbers: np.ndarray
    positions: np.ndarray
    cells: np.ndarray
    forces: np.ndarray
    classical: np.ndarray
    temperature: float
    beads: int
    interval: float
    isotopes: tuple[str, ...]

    @property
    def differences(self) -> np.ndarray:
        """What quantum nuclei add to the force on the centroids, in eV/Å, shape (frames, atoms, 3).

        Its mean at given centroids is the correction of the force: M. Parrinello's and A. Rahman's ring polymer with
        J. Cao's and G. A. Voth's centroid force, J. Chem. Phys. 100, 5106 (1994).
        """
        return self.forces - self.classical


def read_samples(run: RunInput) -> CentroidSamples:
    """Read the frames of a run that `prepare_input` made, without those of its equilibration.

    Parameters
    ----------
    run : RunInput
        Its input or RESTART; it may be going on.

    Raises
    ------
    InputError
        If it does not write what is needed, or has too few frames.
    """
    system = run.only_system()
    if system.beads < 2:
        raise InputError(f"'{run.path}' has one bead; the mean force on centroids needs those of a path integral")
    atoms = len(system.labels)
    files = [_file(run, system, *one, atoms) for one in ((CENTROID, "length"), (MEAN_FORCE, "force"))]
    files.append(_file(run, system, CLASSICAL_FORCE, "force", atoms))
    steps = in_common([one.steps for one in files])[0].tolist()
    first = 1000 * EQUILIBRATION / system.timestep_for("frames are told apart by time")
    steps = [step for step in steps[-(-len(steps) // PART) :] if step >= first]
    if len(steps) < FEWEST:
        raise InputError(
            f"'{run.path}' has {len(steps)} frames after the first tenth and {EQUILIBRATION:g} ps; at least {FEWEST} "
            "are needed"
        )
    centroids, forces, classical = ([one.frame(step) for step in steps] for one in files)
    for one, frames in zip(files, (centroids, forces, classical), strict=True):
        for step, (values, _) in zip(steps, frames, strict=True):
            if not np.isfinite(values).all():
                raise InputError(f"'{one.path}' has a number that is not finite at step {step}; the run went wrong")
    unit = float(unit_to_internal("force", FORCE, 1.0))
    return CentroidSamples(
        numbers=run.numbers,
        positions=lengths_from_atomic(np.array([values for values, _ in centroids])),
        cells=lengths_from_atomic(np.array([cell for _, cell in centroids])),
        forces=np.array([values for values, _ in forces]) / unit,
        classical=np.array([values for values, _ in classical]) / unit,
        temperature=system.temperature,
        beads=system.beads,
        interval=(steps[1] - steps[0]) * system.timestep_for("frames are told apart by time"),
        isotopes=isotopes_of(system),
    )


def isotopes_of(system: System) -> tuple[str, ...]:
    """Names of the isotopes of a system, sorted, by its masses: the quantum nuclei of a correction are theirs.

    The labels, where a mass is that of no isotope.
    """
    labels, masses = system.atoms.labels, system.atoms.masses
    named = isotopes_of_masses(labels, masses) if len(labels) == len(masses) else ()
    return tuple(sorted(set(named or labels)))


def _file(run: RunInput, system: System, keyword: str, family: str, atoms: int) -> TrajectoryFile:
    """Where a run writes one of the three."""
    for output in system.trajectory_outputs:
        if output.keyword == keyword and output.form in ENDINGS:
            path: Path = run.folder / f"{output.written.name}{ENDINGS[output.form]}"
            return TrajectoryFile(path, output.form, atoms, family)
    raise InputError(
        f"'{run.path}' does not write {keyword} as xyz; `beadwise pigs --prepare INPUT` writes an input that does"
    )
