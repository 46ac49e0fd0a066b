"""Ice Ih and Ic with disordered protons, as structure files to begin with.

python benchmarks/ice.py Ih 2,2,2 iceIh.xyz [SEED]
"""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import write

BOND = 2.758  # Å, between oxygens
OH = 0.95  # Å
TRIES = 200  # orders of protons, of which that of the smallest dipole is taken


def oxygens(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Fractions and lattice vectors (lengths) of the orthogonal cell of 8 molecules, at one density for both ices."""
    if kind == "Ic":
        faces = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
        return np.concatenate([faces, faces + 0.25]), np.full(3, 4 / np.sqrt(3) * BOND)
    side = np.sqrt(8 / 3) * BOND
    layers = [(1 / 3, 1 / 16), (1 / 6, 9 / 16), (1 / 6, 15 / 16), (1 / 3, 7 / 16)]
    places = [[0.5 * (number in (1, 2)), y, z] for number, (y, z) in enumerate(layers)]
    half = np.array([0.5, 0.5, 0.0])
    return np.concatenate([np.array(places), np.array(places) + half]), np.array(
        [side, np.sqrt(3) * side, 8 / 3 * BOND]
    )


def ice(kind: str, repeats: tuple[int, int, int], seed: int = 1) -> Atoms:
    """A supercell, molecules as O, H, H.

    The bonds are the edges of a graph with four at each oxygen.  Along a closed walk over all edges each oxygen is left
    twice and reached twice: so every such walk is an order of protons that keeps the ice rules (J. D. Bernal,
    R. H. Fowler, J. Chem. Phys. 1, 515 (1933)).
    """
    fractions, lengths = oxygens(kind)
    lattice = Atoms("O8", fractions * lengths, cell=lengths, pbc=True).repeat(repeats)
    vectors = lattice.get_all_distances(mic=True, vector=True)
    distances = np.linalg.norm(vectors, axis=-1) + 10 * np.eye(len(lattice))
    neighbours = [np.flatnonzero(row < 1.2 * BOND) for row in distances]
    if any(len(own) != 4 for own in neighbours):
        raise SystemExit(f"cell {repeats} is too small: an oxygen is its own neighbour's image; repeat it more often")
    random = np.random.default_rng(seed)
    walks = (walk(neighbours, random) for _ in range(TRIES))
    best = min(walks, key=lambda bonds: np.linalg.norm(sum(vectors[a, b] for a, b in bonds)))
    own = {atom: [vectors[a, b] / distances[a, b] for a, b in best if a == atom] for atom in range(len(lattice))}
    places = [
        place
        for atom, oxygen in enumerate(lattice.positions)
        for place in (oxygen, *(oxygen + OH * v for v in own[atom]))
    ]
    return Atoms("OH2" * len(lattice), places, cell=lattice.cell, pbc=True)


def walk(neighbours: list[np.ndarray], random: np.random.Generator) -> list[tuple[int, int]]:
    """A random closed walk over all bonds, as directed pairs (C. Hierholzer, Math. Ann. 6, 30 (1873))."""
    left = [list(random.permutation(own)) for own in neighbours]
    path, found = [0], []
    while path:
        here = path[-1]
        if left[here]:
            there = left[here].pop()
            left[there].remove(here)
            path.append(int(there))
        else:
            found.append(path.pop())
    return list(pairwise(found))


if __name__ == "__main__":
    kind, repeats, path, *seed = sys.argv[1:]
    structure = ice(kind, tuple(map(int, repeats.split(","))), int(seed[0]) if seed else 1)
    write(Path(path), structure, format="extxyz")
