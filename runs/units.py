"""Between beadwise (eV, Å, e) and i-PI (atomic units), with i-PI's own constants.

i-PI's constants carry eight or nine digits and are not mutually consistent beyond that: its ``ev/ang`` differs from
``electronvolt`` / ``angstrom`` by 1e-7.  Only the length and the energy are taken from i-PI and everything else is
derived from them, so that forces stay the exact derivative of the energy in atomic units and a structure file in Å
reaches the model as written.
"""

from __future__ import annotations

import numpy as np
from ipi.utils.units import unit_to_internal

from ..properties.quantities import COMMITTEE_PROPERTIES, WEIGHT

BOHR_PER_ANGSTROM = float(unit_to_internal("length", "angstrom", 1.0))
HARTREE_PER_ELECTRONVOLT = float(unit_to_internal("energy", "electronvolt", 1.0))

_TO_ATOMIC = {
    "energy": HARTREE_PER_ELECTRONVOLT,
    "forces": HARTREE_PER_ELECTRONVOLT / BOHR_PER_ANGSTROM,
    "virial": HARTREE_PER_ELECTRONVOLT,
    "dipole": BOHR_PER_ANGSTROM,
    "polarizability": BOHR_PER_ANGSTROM**3,
    "born_charges": 1.0,
    "polarizability_derivatives": BOHR_PER_ANGSTROM**2,
    "molecular_dipole": BOHR_PER_ANGSTROM,
    "molecular_polarizability": BOHR_PER_ANGSTROM**3,
    "molecular_position": BOHR_PER_ANGSTROM,
    "energy_uncertainty": HARTREE_PER_ELECTRONVOLT,
    "forces_uncertainty": HARTREE_PER_ELECTRONVOLT / BOHR_PER_ANGSTROM,
    "envelope_distance": 1.0,
    WEIGHT: 1.0,
}
_TO_ATOMIC |= {name: _TO_ATOMIC[of_a_member] for name, of_a_member in COMMITTEE_PROPERTIES.items()}


def to_atomic(name: str, values: np.ndarray) -> np.ndarray:
    """Convert a property to atomic units.

    Parameters
    ----------
    name : str
        One of ``beadwise.model.PROPERTIES``.
    values : ndarray of float64
        In the units of :class:`beadwise.model.Response`.

    Returns
    -------
    ndarray of float64, same shape
        In hartree, hartree/bohr, e·bohr, bohr³, e, bohr² or bohr.
    """
    return values * _TO_ATOMIC[name]


def from_atomic(name: str, values: np.ndarray) -> np.ndarray:
    """Convert a property from atomic units; the inverse of `to_atomic`."""
    return values / _TO_ATOMIC[name]


def lengths_from_atomic(lengths: np.ndarray) -> np.ndarray:
    """Convert positions or cells from bohr to Å; any shape."""
    return lengths / BOHR_PER_ANGSTROM


PERIODIC = np.ones(3, dtype=bool)  # i-PI never says otherwise
