"""What the kernel gives of an atom, and which of it, and of its gradients, a wanted property needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..properties.dipole import CARTESIAN_FROM_HARMONICS, cartesian_vector
from ..properties.quantities import ORDERS
from ..pyx.coupling import pairs
from ..pyx.tensor_head import DensityShape, TensorHead
from .electric_field import NO_FIELD, Field

HEADS = tuple(ORDERS)
OUTPUTS = sum(2 * order + 1 for order in ORDERS.values())  # components of all heads, in their order


def gradient_places(want: Sequence[str]) -> dict[str, slice]:
    """Which of the kernel's gradients belong to the energy, and to the derivatives that are wanted."""
    counts = {
        "energy": int("forces" in want or "virial" in want),
        "born_charges": 3 * ("born_charges" in want),
        "polarizability_derivatives": 6 * ("polarizability_derivatives" in want),
    }
    ends = np.cumsum(list(counts.values())).tolist()
    return {name: slice(end - count, end) for (name, count), end in zip(counts.items(), ends, strict=True)}


def gradient_rows(want: Sequence[str], electric_field: Field = NO_FIELD) -> np.ndarray:
    """Combinations of the outputs (energy, dipole, polarizability) whose gradients are wanted, one per row."""
    outputs = np.eye(OUTPUTS)
    dipole = CARTESIAN_FROM_HARMONICS @ outputs[1:4]
    rows = {
        "energy": outputs[:1] - np.array(electric_field) @ dipole,
        "born_charges": dipole,
        "polarizability_derivatives": outputs[4:],
    }
    places = gradient_places(want)
    return np.concatenate([rows[name] for name, place in places.items() if place.stop > place.start] or [outputs[:0]])


def wanted_heads(want: Sequence[str], is_in_field: bool = False) -> list[bool]:
    """Which heads' values are wanted, in the order of `HEADS`; in a field the energy has a part from the dipole."""
    vector = "dipole" in want or "molecular_dipole" in want or (is_in_field and "energy" in want)
    tensor = any(name in want for name in ("polarizability", "polarizability_derivatives", "molecular_polarizability"))
    return ["energy" in want, vector, tensor, tensor]


def energies_in_field(outputs: np.ndarray, electric_field: Field = NO_FIELD) -> np.ndarray:
    """Energies in a static field, from outputs on the last axis."""
    energies = outputs[..., 0].copy()
    if electric_field != NO_FIELD:
        energies -= cartesian_vector(outputs[..., 1:4]) @ np.array(electric_field)
    return energies


def symmetric(tensors: np.ndarray) -> np.ndarray:
    """Symmetric part of tensors, which stand on the last two axes."""
    return 0.5 * (tensors + np.swapaxes(tensors, -1, -2))


def empty_head(order: int, shape: DensityShape) -> TensorHead:
    """A head that gives zero."""
    weights = np.zeros((len(pairs(order, order)), shape.species, shape.channels, shape.channels))
    return TensorHead(
        order,
        replace(shape, l_max=order),
        np.zeros(shape.species),
        np.zeros((shape.species, shape.channels)),
        weights,
    )
