"""Charges and dipoles in molecules, slabs and crystals: energies, potentials, fields, forces, virials and adjoints.

Sites are points, or Gaussians of a width each, or dipoles that are damped at short range.  All is by the compiled
kernel (`beadwise.pyx.electrostatics`): Ewald's sum for small cells, a particle mesh for large ones, the plain sum
without a lattice.
"""

from .cuts import COULOMB
from .results import ChargeEnergy, Potentials
from .sums import Electrostatics

__all__ = ["COULOMB", "ChargeEnergy", "Electrostatics", "Potentials"]
