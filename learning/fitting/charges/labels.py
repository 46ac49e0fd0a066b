"""Labels without what charges give: what is left is short-ranged, and is fitted as without charges."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from ....model import Batch, StructureError
from ....model.charges.evaluator import WithCharges
from ...data import DataError, Frame

OF_ENERGY = ("energy", "forces", "stress")
DIPOLE, BORN_CHARGES = "dipole", "born_effective_charges"


def without_charges(frames: Iterable[Frame], evaluator: WithCharges, with_dipoles: bool) -> list[Frame]:
    """The frames with what charges give taken from their energies, forces, stresses, and, if asked for, dipoles.

    Parameters
    ----------
    frames : iterable of Frame
        Not changed.
    evaluator : WithCharges
    with_dipoles : bool
        Whether local vectors are fitted to what is left of dipoles and Born charges.

    Raises
    ------
    DataError
        If charges of a frame cannot be.
    """
    found = []
    for frame in frames:
        try:
            labels = {**frame.labels, **_of_energy(frame, evaluator)}
            labels |= _of_dipole(frame, evaluator) if with_dipoles else {}
        except StructureError as error:
            raise DataError(f"charges of {frame.name}: {error}") from error
        # charges carry all of the total charge, so that the vectors are those of something neutral
        found.append(replace(frame, labels=labels, charge=0.0 if with_dipoles else frame.charge))
    return found


def _of_energy(frame: Frame, evaluator: WithCharges) -> dict[str, np.ndarray]:
    own = [name for name in OF_ENERGY if name in frame.labels]
    if not own or not evaluator.form.has_energy:
        return {}
    given = evaluator.electrostatic(Batch.from_ase(frame.atoms))
    taken = {"energy": given.energy[0], "forces": given.forces[0]}
    if "stress" in own:
        taken["stress"] = -given.virial[0] / frame.atoms.get_volume()
    return {name: frame.labels[name] - taken[name] for name in own}


def _of_dipole(frame: Frame, evaluator: WithCharges) -> dict[str, np.ndarray]:
    own = [name for name in (DIPOLE, BORN_CHARGES) if name in frame.labels]
    if not own:
        return {}
    given = evaluator.evaluate(Batch.from_ase(frame.atoms), ("dipole", "born_charges"))
    taken = {DIPOLE: given.dipole[0], BORN_CHARGES: given.born_charges[0]}
    return {name: frame.labels[name] - taken[name] for name in own}
