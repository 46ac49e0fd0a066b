"""Which properties a model can be asked for."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from ...properties.density_of_states import DERIVED_NAMES
from ...properties.quantities import Property
from ..charges.record import has_charges
from ..electric_field import lasts_polarized
from ..molecules import needs_dressing

if TYPE_CHECKING:
    from ..model import Model

OF_CHARGES = ("energy", "dipole", "partial_charges")  # quantities that charges have a part in


def is_available(model: Model, one: Property, present: Collection[str]) -> bool:
    """Whether a property can be asked for, of the quantities and the properties of members that are present."""
    if has_charges(model.metadata) and one.quantity is not None and one.quantity.name in OF_CHARGES:
        return False  # the heads alone are not the whole
    if (model.is_polarized and not lasts_polarized(one.name)) or needs_dressing(model.metadata, one):
        return False
    if model.repeating_unit is None and (one.per == "molecule" or one.kind == "position"):
        return False
    has_electrons = model.curves is not None and bool(model.curves.electrons)
    if one.kind in ("members", "uncertainty"):
        return one.name in present and (has_electrons or one.of not in DERIVED_NAMES)
    if one.kind in ("alarm", "switch", "screened", "orbitals"):
        return one.name == "envelope_distance" and model.envelope is not None
    if one.kind == "electronic":
        return has_electrons
    return one.quantity is None or one.quantity.name in present
