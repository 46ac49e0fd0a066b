"""Silicon by Stillinger and Weber: ``--model beadwise.inputs.stillinger_weber:silicon``.

F. H. Stillinger, T. A. Weber, Phys. Rev. B 31, 5262 (1985): pairs and angles within 3.77 Å.  With this energy and a
density of states of one's own, dynamics of silicon has electrons.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from ..model import Batch, Response, StructureError
from ..model.checks import CLOSEST_ALLOWED, check_cells, refuse_unknown_species
from ..model.response import refuse_unavailable

EPSILON, SIGMA = 2.1683, 2.0951  # eV, Å
A, B, REACH, LAMBDA, GAMMA = 7.049556277, 0.6022245584, 1.80, 21.0, 1.20
CUTOFF = REACH * SIGMA
SILICON = 14


class StillingerWeber:
    """The potential of silicon."""

    species = (SILICON,)
    properties = ("energy", "forces", "virial")

    def evaluate(self, batch: Batch, want: Sequence[str]) -> Response:
        """Answer the wanted properties for every bead.

        Raises
        ------
        PropertyError
            If a wanted property is not available.
        StructureError
            If an atom is no silicon, two are at one place, or a cell is too flat.
        """
        refuse_unavailable(want, self.properties, "Stillinger and Weber's silicon")
        refuse_unknown_species(batch, self.species, "Stillinger and Weber's silicon")
        check_cells(batch)
        every = [
            _answer(positions, cell, batch.periodic)
            for positions, cell in zip(batch.positions, batch.cells, strict=True)
        ]
        arrays = {name: np.array(own) for name, own in zip(self.properties, zip(*every, strict=True), strict=True)}
        return Response(**{name: arrays[name] for name in want})


def _answer(positions: np.ndarray, cell: np.ndarray, periodic: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Energy, forces and virial of one structure."""
    energy, forces, virial = 0.0, np.zeros_like(positions), np.zeros((3, 3))
    for centre, (atoms, vectors) in enumerate(_neighbours(positions, cell, periodic)):
        own, slopes = _of_atom(vectors)
        energy += own
        np.subtract.at(forces, atoms, slopes)
        forces[centre] += slopes.sum(axis=0)
        virial -= slopes.T @ vectors
    return energy, forces, 0.5 * (virial + virial.T)


def _neighbours(positions: np.ndarray, cell: np.ndarray, periodic: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of each atom, which atoms are within the cutoff, and the vectors to them."""
    lattice = cell[periodic]  # slabs and molecules may have no other vectors
    inverse = np.linalg.pinv(lattice)
    images = [range(-m, m + 1) for m in np.ceil(CUTOFF * np.linalg.norm(inverse, axis=0)).astype(int)]
    shifts = np.array(list(itertools.product(*images))) @ lattice
    wrapped = positions - np.floor(positions @ inverse) @ lattice
    found = []
    for centre in wrapped:
        vectors = (wrapped[:, None] + shifts - centre).reshape(-1, 3)
        distances = np.linalg.norm(vectors, axis=1)
        if np.count_nonzero(distances < CLOSEST_ALLOWED) > 1:  # one is the atom itself
            raise StructureError(
                f"two atoms are within {CLOSEST_ALLOWED:g} Å of each other, for which Stillinger and Weber's silicon "
                "is not made"
            )
        near = np.flatnonzero((distances / SIGMA < REACH) & (distances > 0))
        found.append((near // len(shifts), vectors[near]))
    return found


def _of_atom(vectors: np.ndarray) -> tuple[float, np.ndarray]:
    """Half of the pairs and all angles of one atom, and the derivatives by its vectors, shape (neighbours, 3)."""
    r = np.linalg.norm(vectors, axis=1) / SIGMA
    unit = vectors / (r * SIGMA)[:, None]
    decay = np.exp(1 / (r - REACH))
    pair = 0.5 * EPSILON * A * (B / r**4 - 1) * decay
    slope = 0.5 * EPSILON * A * decay * (-4 * B / r**5 - (B / r**4 - 1) / (r - REACH) ** 2) / SIGMA
    g = np.exp(GAMMA / (r - REACH))
    dg = -GAMMA / (r - REACH) ** 2 * g / SIGMA
    cosine = unit @ unit.T
    bend = cosine + 1 / 3
    np.fill_diagonal(bend, 0.0)  # an atom makes no angle with itself
    products = EPSILON * LAMBDA * bend**2 * np.outer(g, g)
    turn = 2 * EPSILON * LAMBDA * bend * np.outer(g, g) / (r * SIGMA)[:, None]
    radial = slope + EPSILON * LAMBDA * dg * (bend**2 @ g) - (turn * cosine).sum(axis=1)
    return float(pair.sum() + 0.5 * products.sum()), radial[:, None] * unit + turn @ unit


silicon = StillingerWeber()
