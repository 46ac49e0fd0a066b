"""Two quantities that nobody has yet: all that a package needs to add them, beside its entry points.

[beadwise.quantities]
atomic_quadrupole = own_quantities:QUADRUPOLE
level_density = own_quantities:LEVELS
"""

from beadwise.properties.forms import SYMMETRIC_TENSOR, values
from beadwise.quantity import Quantity, Unit

QUADRUPOLE = Quantity(
    name="atomic_quadrupole", form=SYMMETRIC_TENSOR, unit=Unit(charge=1, length=2), per="atom", label="quadrupoles"
)
LEVELS = Quantity(name="level_density", form=values(50), unit=Unit(energy=-1))
