"""Shortest distances between elements, with all periodic images."""

from __future__ import annotations

import numpy as np
from ase import Atoms

from ...pyx.pairs import pairs_within

REACH = 3.0  # Å: farther apart two species never stand against each other
OVERLAP = 0.05  # Å: of atoms that lie on each other there would be no end of pairs


def shortest_by_species(atoms: Atoms) -> dict[tuple[int, int], float]:
    """Shortest distance in Å of every pair of elements that comes nearer than `REACH`, lower atomic number first."""
    first, second, vectors = pairs_within(atoms.positions, atoms.cell.array, atoms.pbc, REACH, OVERLAP)
    distances = np.linalg.norm(vectors, axis=1)
    kinds = np.sort([atoms.numbers[first], atoms.numbers[second]], axis=0)
    found = {}
    for pair in np.unique(kinds, axis=1).T:
        found[int(pair[0]), int(pair[1])] = float(distances[(kinds == pair[:, None]).all(axis=0)].min())
    return found
