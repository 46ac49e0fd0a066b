"""Hydrogen atoms in traps whose centroid force is known: harmonic along x, quartic along y, that of Morse along z.

`exact_centroid_force` is that of P beads on a grid: the partition function with the centroid held at q is the Fourier
transform of Tr M(η)^P, M(η) being the matrix of one link with the phase e^{−iηx/P} (R. P. Feynman and A. R. Hibbs,
Quantum Mechanics and Path Integrals (1965), chapter 10, for the centroid; the trace is that of D. Thirumalai, E. J.
Bruskin and B. J. Berne, J. Chem. Phys. 79, 5063 (1983)).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from ase import units
from beadwise.model import Batch, Response
from ipi.utils.units import Elements, UnitMap

MASS = Elements.mass("H") / UnitMap["mass"]["dalton"]  # in u
STIFFNESS = 8.0  # eV/Å², 1480 cm⁻¹
QUARTIC = 40.0  # eV/Å⁴
DEPTH, DECAY = 1.0, 2.2  # of Morse: eV, 1/Å
HBAR = units._hbar * units.J * units.s  # in eV times ASE's unit of time


def harmonic(x: np.ndarray) -> np.ndarray:
    return 0.5 * STIFFNESS * x**2


def quartic(x: np.ndarray) -> np.ndarray:
    return 0.25 * QUARTIC * x**4


def morse(x: np.ndarray) -> np.ndarray:
    return DEPTH * (1 - np.exp(-DECAY * x)) ** 2


def force_of(trap: Callable, x: np.ndarray) -> np.ndarray:
    if trap is harmonic:
        return -STIFFNESS * x
    if trap is quartic:
        return -QUARTIC * x**3
    return -2 * DEPTH * DECAY * (1 - np.exp(-DECAY * x)) * np.exp(-DECAY * x)


TRAPS = (harmonic, quartic, morse)


class Traps:
    """The potential of all three, each atom for itself."""

    species = (1,)
    properties = ("energy", "forces", "virial")

    def evaluate(self, batch: Batch, want: Sequence[str]) -> Response:
        places = np.moveaxis(batch.positions, -1, 0)
        energy = sum(trap(x).sum(axis=1) for trap, x in zip(TRAPS, places, strict=True))
        forces = np.stack([force_of(trap, x) for trap, x in zip(TRAPS, places, strict=True)], axis=-1)
        arrays = {"energy": energy, "forces": forces, "virial": np.zeros((batch.beads, 3, 3))}
        return Response(**{name: arrays[name] for name in want})


def traps() -> Traps:
    return Traps()


def exact_centroid_force(trap: Callable, centroids: np.ndarray, temperature: float, beads: int) -> np.ndarray:
    """Mean force on a centroid that is held, in eV/Å, shape (centroids,)."""
    x = np.linspace(-1.0, 1.3, 70)
    spacing = x[1] - x[0]
    thermal = units.kB * temperature
    spring = MASS * beads * thermal / (2 * HBAR**2)  # of the exponent, in 1/Å²
    link = np.exp(-spring * np.subtract.outer(x, x) ** 2) * spacing * np.sqrt(spring / np.pi)
    link *= np.exp(-trap(x) / (beads * thermal))
    wavenumbers = np.linspace(-90.0, 90.0, 361)  # of the centroid, in 1/Å
    links = link * np.exp(-1j * np.outer(wavenumbers, x)[:, None] / beads)
    traces = np.trace(np.linalg.matrix_power(links, beads), axis1=1, axis2=2)
    phases = np.exp(1j * np.outer(centroids, wavenumbers))
    density = (phases @ traces).real
    slope = (phases @ (1j * wavenumbers * traces)).real
    return thermal * slope / density
