"""A static, homogeneous electric field E: the energy becomes the electric enthalpy ``U − E·μ``.

The field is that of Umari and Pasquarello, Phys. Rev. Lett. 89, 157602 (2002), whose ``Ω E·P`` is ``E·μ``: it stays
what it is whatever the atoms and the cell do.  Forces are then ``−∂U/∂r + Z* E`` with the Born effective charges
``Z* = ∂μ/∂r``, and the virial is ``−∂U/∂ε + ∂(E·μ)/∂ε``.  A field turns molecules, so this derivative is not symmetric:
its antisymmetric part is the torque ``μ × E``.  A field in V/Å times a dipole in e·Å is an energy in eV.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..reading import shown
from .errors import PropertyError

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
