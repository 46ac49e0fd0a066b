"""The potential energy: a scalar, whose derivatives are forces and virial."""

from __future__ import annotations

from ..quantity import Quantity, Unit
from .forms import SCALAR

QUANTITY = Quantity(
    name="energy",
    form=SCALAR,
    unit=Unit(energy=1),
    member_extras="committee_pot",
    derivative="forces",
    aliases=("potential", "potential_energy", "total_energy", "free_energy"),
    derivative_aliases=("force",),
)
