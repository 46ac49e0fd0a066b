"""The dipole of a cell: λ = 1, the sum of a vector of every atom."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from ..quantity import Quantity, UniformSettings, Unit
from ..schema import about
from .forms import VECTOR


@dataclass(frozen=True)
class DipoleSettings(UniformSettings):
    """`UniformSettings` with charges that move with the atoms; see `beadwise.model.training.net_charge`."""

    nominal_charges: Annotated[
        dict[str, Annotated[float, about("", unit="e")]],
        about(
            "Charge of each species that moves with its atoms, where ions travel or a system is charged: the dipole is "
            "the sum of these charges times positions, which must not be wrapped into the cell in a run, and of a "
            "vector for each atom. They add up to the total charge.",
            unit="e",
            more={"propertyNames": {"pattern": "^[A-Z][a-z]?$"}},
        ),
    ] = field(default_factory=dict)


QUANTITY = Quantity(
    name="dipole",
    form=VECTOR,
    unit=Unit(charge=1, length=1),
    member_extras="member_dipoles",
    derivative="born_charges",
    derivative_extras="BEC",
    derivative_ase="born_effective_charges",
    is_molecular=True,
    settings=DipoleSettings,
    aliases=("mu", "dipole_moment", "total_dipole"),
    derivative_aliases=("born_charges", "bec", "becs"),
)
