"""Derivatives of quantities by positions as labels, as Born charges are of the dipole: linear in the same weights."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ....model import Batch, Model
from ....model.training.net_charge import charges_of_atoms
from ....properties.quantities import properties
from ....pyx.feature_derivatives import feature_derivatives
from ....pyx.tensor_head import DensityShape
from ....quantity import Irrep, Quantity
from ...data import Frame, labels
from ..least_squares import NormalEquations


def derivative_label(quantity: Quantity) -> str:
    """Name of the label of a quantity's derivative; empty if it is not fitted."""
    for name, label in labels().items():
        if label.quantity is quantity and label.of and properties()[label.of].kind == "derivative":
            return name
    return ""


def derivative_components(quantity: Quantity, frame: Frame, metadata: object) -> np.ndarray | None:
    """What the derivatives of the heads must be, from the label of a frame; None if there is none.

    Of Born charges, those that do not come from the heads are taken off; see `beadwise.model.training.net_charge`.

    Returns
    -------
    ndarray of float64, shape (atoms, 3, components), or None
        NaN for atoms without a label.
    """
    label = derivative_label(quantity)
    if label not in frame.labels:
        return None
    value = frame.labels[label]
    if quantity.name == "dipole":
        charges = charges_of_atoms(metadata, frame.atoms.numbers, frame.charge or 0.0)
        value = value - charges[:, None, None] * np.eye(3)
    return quantity.form.components(value)


def derivative_rows(
    irrep: Irrep, shape: DensityShape, model: Model, frame: Frame
) -> Iterator[tuple[slice, np.ndarray]]:
    """Derivatives of the features of one irrep; see `feature_derivatives`."""
    batch = Batch.from_ase(frame.atoms)
    structure = (model.species_indices(batch.numbers), batch.positions, batch.cells, batch.periodic)
    return feature_derivatives(model.kernel, irrep.order, shape, structure, irrep.parity)


def add_derivatives(
    equations: NormalEquations, quantity: Quantity, irrep: Irrep, shape: DensityShape, model: Model, frame: Frame,
    metadata: object, length: float,
) -> None:  # fmt: skip
    """Add what the derivatives of one frame say about the heads of one irrep.

    Derivatives of heads do not change with the origin, so they add up to zero over the atoms: what labels of all atoms
    add up to besides (their acoustic sum) has no part in the equations.

    Parameters
    ----------
    equations, quantity, irrep, shape, model, frame, metadata
        As for `beadwise.learning.fitting.target_fit.add_target`.
    length : float
        In Å: a derivative times it counts as much as a value over the square root of the number of atoms.
    """
    wanted = derivative_components(quantity, frame, metadata)
    if wanted is None or frame.weight == 0 or length == 0:
        return
    first = sum(own.components for own in quantity.form.irreps[: quantity.form.irreps.index(irrep)])
    own = wanted[..., first : first + irrep.components].reshape(len(wanted), 3, irrep.count, -1)
    is_known = np.isfinite(wanted).all(axis=(1, 2))
    scale = np.sqrt(frame.weight) * length
    for displaced, rows in derivative_rows(irrep, shape, model, frame):
        known = is_known[displaced]
        targets = own[displaced][known].swapaxes(2, 3).reshape(-1, irrep.count)
        if len(targets):
            equations.add(scale * rows[known].reshape(len(targets), -1), scale * targets, frame.weight)
