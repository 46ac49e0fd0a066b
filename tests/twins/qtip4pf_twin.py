"""q-TIP4P/F written down from its formulas in NumPy: slow, every image and every wave in a plain sum."""

from __future__ import annotations

import numpy as np
from scipy.constants import epsilon_0
from scipy.special import erfc

ELEMENTARY_CHARGE = 1.602176634e-19  # C
KILOCALORIE = 4184 / 6.02214076e23 / ELEMENTARY_CHARGE  # per mole, in eV
COULOMB = ELEMENTARY_CHARGE / (4 * np.pi * epsilon_0) * 1e10
CHARGE, GAMMA = 0.5564, 0.73612
BOND = (116.09 * KILOCALORIE, 2.287, 0.9419)
ANGLE = (87.85 * KILOCALORIE, 107.4 * np.pi / 180)
LENNARD_JONES = (0.1852 * KILOCALORIE, 3.1589)


class Sum:
    """Energy, forces (atoms, 3) and virial of what has been added."""

    def __init__(self, count):
        self.energy, self.forces, self.virial = 0.0, np.zeros((count, 3)), np.zeros((3, 3))

    def add_pairs(self, first, second, vectors, energies, slopes):
        """Pairs with vectors from first to second, energies, and derivatives of the energy by the distance."""
        pulls = -(slopes / np.linalg.norm(vectors, axis=-1))[..., None] * vectors
        self.energy += energies.sum()
        np.add.at(self.forces, second, pulls)
        np.add.at(self.forces, first, -pulls)
        self.virial += np.einsum("pi,pj->ij", pulls, vectors)


def within_molecules(positions, cell):
    """Bonds and angles; the bonds are returned, too."""
    bonds = positions.reshape(-1, 3, 3)[:, 1:] - positions.reshape(-1, 3, 3)[:, :1]
    if cell is not None:
        bonds = bonds - np.round(bonds @ np.linalg.inv(cell)) @ cell
    total = Sum(len(positions))
    oxygens = np.arange(0, len(positions), 3)
    lengths = np.linalg.norm(bonds, axis=2)
    depth, exponent, length = BOND
    x = exponent * (lengths - length)
    for h in (0, 1):
        total.add_pairs(
            oxygens,
            oxygens + 1 + h,
            bonds[:, h],
            depth * (x[:, h] ** 2 - x[:, h] ** 3 + 7 / 12 * x[:, h] ** 4),
            depth * exponent * (2 * x[:, h] - 3 * x[:, h] ** 2 + 7 / 3 * x[:, h] ** 3),
        )
    units = bonds / lengths[..., None]
    cosine = np.einsum("mi,mi->m", units[:, 0], units[:, 1])
    stiffness, rest = ANGLE
    excess = np.arccos(cosine) - rest
    total.energy += 0.5 * stiffness * (excess**2).sum()
    for h in (0, 1):
        # dθ = −d cos θ / sin θ
        gradient = -(units[:, 1 - h] - cosine[:, None] * units[:, h]) / lengths[:, h, None]
        pulls = -(stiffness * excess / np.sqrt(1 - cosine**2))[:, None] * gradient
        np.add.at(total.forces, oxygens + 1 + h, pulls)
        np.add.at(total.forces, oxygens, -pulls)
        total.virial += np.einsum("mi,mj->ij", pulls, bonds[:, h])
    return total, bonds


def pairs_with_images(centres, cell, cutoff):
    """(first, second, translation) of every pair of molecules and images once; without a cell of every pair."""
    count = len(centres)
    if cell is None:
        first, second = np.triu_indices(count, 1)
        return first, second, np.zeros((len(first), 3))
    inverse = np.linalg.inv(cell)
    spread = np.ptp(centres @ inverse, axis=0)
    reach = np.ceil(cutoff * np.linalg.norm(inverse, axis=0) + spread).astype(int)
    later, same = np.triu(np.ones((count, count), bool), 1), np.eye(count, dtype=bool)
    found = []
    for shift in np.stack(np.meshgrid(*[np.arange(-n, n + 1) for n in reach], indexing="ij"), -1).reshape(-1, 3):
        vectors = centres[None] + shift @ cell - centres[:, None]
        close = np.linalg.norm(vectors, axis=2) < cutoff
        once = later | (same & (tuple(shift) > (0, 0, 0)))
        first, second = np.nonzero(close & once)
        found.append((first, second, np.tile(shift @ cell, (len(first), 1))))
    return tuple(np.concatenate(part) for part in zip(*found, strict=True))


