"""The dipole of a cell: λ = 1, the sum of a vector of every atom."""

from __future__ import annotations

from ..quantity import Quantity, Unit
from .forms import VECTOR

QUANTITY = Quantity(
    name="dipole",
    form=VECTOR,
    unit=Unit(charge=1, length=1),
    member_extras="member_dipoles",
    derivative="born_charges",
    derivative_extras="BEC",
    derivative_ase="born_effective_charges",
    is_molecular=True,
    aliases=("mu", "dipole_moment", "total_dipole"),
    derivative_aliases=("born_charges", "bec", "becs"),
)
