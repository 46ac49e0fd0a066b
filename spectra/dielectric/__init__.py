"""Permittivity from fluctuations of the dipole: the static tensor with its errors, and ε(ω)."""

from .constant import DielectricConstant, dielectric_constant, dielectric_tensor
from .fluctuations import Fluctuations

__all__ = ["DielectricConstant", "Fluctuations", "dielectric_constant", "dielectric_tensor"]
