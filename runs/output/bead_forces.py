"""Forces on all beads that a run of i-PI wrote, beside its positions: finished, going on, killed, or continued."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from ..input.run_input import RunInput
from ..units import from_atomic
from .alignment import in_common
from .positions import files_of_beads
from .trajectory_file import TrajectoryFile

FORCES = "forces"


class BeadForces:
    """Forces on all beads, sample by sample.

    Parameters
    ----------
    run : RunInput
        Of one system.

    Raises
    ------
    InputError
        If it does not write the forces on all beads as xyz or for ASE.
    """

    def __init__(self, run: RunInput):
        system = run.only_system()
        form, files = files_of_beads(system, FORCES)
        self._trajectories = tuple(TrajectoryFile(path, form, len(system.labels), "force") for path in files)

    @cached_property
    def steps(self) -> np.ndarray:
        """Steps that have a whole frame of every bead, increasing, shape (samples,), int64.

        Raises
        ------
        InputError
            If a file cannot be read.
        """
        return in_common([own.steps for own in self._trajectories])[0]

    def frame(self, step: int) -> np.ndarray:
        """Forces in eV/Å, shape (beads, atoms, 3), at one of `steps`; of each bead as if it were alone.

        Raises
        ------
        InputError
            If a frame cannot be read, or holds other atoms.
        """
        return from_atomic("forces", np.array([own.frame(step)[0] for own in self._trajectories]))