def lennard_jones(centres, cell, cutoff, width=1.0):
    """Between oxygens; forces are those on the oxygens."""
    first, second, shifts = pairs_with_images(centres, cell, cutoff)
    vectors = centres[second] + shifts - centres[first]
    r = np.linalg.norm(vectors, axis=1)
    depth, diameter = LENNARD_JONES
    energy = 4 * depth * ((diameter / r) ** 12 - (diameter / r) ** 6)
    slope = 4 * depth * (-12 * (diameter / r) ** 12 + 6 * (diameter / r) ** 6) / r
    y = np.clip((r - cutoff + width) / width, 0, 1)
    switch = 1 - 10 * y**3 + 15 * y**4 - 6 * y**5
    total = Sum(len(centres))
    switched = slope * switch + energy * (-30 * y**2 + 60 * y**3 - 30 * y**4) / width
    total.add_pairs(first, second, vectors, energy * switch, switched)
    return total


def coulomb(sites, charges, centres, cell, splitting, cutoff, highest_wave):
    """Charges (molecules, 3) at sites (molecules, 3, 3), interacting between molecules whose centres are in reach."""
    count = sites.shape[0] * 3
    places, q = sites.reshape(-1, 3), charges.ravel()
    total = Sum(count)
    first, second, shifts = pairs_with_images(centres, cell, cutoff)
    for a, b in np.ndindex(3, 3):
        vectors = sites[second, b] + shifts - sites[first, a]
        r = np.linalg.norm(vectors, axis=1)
        product = COULOMB * charges[first, a] * charges[second, b]
        gaussian = 2 * splitting / np.sqrt(np.pi) * np.exp(-((splitting * r) ** 2))
        energy = product * erfc(splitting * r) / r
        total.add_pairs(3 * first + a, 3 * second + b, vectors, energy, -energy / r - product * gaussian / r)
    if cell is None:
        return total
    total.energy -= COULOMB * splitting / np.sqrt(np.pi) * (q**2).sum()
    molecules = np.arange(len(sites))
    for a, b in ((0, 1), (0, 2), (1, 2)):
        vectors = sites[:, b] - sites[:, a]
        r = np.linalg.norm(vectors, axis=1)
        product = COULOMB * charges[:, a] * charges[:, b]
        gaussian = 2 * splitting / np.sqrt(np.pi) * np.exp(-((splitting * r) ** 2))
        energy = -product * (1 - erfc(splitting * r)) / r
        total.add_pairs(3 * molecules + a, 3 * molecules + b, vectors, energy, -energy / r - product * gaussian / r)
    add_waves(total, places, q, cell, splitting, highest_wave)
    return total


def add_waves(total, places, q, cell, splitting, highest_wave):
    """Every wave of the sphere, and its opposite."""
    reciprocal = 2 * np.pi * np.linalg.inv(cell).T
    reach = (highest_wave * np.linalg.norm(cell, axis=1) / (2 * np.pi)).astype(int)
    numbers = np.stack(np.meshgrid(*[np.arange(-n, n + 1) for n in reach], indexing="ij"), -1).reshape(-1, 3)
    waves = numbers @ reciprocal
    squares = (waves**2).sum(axis=1)
    keep = (squares > 0) & (squares <= highest_wave**2)
    waves, squares = waves[keep], squares[keep]
    phases = np.exp(1j * waves @ places.T)
    structure = phases @ q
    weights = 2 * np.pi * COULOMB / abs(np.linalg.det(cell)) * np.exp(-squares / (4 * splitting**2)) / squares
    energies = weights * np.abs(structure) ** 2
    total.energy += energies.sum()
    moments = np.imag(np.conj(structure)[:, None] * phases) * weights[:, None]
    total.forces += 2 * q[:, None] * (moments.T @ waves)
    strained = 2 * energies * (1 / squares + 1 / (4 * splitting**2))
    total.virial += np.eye(3) * energies.sum() - np.einsum("k,ki,kj->ij", strained, waves, waves)


def evaluate(positions, cell, cutoff, splitting, highest_wave, coulomb_cutoff=None):
    """Energy (eV), forces (eV/Å), virial (eV) and dipole (e·Å) of one structure; no cell for none."""
    total, bonds = within_molecules(positions, cell)
    centres = positions[::3]
    sites = np.concatenate([(1 - GAMMA) / 2 * bonds.sum(axis=1, keepdims=True), bonds], axis=1) + centres[:, None]
    charges = np.tile([-2 * CHARGE, CHARGE, CHARGE], (len(sites), 1))
    attraction = lennard_jones(centres, cell, cutoff)
    charged = coulomb(sites, charges, centres, cell, splitting, coulomb_cutoff or cutoff, highest_wave)
    on_sites = charged.forces.reshape(-1, 3, 3)
    forces = total.forces.reshape(-1, 3, 3)
    forces[:, 0] += attraction.forces + GAMMA * on_sites[:, 0]
    forces[:, 1:] += on_sites[:, 1:] + (1 - GAMMA) / 2 * on_sites[:, :1]
    return {
        "energy": total.energy + attraction.energy + charged.energy,
        "forces": forces.reshape(-1, 3),
        "virial": total.virial + attraction.virial + charged.virial,
        "dipole": np.einsum("ms,msi->i", charges, sites - centres[:, None]),
    }
