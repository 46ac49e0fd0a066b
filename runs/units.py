"""Between beadwise (eV, Å, e) and i-PI (atomic units), with i-PI's own constants.

i-PI's constants carry eight or nine digits and are not mutually consistent beyond that: its ``ev/ang`` differs from
``electronvolt`` / ``angstrom`` by 1e-7.  Only the length and the energy are taken from i-PI and everything else is
derived from them, so that forces stay the exact derivative of the energy in atomic units and a structure file in Å
reaches the model as written.
"""

from __future__ import annotations

import numpy as np

from ..properties.quantities import properties, table_of_registry
from ..quantity import Unit
from .ipi_utilities import unit_to_internal

BOHR_PER_ANGSTROM = float(unit_to_internal("length", "angstrom", 1.0))
HARTREE_PER_ELECTRONVOLT = float(unit_to_internal("energy", "electronvolt", 1.0))


@table_of_registry
def _to_atomic() -> dict[str, float]:
    """What every property is multiplied by."""
    return {name: atomic_units(one.unit) for name, one in properties().items()}


def atomic_units(unit: Unit) -> float:
    """A unit of beadwise in atomic units."""

    def product(sign: int) -> float:
        lengths, energies = max(sign * unit.length, 0), max(sign * unit.energy, 0)
        return HARTREE_PER_ELECTRONVOLT**energies * BOHR_PER_ANGSTROM**lengths

    return product(1) / product(-1)


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
    return values * _to_atomic()[name]


def from_atomic(name: str, values: np.ndarray) -> np.ndarray:
    """Convert a property from atomic units; the inverse of `to_atomic`."""
    return values / _to_atomic()[name]


def lengths_from_atomic(lengths: np.ndarray) -> np.ndarray:
    """Convert positions or cells from bohr to Å; any shape."""
    return lengths / BOHR_PER_ANGSTROM


PERIODIC = np.ones(3, dtype=bool)  # i-PI never says otherwise
