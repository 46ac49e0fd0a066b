"""Ring polymers of the quartic crystal, drawn exactly, and what is exact of them, by powers of the Trotter kernel."""

from __future__ import annotations

import numpy as np
from beadwise.inputs.quartic_crystal import QUARTIC, STIFFNESS
from rings import HBAR, MASS, THERMAL_ENERGY, drawn_rings


def drawn(samples: int, beads: int, mass: float, random: np.random.Generator) -> np.ndarray:
    """Coordinates in Å, shape (samples, beads): harmonic rings, taken with the probability of the quartic part.

    Rings of another mass than hydrogen are those of hydrogen with all lengths scaled and another stiffness.
    """
    scale = np.sqrt(MASS / mass)  # so that springs of the ring are those of the mass
    found: list[np.ndarray] = []
    while sum(map(len, found)) < samples:
        rings = scale * drawn_rings(2 * samples, beads, 1, STIFFNESS * scale**2, random)[:, :, 0, 0]
        chance = np.exp(-QUARTIC * (rings**4).mean(axis=1) / THERMAL_ENERGY)
        found.append(rings[random.random(len(rings)) < chance])
    return np.concatenate(found)[:samples]


def forces(coordinates: np.ndarray) -> np.ndarray:
    """Of all beads, in eV/Å."""
    return -STIFFNESS * coordinates - 4 * QUARTIC * coordinates**3


def free_energy(beads: int, mass: float = MASS, quartic: float = QUARTIC) -> float:
    """Of one coordinate, in eV."""
    x = np.linspace(-1.0, 1.0, 301)
    step = x[1] - x[0]
    potential = STIFFNESS / 2 * x**2 + quartic * x**4
    spring = mass * beads / (2 * HBAR**2 / THERMAL_ENERGY)
    kernel = np.sqrt(spring / np.pi) * np.exp(
        -spring * (x[:, None] - x) ** 2 - (potential[:, None] + potential) / (2 * beads * THERMAL_ENERGY)
    )
    values = np.linalg.eigvalsh(kernel * step)
    return float(-THERMAL_ENERGY * np.log((values[values > 0] ** beads).sum()))


def kinetic_energy(beads: int, mass: float, quartic: float = QUARTIC) -> float:
    """−m ∂A/∂m of one coordinate, in eV."""
    change = 1e-3
    higher, lower = (free_energy(beads, mass * (1 + sign * change), quartic) for sign in (1, -1))
    return (lower - higher) / (2 * change)


def frames_of_ase(values: np.ndarray, sites: np.ndarray, cell: np.ndarray, name: str, bead: int) -> str:
    """What i-PI writes of one bead with format='ase'; values in Å or eV/Å, shape (samples, atoms, 3)."""
    lattice = " ".join(map(str, cell.ravel().tolist()))
    columns = "pos:R:3" if name == "positions" else "pos:R:3:forces:R:3"
    text = []
    for step, frame in enumerate(values):
        rows = np.concatenate([sites * 0, frame], axis=1) if name == "forces" else frame + sites
        text.append(
            f'{len(frame)}\nLattice="{lattice}" Properties=species:S:1:{columns} ipi_comment="Step: {step:11d}  '
            f'Bead: {bead:7d} {name}{{ase}}  cell{{ase}}" pbc="T T T"\n'
        )
        text += ["H" + "".join(f" {number:16.8f}" for number in row) + "\n" for row in rows]
    return "".join(text)
