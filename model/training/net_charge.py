"""Charges that move with the atoms: what a dipole has beside the sum of local vectors, which no head can have.

Of a system with the total charge Q the dipole depends on the origin.  The heads of a model give the part about the
centre of mass R, which does not; here Q·R is added, so that the whole is about the origin of the coordinates, Born
charges add up to Q·1, and a field accelerates the centre of mass.  Masses are the standard ones of the elements.

Where ions travel, each species has a nominal charge N_s instead: the dipole is Σ N_s r_i + the sum of local vectors,
with positions that are never wrapped into the cell, as i-PI has them.  An atom that goes once round a periodic cell
then takes N_s lattice vectors along, a whole number of quanta as it must (Rappe, Grasselli, Baroni, Nat. Phys. 15, 967
(2019)), where local vectors alone come back to what they were.  The nominal charges add up to Q.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

import numpy as np
from ase.data import atomic_masses, atomic_numbers

from ...reading import shown
from ..electric_field import Field
from ..errors import ModelFileError
from ..structures import Batch

RECORD = "net_charge"
NOMINAL = "nominal_charges"


def net_charge(metadata: Any) -> float:
    """Total charge in e of the structures that a model was fitted to, for its dipole; 0 if nothing says so."""
    charge = metadata.get(RECORD) if isinstance(metadata, dict) else None
    return float(charge) if _is_number(charge) and charge is not None else 0.0


def nominal_charges(metadata: Any) -> dict[int, float]:
    """Nominal charges in e by atomic number that a model adds to its local vectors; none if nothing says so.

    Raises
    ------
    ModelFileError
        If what is said is no finite number for each of some elements.
    """
    said = metadata.get(NOMINAL) if isinstance(metadata, dict) else None
    if said is None:
        return {}
    if not isinstance(said, dict) or not all(name in atomic_numbers and _is_number(own) for name, own in said.items()):
        raise ModelFileError(
            f"{NOMINAL} of a model is {shown(said)}; allowed is a finite number in e for each element, as "
            "{'O': -2, 'H': 1}"
        )
    return {atomic_numbers[name]: float(own) for name, own in said.items()}


def charge_among_images(metadata: Any, source: str) -> str:
    """What is said of a charge at the centre of mass of atoms that have periodic images."""
    called = f"'{source}' " if source else ""
    return (
        f"model {called}has its charge of {net_charge(metadata):+g} e at the centre of mass, and atoms of this "
        "structure have periodic images: its dipole jumps by a part of a lattice vector where an atom is in another "
        "image; nominal_charges in [dipole] of the fit are made for that"
    )


def _is_number(given: object) -> bool:
    return isinstance(given, (int, float)) and not isinstance(given, bool) and isfinite(given)


def charges_of_atoms(metadata: Any, numbers: np.ndarray, charge: float) -> np.ndarray:
    """What moves with each atom, shape (atoms,) in e: its nominal charge, or its part of the total one by mass."""
    nominal = nominal_charges(metadata)
    if nominal:
        return np.array([nominal.get(number, 0.0) for number in numbers.tolist()])
    return charge * mass_fractions(numbers) if charge else np.zeros(len(numbers))


def mass_fractions(numbers: np.ndarray) -> np.ndarray:
    """Part of the mass that each atom has, shape (atoms,)."""
    masses = atomic_masses[numbers]
    return masses / masses.sum()


def dipole_of_charge(charge: float, numbers: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """The dipole Q·R of a charge at the centre of mass in e·Å, shape (…, 3), from positions (…, atoms, 3) in Å."""
    return charge * mass_fractions(numbers) @ positions


def add_charges(arrays: dict[str, np.ndarray], charges: np.ndarray, batch: Batch, electric_field: Field) -> None:
    """Add what charges that move with the atoms give to the answers of a model, in place.

    Parameters
    ----------
    arrays : dict of str to ndarray of float64
        Answers by property, of members too.
    charges : ndarray of float64, shape (atoms,)
        In e; see `charges_of_atoms`.
    batch : Batch
    electric_field : tuple of float
        In V/Å, whose energy −E·Σ q r has forces and a virial.
    """
    field = np.array(electric_field)
    dipoles = charges @ batch.positions
    further: Mapping[str, np.ndarray] = {
        "dipole": dipoles,
        "born_charges": charges[None, :, None, None] * np.eye(3),
        "energy": -dipoles @ field,
        "forces": charges[None, :, None] * field,
        "virial": np.einsum("a,Bb->Bab", field, dipoles),
    }
    for name, value in further.items():
        if name in arrays:
            arrays[name] = arrays[name] + value
        if f"committee_{name}" in arrays:  # (beads, members, …)
            arrays[f"committee_{name}"] = arrays[f"committee_{name}"] + value[:, None]
