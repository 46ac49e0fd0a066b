"""Slow sums over charges and dipoles by other routes than the kernel's."""

import numpy as np
from scipy.special import erf, erfc


def reciprocal_energy(positions, cell, charges, dipoles, widths, highest=9.0):
    """Gaussian charges and dipoles in a lattice by waves alone, ½ Σ 4π/Vk² |S|², less each one's own; in e²/Å."""
    volume = abs(np.linalg.det(cell))
    dual = 2 * np.pi * np.linalg.inv(cell).T
    reach = highest / widths.min()
    most = np.ceil(reach * np.linalg.norm(cell, axis=1) / (2 * np.pi)).astype(int)
    waves = np.stack(np.meshgrid(*(np.arange(-m, m + 1) for m in most), indexing="ij"), axis=-1).reshape(-1, 3) @ dual
    square = np.square(waves).sum(axis=1)
    waves = waves[(square > 0) & (square < reach**2)]
    square = np.square(waves).sum(axis=1)
    moments = charges + 1j * waves @ dipoles.T
    factors = (moments * np.exp(1j * waves @ positions.T - square[:, None] * widths**2 / 2)).sum(axis=1)
    whole = 2 * np.pi / volume * (np.abs(factors) ** 2 / square).sum()
    own = charges**2 / (2 * widths) + np.square(dipoles).sum(axis=1) / (12 * widths**3)
    return whole - own.sum() / np.sqrt(np.pi)


def plain_energy(positions, charges, widths):
    """Σ over pairs of q q erf(r/√2γ)/r; points where widths are 0."""
    total = 0.0
    for i in range(len(charges)):
        for j in range(i):
            r, gamma = np.linalg.norm(positions[i] - positions[j]), np.hypot(widths[i], widths[j])
            total += charges[i] * charges[j] * (erf(r / np.sqrt(2) / gamma) if gamma else 1.0) / r
    return total


def slab_energy(positions, cell, charges, kappa, shells=8):
    """Points in two periodic directions, x and y, by the exact sum (Parry, Surf. Sci. 49, 433 (1975))."""
    plane = cell[:2, :2]
    area, dual = abs(np.linalg.det(plane)), 2 * np.pi * np.linalg.inv(plane).T
    grid = np.stack(np.meshgrid(*[np.arange(-shells, shells + 1)] * 2, indexing="ij"), axis=-1).reshape(-1, 2)
    waves = grid[np.any(grid != 0, axis=1)] @ dual
    length = np.linalg.norm(waves, axis=1)
    total = -kappa / np.sqrt(np.pi) * np.square(charges).sum()
    for i in range(len(charges)):
        for j in range(len(charges)):
            away = positions[i] - positions[j]
            images = np.concatenate([away[:2] + grid @ plane, np.full((len(grid), 1), away[2])], axis=1)
            r = np.linalg.norm(images, axis=1)
            r = r[r > 1e-9]
            z = away[2]
            both = [
                np.exp(np.minimum(sign * length * z, 300.0)) * erfc(length / (2 * kappa) + sign * kappa * z)
                for sign in (1, -1)
            ]
            value = (erfc(kappa * r) / r).sum()
            value += np.pi / area * (np.cos(waves @ away[:2]) / length * sum(both)).sum()
            value -= 2 * np.pi / area * (z * erf(kappa * z) + np.exp(-((kappa * z) ** 2)) / (kappa * np.sqrt(np.pi)))
            total += 0.5 * charges[i] * charges[j] * value
    return total
