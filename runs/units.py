"""Between beadwise (eV, Å, e) and i-PI (atomic units), with i-PI's own constants.

i-PI's constants carry eight or nine digits and are not mutually consistent beyond that: its ``ev/ang`` differs from
``electronvolt`` / ``angstrom`` by 1e-7.  Only the length and the energy are taken from i-PI and everything else is
derived from them, so that forces stay the exact derivative of the energy in atomic units and a structure file in Å
reaches the model as written.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from ..properties.quantities import properties, table_of_registry
from ..quantity import Unit

CONSTANTS = {"BOHR_PER_ANGSTROM": ("length", "angstrom"), "HARTREE_PER_ELECTRONVOLT": ("energy", "electronvolt")}


@cache
def in_atomic_units(name: str) -> float:
    """One of `CONSTANTS`; i-PI takes long to import, and is when it is first asked for."""
    from ipi.utils.units import unit_to_internal

    return float(unit_to_internal(*CONSTANTS[name], 1.0))


def __getattr__(name: str) -> float:
    """``BOHR_PER_ANGSTROM`` and ``HARTREE_PER_ELECTRONVOLT``."""
    if name in CONSTANTS:
        return in_atomic_units(name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


@table_of_registry
def _to_atomic() -> dict[str, float]:
    """What every property is multiplied by."""
    return {name: atomic_units(one.unit) for name, one in properties().items()}


def atomic_units(unit: Unit) -> float:
    """A unit of beadwise in atomic units."""

    def product(sign: int) -> float:
        lengths, energies = max(sign * unit.length, 0), max(sign * unit.energy, 0)
        bohr, hartree = map(in_atomic_units, CONSTANTS)
        return hartree**energies * bohr**lengths

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
    return lengths / in_atomic_units("BOHR_PER_ANGSTROM")


PERIODIC = np.ones(3, dtype=bool)  # i-PI never says otherwise
