"""The dipole of ions: what moves with the structure as a whole, which no sum of local vectors can have.

Of a system with the total charge Q the dipole depends on the origin.  The heads of a model give the part about the
centre of mass R, which does not; here Q·R is added, so that the whole is about the origin of the coordinates, Born
charges add up to Q·1, and a field accelerates the centre of mass.  Masses are the standard ones of the elements.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

import numpy as np
from ase.data import atomic_masses

from ..electric_field import Field
from ..structures import Batch

RECORD = "net_charge"


def net_charge(metadata: Any) -> float:
    """Total charge in e of the structures that a model was fitted to, for its dipole; 0 if nothing says so."""
    charge = metadata.get(RECORD) if isinstance(metadata, dict) else None
    is_number = isinstance(charge, (int, float)) and not isinstance(charge, bool) and isfinite(charge)
    return float(charge) if is_number and charge is not None else 0.0


def mass_fractions(numbers: np.ndarray) -> np.ndarray:
    """Part of the mass that each atom has, shape (atoms,)."""
    masses = atomic_masses[numbers]
    return masses / masses.sum()


def dipole_of_charge(charge: float, numbers: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """The dipole Q·R of a charge at the centre of mass in e·Å, shape (…, 3), from positions (…, atoms, 3) in Å."""
    return charge * mass_fractions(numbers) @ positions


def add_net_charge(arrays: dict[str, np.ndarray], charge: float, batch: Batch, electric_field: Field) -> None:
    """Add what a charge at the centre of mass gives to the answers of a model, in place.

    Parameters
    ----------
    arrays : dict of str to ndarray of float64
        Answers by property, of members too.
    charge : float
        In e.
    batch : Batch
    electric_field : tuple of float
        In V/Å, whose energy −E·Q·R has forces and a virial.
    """
    field = np.array(electric_field)
    dipoles = dipole_of_charge(charge, batch.numbers, batch.positions)
    fractions = charge * mass_fractions(batch.numbers)
    further: Mapping[str, np.ndarray] = {
        "dipole": dipoles,
        "born_charges": fractions[None, :, None, None] * np.eye(3),
        "energy": -dipoles @ field,
        "forces": fractions[None, :, None] * field,
        "virial": np.einsum("a,Bb->Bab", field, dipoles),
    }
    for name, value in further.items():
        if name in arrays:
            arrays[name] = arrays[name] + value
        if f"committee_{name}" in arrays:  # (beads, members, …)
            arrays[f"committee_{name}"] = arrays[f"committee_{name}"] + value[:, None]
