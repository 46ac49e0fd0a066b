"""A static, homogeneous electric field E: the energy becomes the electric enthalpy ``U − E·μ``.

The field is that of Umari and Pasquarello, Phys. Rev. Lett. 89, 157602 (2002), whose ``Ω E·P`` is ``E·μ``: it stays
what it is whatever the atoms and the cell do.  Forces are then ``−∂U/∂r + Z* E`` with the Born effective charges
``Z* = ∂μ/∂r``, and the virial is ``−∂U/∂ε + ∂(E·μ)/∂ε``.  A field turns molecules, so this derivative is not symmetric:
its antisymmetric part is the torque ``μ × E``.  A field in V/Å times a dipole in e·Å is an energy in eV.

To second order the electrons follow the field: ``U − E·μ − ½ E·α·E``, the dipole is ``μ + αE``, forces have
``½ E·∂α/∂r·E`` besides, Born charges ``∂α/∂r·E``.  A polarizability in Å³ is one in e·Å²/V times 14.3996 V·Å/e.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from ase import units

from ..properties.quantities import properties
from ..reading import shown
from .checks import volumes
from .errors import PropertyError

if TYPE_CHECKING:
    from .model import Model
    from .structures import Batch

ORDERS = (1, 2)
VOLUME_OF_RESPONSE = units.Hartree * units.Bohr  # Å³ of a polarizability of 1 e·Å²/V
# what must be known for something in a field of second order
ALSO_NEEDED = {
    "energy": ("polarizability",),
    "dipole": ("polarizability",),
    "virial": ("polarizability",),
    "born_charges": ("polarizability_derivatives",),
}
Field = tuple[float, float, float]

NO_FIELD: Field = (0.0, 0.0, 0.0)


def checked_field(electric_field: Sequence[float], properties: Sequence[str]) -> Field:
    """Make a tuple of an electric field that something with these properties can be put in.

    Parameters
    ----------
    electric_field : sequence of float, length 3
        In V/Å.
    properties : sequence of str
        What can be evaluated.

    Raises
    ------
    PropertyError
        If it is not three finite numbers, or there is no dipole for it to act on.
    """
    try:
        components = np.asarray(electric_field, dtype=np.float64)
    except (TypeError, ValueError) as error:  # text, or lists of different lengths
        raise PropertyError(f"electric field is {shown(electric_field)}; it must be three finite numbers") from error
    if components.shape != (3,) or not np.isfinite(components).all():
        raise PropertyError(f"electric field is {components.tolist()} V/Å; it must be three finite numbers")
    if components.any() and "dipole" not in properties:
        raise PropertyError(
            f"electric field is {components.tolist()} V/Å, but the model has no dipole for it to act on; "
            f"it has {list(properties)}"
        )
    return float(components[0]), float(components[1]), float(components[2])


def checked_order(order: int, electric_field: Field, available: Sequence[str]) -> int:
    """The order of a field, 1 or 2.

    Raises
    ------
    PropertyError
        If it is another one, or there is no polarizability for the second.
    """
    if order not in ORDERS:
        raise PropertyError(f"order {order!r} of the electric field {list(electric_field)} V/Å; allowed are 1 and 2")
    if order > 1 and "polarizability" not in available:
        raise PropertyError(
            f"electric field {list(electric_field)} V/Å to second order, but the model has no polarizability; it has "
            f"{list(available)}"
        )
    return order


def lasts_polarized(name: str) -> bool:
    """Whether a property is known in a field of second order: parts of molecules and members are not."""
    one = properties()[name]
    return one.kind in ("value", "derivative", "virial", "position", "alarm") or one.of == "polarizability"


def with_needed(want: Sequence[str]) -> tuple[str, ...]:
    """Properties, and what they need in a field of second order."""
    return tuple(dict.fromkeys([*want, *(name for one in want for name in ALSO_NEEDED.get(one, ()))]))


def add_energy_row(model: Model, batch: Batch, rows: np.ndarray) -> None:
    """Add −½ E·α·E to what the gradient of the energy is of, in place.

    Of a map of the cell it is the derivative that counts: ``E·dα·E = g·da·g`` with the field that acts on an atom
    ``g = (1 − 4π a/3V)⁻¹ E``, which differs from bead to bead.

    Parameters
    ----------
    model : Model
    batch : Batch
    rows : ndarray of float64, shape (beads, gradients, outputs)
        Combinations of outputs of the kernel, that of the energy first.
    """
    acting = np.broadcast_to(np.array(model.electric_field), (batch.beads, 3))
    if model.local_field:
        additive = model.additive.evaluate(batch, ("polarizability",)).polarizability
        ratio = (4 * np.pi / 3) / volumes(batch)[:, None, None]
        acting = np.linalg.solve(np.eye(3) - ratio * additive, acting[..., None])[..., 0]
    outputs = model.layout.cartesian("polarizability", np.eye(model.layout.outputs))
    rows[:, 0] -= 0.5 / VOLUME_OF_RESPONSE * np.einsum("ba,oac,bc->bo", acting, outputs, acting)


def add_second_order(model: Model, batch: Batch, arrays: dict[str, np.ndarray]) -> None:
    """Add to answers of first order what is of second, in place; the gradients of `energy_row` are in them."""
    field = np.array(model.electric_field)
    if "polarizability" in arrays:
        induced = arrays["polarizability"] @ field / VOLUME_OF_RESPONSE
        if "energy" in arrays:
            arrays["energy"] = arrays["energy"] - 0.5 * induced @ field
        if "dipole" in arrays:
            arrays["dipole"] = arrays["dipole"] + induced
        if "virial" in arrays and model.local_field:
            # the map has the volume in it: ∂α/∂ε = −(4π/3V) α² 1 at constant local polarizabilities
            square = np.square(arrays["polarizability"] @ field).sum(axis=1) / VOLUME_OF_RESPONSE
            arrays["virial"] = arrays["virial"] - (2 * np.pi / 3 * square / volumes(batch))[:, None, None] * np.eye(3)
    if "born_charges" in arrays:
        arrays["born_charges"] = (
            arrays["born_charges"] + arrays["polarizability_derivatives"] @ field / VOLUME_OF_RESPONSE
        )
