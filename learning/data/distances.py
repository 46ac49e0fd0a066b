"""Distances of near atoms, with all periodic images, by a tree of those within reach."""

from __future__ import annotations

import itertools

import numpy as np
from ase import Atoms
from scipy.spatial import cKDTree

from ...model.checks import lattice_heights

REACH = 3.0  # Å: farther apart two species never stand against each other


def near_pairs(atoms: Atoms, reach: float = REACH) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of atoms that are nearer than a distance, each image counted, in either or both orders.

    Parameters
    ----------
    atoms : ase.Atoms
    reach : float
        In Å.

    Returns
    -------
    first, second : ndarray of int, shape (pairs,)
    distances : ndarray of float64, shape (pairs,)
        In Å.
    """
    positions, images, owners, is_same = atoms.positions, atoms.positions, np.arange(len(atoms)), np.arange(len(atoms))
    if atoms.pbc.any():
        vectors = atoms.cell.array[atoms.pbc]
        dual = np.linalg.pinv(vectors)
        positions = positions - np.floor(positions @ dual) @ vectors
        heights = lattice_heights(atoms.cell.array[None], atoms.pbc)[0]
        counts = [range(-int(np.ceil(reach / height)), int(np.ceil(reach / height)) + 1) for height in heights]
        shifts = np.array(list(itertools.product(*counts)), dtype=float)
        every = (positions[None] + (shifts @ vectors)[:, None]).reshape(-1, 3)
        low, high = positions.min(axis=0) - reach, positions.max(axis=0) + reach
        chosen = np.flatnonzero(((every >= low) & (every <= high)).all(axis=1))
        images, owners = every[chosen], chosen % len(atoms)
        is_same = np.where(chosen // len(atoms) == len(shifts) // 2, owners, -1)  # the middle shift is none
    found = cKDTree(positions).sparse_distance_matrix(cKDTree(images), reach, output_type="ndarray")
    found = found[is_same[found["j"]] != found["i"]]
    return found["i"], owners[found["j"]], found["v"]


def shortest_by_species(atoms: Atoms) -> dict[tuple[int, int], float]:
    """Shortest distance in Å of every pair of elements that comes nearer than `REACH`, lower atomic number first."""
    first, second, distances = near_pairs(atoms)
    numbers = atoms.numbers
    kinds = np.sort([numbers[first], numbers[second]], axis=0)
    found = {}
    for pair in np.unique(kinds, axis=1).T:
        found[int(pair[0]), int(pair[1])] = float(distances[(kinds == pair[:, None]).all(axis=0)].min())
    return found
