"""Hydrogen atoms whose free energies are known: each in a double well or a harmonic one along x, without the others.

`known_free_energy` is exact: the classical Boltzmann factor, and for the quantum particle the diagonal of its thermal
density matrix from the eigenstates of the Hamiltonian on a grid of sinc functions (Colbert and Miller, J. Chem. Phys.
96, 1982 (1992)).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import units
from beadwise.model import Batch, Response
from ipi.utils.units import Elements, UnitMap

BARRIER, MINIMUM = 0.10, 0.6  # of the double well: eV, Å
STIFFNESS = 1.2  # of the harmonic well, eV/Å²
TRANSVERSE = 1.0  # along y and z, eV/Å²
TEMPERATURE = 300.0
MASS = Elements.mass("H") / UnitMap["mass"]["dalton"]  # in u
THERMAL_ENERGY = units.kB * TEMPERATURE


def double_well(x: np.ndarray) -> np.ndarray:
    """B (x²/a² − 1)² in eV."""
    return BARRIER * ((x / MINIMUM) ** 2 - 1) ** 2


def harmonic(x: np.ndarray) -> np.ndarray:
    """k x²/2 in eV."""
    return 0.5 * STIFFNESS * x**2


class Particles:
    """Atoms in turn in a double well and in a harmonic one."""

    species = (1,)
    properties = ("energy", "forces", "virial")

    def evaluate(self, batch: Batch, want: Sequence[str]) -> Response:
        x = batch.positions[..., 0]
        forces = -TRANSVERSE * batch.positions
        forces[:, ::2, 0] = -4 * BARRIER * x[:, ::2] / MINIMUM**2 * ((x[:, ::2] / MINIMUM) ** 2 - 1)
        forces[:, 1::2, 0] = -STIFFNESS * x[:, 1::2]
        energy = double_well(x[:, ::2]).sum(axis=1) + harmonic(x[:, 1::2]).sum(axis=1)
        energy += 0.5 * TRANSVERSE * np.square(batch.positions[..., 1:]).sum(axis=(1, 2))
        arrays = {"energy": energy, "forces": forces, "virial": np.zeros((batch.beads, 3, 3))}
        return Response(**{name: arrays[name] for name in want})


def particles() -> Particles:
    return Particles()


def known_free_energy(potential, edges: np.ndarray, quantum: bool) -> np.ndarray:
    """−kT ln of the mean density in each bin, in eV, shape (bins,); up to a constant."""
    x = np.linspace(-2.4, 2.4, 481)
    density = quantum_density(potential, x) if quantum else np.exp(-potential(x) / THERMAL_ENERGY)
    fine = np.linspace(edges[:-1], edges[1:], 21)  # (points, bins)
    mean = np.trapezoid(np.interp(fine, x, density), fine, axis=0) / np.diff(edges)
    return -THERMAL_ENERGY * np.log(mean)


def quantum_density(potential, x: np.ndarray) -> np.ndarray:
    """⟨x| exp(−βH) |x⟩ on an even grid, up to a factor, shape (points,)."""
    spacing = x[1] - x[0]
    difference = np.subtract.outer(np.arange(len(x)), np.arange(len(x)))
    with np.errstate(divide="ignore"):
        kinetic = np.where(difference == 0, np.pi**2 / 3, 2.0 / np.square(difference)) * (-1.0) ** difference
    hbar = units._hbar * units.J * units.s  # in eV times ASE's unit of time
    hamiltonian = hbar**2 / (2 * MASS * spacing**2) * kinetic + np.diag(potential(x))
    energies, states = np.linalg.eigh(hamiltonian)
    return np.square(states) @ np.exp(-(energies - energies[0]) / THERMAL_ENERGY)


def ring_polymer_density(potential, x: np.ndarray, beads: int) -> np.ndarray:
    """The density of a bead of a ring polymer, the P-th power of the matrix of one link, up to a factor."""
    hbar = units._hbar * units.J * units.s
    spring = MASS * beads / (2 * (hbar / THERMAL_ENERGY) ** 2 * THERMAL_ENERGY)  # m P/(2 β² ħ²) times β
    link = np.exp(-spring * np.square(np.subtract.outer(x, x)))
    half = np.exp(-potential(x) / (2 * beads * THERMAL_ENERGY))
    matrix = half[:, None] * link * half
    return np.diag(np.linalg.matrix_power(matrix / matrix.max() * (x[1] - x[0]), beads))
