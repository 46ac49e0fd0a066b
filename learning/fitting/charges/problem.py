"""Charges and dipoles are linear in the head: rows of frames, in the space of atoms, for any hardness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ....model import Batch, Model, StructureError
from ....model.charges.evaluator import WithCharges
from ....model.charges.kinds import Charges, EquilibratedCharges
from ....model.charges.record import CHARGES, EQUILIBRATION, ChargeForm
from ....model.outputs import empty_head
from ....pyx.tensor_head import DensityShape, features_of_parts
from ...data import Frame

CHARGE_LABEL, DIPOLE_LABEL = "partial_charges", "dipole"


@dataclass(frozen=True)
class AtomFeatures:
    """What the head reads of the atoms of all frames.

    Parameters
    ----------
    rows : ndarray of float64, shape (atoms, features)
        Each feature times the root of its expected variance.
    ends : ndarray of int, shape (frames,)
        Behind the last atom of each frame.
    """

    rows: np.ndarray
    ends: np.ndarray

    def of(self, frame: int) -> slice:
        """The atoms of a frame."""
        return slice(int(self.ends[frame - 1]) if frame else 0, int(self.ends[frame]))

    @classmethod
    def read(cls, model: Model, shape: DensityShape, frames: Sequence[Frame], prior: np.ndarray) -> AtomFeatures:
        """Those of frames, whose prior variances are finite."""
        found = []
        for frame in frames:
            batch = Batch.from_ase(frame.atoms)
            species, atoms = model.species_indices(batch.numbers), batch.atoms
            density = model.density(batch)[0, :, : shape.harmonics]
            found.append(features_of_parts(0, shape, density, species, np.arange(atoms), atoms)[:, 0] * np.sqrt(prior))
        return cls(np.concatenate(found), np.cumsum([len(own) for own in found]))


@dataclass(frozen=True)
class Rows:
    """What the labels of one frame say of the head: ``matrix @ head = targets``.

    Parameters
    ----------
    matrix : ndarray of float64, shape (rows, atoms)
    targets : ndarray of float64, shape (rows,)
    """

    matrix: np.ndarray
    targets: np.ndarray


class Labelled:
    """A frame with labels of charges or of a dipole, and what of it depends neither on the head nor on the hardness.

    Parameters
    ----------
    evaluator : WithCharges
        Whose head says nothing; see `without_head`.
    frame : Frame
    with_dipole : bool
        Whether its dipole counts.

    Raises
    ------
    StructureError
        If charges are not defined, or a dipole counts that depends on images.
    """

    def __init__(self, evaluator: WithCharges, frame: Frame, with_dipole: bool):
        self.frame, self.batch = frame, evaluator.surrounded(Batch.from_ase(frame.atoms))
        is_equilibrated = evaluator.form.kind == EQUILIBRATION
        self.coulomb = evaluator.sums(self.batch).matrix() if is_equilibrated else None
        if with_dipole and DIPOLE_LABEL in frame.labels:
            evaluator.refuse_images(self.batch)

    def rows(self, evaluator: WithCharges, dipole_weight: float) -> Rows:
        """What its labels say of the head.

        Raises
        ------
        StructureError
            Naming the frame, if charges have no equilibrium, or do not add up to its total charge.
        """
        frame, atoms = self.frame, self.batch.atoms
        try:
            charges = evaluator.charges_of_head(self.batch, np.zeros((1, atoms)), self.coulomb)
        except StructureError as error:
            raise StructureError(f"{frame.name}: {error}") from error
        matrix, targets = [np.zeros((0, atoms))], [np.zeros(0)]
        count = np.sqrt(frame.weight)
        if CHARGE_LABEL in frame.labels:
            known = np.isfinite(frame.labels[CHARGE_LABEL])
            matrix.append(count * by_head(charges)[known])
            targets.append(count * (frame.labels[CHARGE_LABEL] - charges.values[0])[known])
        if DIPOLE_LABEL in frame.labels and dipole_weight:
            own, adjoint = charges.dipole()
            weight = count * dipole_weight / np.sqrt(atoms)
            matrix.append(weight * adjoint.by_head[0])
            targets.append(weight * (frame.labels[DIPOLE_LABEL] - own[0]))
        return Rows(np.concatenate(matrix), np.concatenate(targets))


def by_head(charges: Charges) -> np.ndarray:
    """∂q_i/∂h_j of one bead, shape (atoms, atoms), which is symmetric."""
    unit = np.eye(charges.values.shape[1])[None]
    if isinstance(charges, EquilibratedCharges):  # without what the adjoint says of positions
        return -charges.respond(unit)[0]
    return charges.adjoint(unit).by_head[0]


def without_head(model: Model, form: ChargeForm) -> WithCharges:
    """What a model with these charges answers where the head says 0 of each atom."""
    heads = {**model.heads, form.latent: empty_head(0, model.shape)}
    return WithCharges(replace(model, heads=heads, metadata={**model.metadata, CHARGES: form.record()}))
