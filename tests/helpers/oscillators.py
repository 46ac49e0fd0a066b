"""An evaluator whose quantum mechanics is known: hydrogen atoms, each bound to a site of its own by a spring.

Every atom is a molecule of its own; its molecular dipole is its displacement from the site, and its molecular
polarizability the outer product of the displacement with itself, so that a mean over beads holds both q and q².
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from beadwise.model import Batch, Response
from beadwise.runs.units import BOHR_PER_ANGSTROM, HARTREE_PER_ELECTRONVOLT
from ipi.utils.units import Constants, Elements, unit_to_internal

ATOMS_PER_SIDE = 5
SPACING = 4.0  # Å
LENGTH = ATOMS_PER_SIDE * SPACING
MASS = Elements.mass("H")  # in electron masses
TEMPERATURE = 300.0
THERMAL_ENERGY = float(unit_to_internal("temperature", "kelvin", TEMPERATURE)) * Constants.kb  # in hartree
ONE_SITE = (np.arange(ATOMS_PER_SIDE) + 0.5) * SPACING
CONSTANT, LINEAR, QUADRATIC = 30.0, 5.0, 40.0  # of a shielding σ₀ + σ₁ x + ½ σ₂ r ⊗ r: ppm, ppm/Å, ppm/Å²
MEMBERS = np.array([0.9, 1.0, 1.1])  # by which each of three members multiplies what is quadratic
SITES = np.stack(np.meshgrid(ONE_SITE, ONE_SITE, ONE_SITE), axis=-1).reshape(-1, 3)


def frequency(wavenumber: float) -> float:
    """ω in atomic units of a wavenumber in cm⁻¹."""
    return float(unit_to_internal("frequency", "inversecm", wavenumber))


class Oscillators:
    species = (1,)
    properties = (
        "energy",
        "forces",
        "virial",
        "dipole",
        "polarizability",
        "molecular_dipole",
        "molecular_polarizability",
        "molecular_position",
    )

    def __init__(self, wavenumber: float):
        in_atomic_units = MASS * frequency(wavenumber) ** 2
        self.stiffness = in_atomic_units * BOHR_PER_ANGSTROM**2 / HARTREE_PER_ELECTRONVOLT  # eV/Å²

    def evaluate(self, batch: Batch, want: Sequence[str]) -> Response:
        displacements = batch.positions - SITES
        squares = displacements[..., :, None] * displacements[..., None, :]
        arrays = {
            "energy": 0.5 * self.stiffness * np.trace(squares.sum(axis=1), axis1=1, axis2=2),
            "forces": -self.stiffness * displacements,
            "virial": -self.stiffness * np.einsum("bia,bic->bac", displacements, batch.positions),
            "dipole": displacements.sum(axis=1),
            "polarizability": squares.sum(axis=1),
            "molecular_dipole": displacements,
            "molecular_polarizability": squares,
            "molecular_position": batch.positions,
        }
        return Response(**{name: arrays[name] for name in want})


def at_500() -> Oscillators:
    return Oscillators(500.0)


def at_1600() -> Oscillators:
    return Oscillators(1600.0)


class Shielded(Oscillators):
    properties = (*Oscillators.properties, "shielding", "committee_shielding")

    def evaluate(self, batch: Batch, want: Sequence[str]) -> Response:
        found = super().evaluate(batch, [name for name in want if name in Oscillators.properties])
        displacements = batch.positions - SITES
        fixed = CONSTANT * np.eye(3) + LINEAR * displacements[..., :1, None] * np.eye(3)
        squares = 0.5 * QUADRATIC * displacements[..., :, None] * displacements[..., None, :]
        arrays = {
            "shielding": fixed + squares,
            "committee_shielding": fixed[:, None] + MEMBERS[:, None, None, None] * squares[:, None],
        }
        return Response(**{name: found[name] if name in found.names else arrays[name] for name in want})


def shielded_at_1600() -> Shielded:
    return Shielded(1600.0)
