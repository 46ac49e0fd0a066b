"""Permittivity from the dipole: from its fluctuations, the static tensor and ε(ω), and from its mean in a field."""

from .constant import DielectricConstant, dielectric_constant, dielectric_tensor
from .finite_field import permittivity_in_field
from .fluctuations import Fluctuations

__all__ = ["DielectricConstant", "Fluctuations", "dielectric_constant", "dielectric_tensor", "permittivity_in_field"]
