"""T of dipoles in a lattice, as a matrix, slowly: Ewald's sum in NumPy, Thole's damping beside it."""

import itertools

import numpy as np
from scipy.special import erfc


def dense_interaction(positions, cell, damping=0.0, kappa=0.6, depth=5.6):
    """Shape (3 sites, 3 sites), in 1/Å³; e^(−depth²) is left out."""
    sites = len(positions)
    whole = np.zeros((sites, 3, sites, 3))
    reach = max(depth / kappa, damping * depth ** (2 / 3))
    heights = 1 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    most = np.ceil(reach / heights).astype(int) + 2
    shifts = np.array(list(itertools.product(*(range(-m, m + 1) for m in most)))) @ cell
    for i, j in np.ndindex(sites, sites):
        r = positions[j] - positions[i] + shifts
        length = np.linalg.norm(r, axis=1)
        r, length = r[(length > 1e-9) & (length < reach)], length[(length > 1e-9) & (length < reach)]
        gauss = 2 * kappa / np.sqrt(np.pi) * np.exp(-((kappa * length) ** 2))
        first = (erfc(kappa * length) / length + gauss) / length**2
        second = (3 * first + 2 * kappa**2 * gauss) / length**2
        if damping:
            w = (length / damping) ** 3
            first -= np.exp(-w) / length**3
            second -= 3 * (1 + w) * np.exp(-w) / length**5
        whole[i, :, j] += first.sum() * np.eye(3) - np.einsum("n,na,nb->ab", second, r, r)
    dual, highest = 2 * np.pi * np.linalg.inv(cell).T, 2 * kappa * depth
    most = np.ceil(highest * np.linalg.norm(cell, axis=1) / (2 * np.pi)).astype(int)
    waves = np.array(list(itertools.product(*(range(-m, m + 1) for m in most)))) @ dual
    square = np.square(waves).sum(axis=1)
    waves, square = waves[(square > 0) & (square < highest**2)], square[(square > 0) & (square < highest**2)]
    weights = 4 * np.pi / abs(np.linalg.det(cell)) * np.exp(-square / (4 * kappa**2)) / square
    phases = np.exp(1j * waves @ positions.T)
    whole += np.einsum("k,ka,kb,ki,kj->iajb", weights, waves, waves, phases, phases.conj(), optimize=True).real
    matrix = whole.reshape(3 * sites, 3 * sites)
    return matrix - 4 * kappa**3 / (3 * np.sqrt(np.pi)) * np.eye(3 * sites)
