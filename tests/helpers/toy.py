"""A small evaluator with every property: smooth pair terms and fixed charges, all derivatives by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.geometry import find_mic
from beadwise.model import ORDINARY_PROPERTIES, Batch, Response, StructureError
from beadwise.properties.quantities import FURTHER, properties

CUTOFF = 3.0
CLOSEST = 0.3
CHARGES = {1: 0.4, 8: -0.8}
STRENGTHS = {1: 0.7, 8: 1.3}
MASSES = {1: 1.008, 8: 15.999}
KNOWN = tuple(
    name for name in ORDINARY_PROPERTIES if properties()[name].quantity not in FURTHER and "screened" not in name
)
SHIFTS = np.stack(np.meshgrid(*[(-1, 0, 1)] * 3, indexing="ij"), -1).reshape(27, 3)


class Toy:
    """Pairs repel by a_i a_j (1 - r²/c²)³, charges are fixed, pairs and atoms add to the polarizability.

    Molecules are three consecutive atoms.
    """

    species = (1, 8)

    def __init__(self, properties: Sequence[str] = KNOWN):
        self.properties = tuple(properties)
        self.batches: list[Batch] = []
        self.wants: list[tuple[str, ...]] = []

    def evaluate(self, batch: Batch, want: Sequence[str]) -> Response:
        self.batches.append(batch)
        self.wants.append(tuple(want))
        beads = [self._evaluate_bead(batch, bead) for bead in range(batch.beads)]
        return Response(**{name: np.array([bead[name] for bead in beads]) for name in want})

    def _evaluate_bead(self, batch: Batch, bead: int) -> dict[str, np.ndarray]:
        positions, cell = batch.positions[bead], batch.cells[bead]
        charges = np.array([CHARGES[number] for number in batch.numbers])
        strengths = np.array([STRENGTHS[number] for number in batch.numbers])
        vectors = pair_vectors(positions, cell if batch.periodic.all() else None)
        inside = np.maximum(1 - (vectors**2).sum(-1) / CUTOFF**2, 0.0)
        weights = 0.5 * strengths[:, None, None] * strengths[:, None]
        pulls = -6 / CUTOFF**2 * weights * inside**2  # derivative of the energy by r², twice
        polarizabilities = strengths[:, None, None] * np.eye(3)
        polarizabilities += np.einsum("ijs,ijsa,ijsb->iab", weights * inside**3, vectors, vectors)
        # ∂(w u³ v_a v_b)/∂v_k of every pair, which stands twice in the sum
        slopes = np.einsum("ijs,ijsk,ijsa,ijsb->ikab", -6 / CUTOFF**2 * weights * inside**2, vectors, vectors, vectors)
        along = np.einsum("ijs,ijsb,ak->ikab", weights * inside**3, vectors, np.eye(3))
        derivatives = -2 * (slopes + along + np.swapaxes(along, 2, 3))
        return {
            "energy": (weights * inside**3).sum(),
            "forces": 2 * np.einsum("ijs,ijsa->ia", pulls, vectors),
            "virial": -np.einsum("ijs,ijsa,ijsb->ab", pulls, vectors, vectors),
            "dipole": charges @ positions,
            "polarizability": polarizabilities.sum(axis=0),
            "born_charges": charges[:, None, None] * np.eye(3),
            "polarizability_derivatives": derivatives,
            "molecular_dipole": (charges[:, None] * positions).reshape(-1, 3, 3).sum(axis=1),
            "molecular_polarizability": polarizabilities.reshape(-1, 3, 3, 3).sum(axis=1),
            "molecular_position": centres_of_mass(batch.numbers, positions, cell, batch.periodic),
        }


def centres_of_mass(numbers: np.ndarray, positions: np.ndarray, cell: np.ndarray, periodic: np.ndarray) -> np.ndarray:
    """Of three consecutive atoms each, put together at the first."""
    centres = []
    for start in range(0, len(numbers), 3):
        from_first, _ = find_mic(positions[start : start + 3] - positions[start], cell, periodic)
        masses = [MASSES[number] for number in numbers[start : start + 3]]
        centres.append(positions[start] + np.average(from_first, axis=0, weights=masses))
    return np.array(centres)


def pair_vectors(positions: np.ndarray, cell: np.ndarray | None) -> np.ndarray:
    """Vectors from i to each image of j, shape (atoms, atoms, images, 3); an atom and itself are out of reach."""
    vectors = (positions[None] - positions[:, None])[:, :, None]
    if cell is not None:
        vectors = vectors - np.rint(vectors @ np.linalg.inv(cell)) @ cell + SHIFTS @ cell
    distances = np.linalg.norm(vectors, axis=-1)
    itself = np.eye(len(positions), dtype=bool)[:, :, None] & (distances < 1e-9)
    vectors[itself], distances[itself] = 2 * CUTOFF, 2 * CUTOFF
    if (distances < CLOSEST).any():
        i, j, _ = np.argwhere(distances < CLOSEST)[0]
        raise StructureError(f"atoms {i} and {j} are {distances[i, j].min():.3f} Å apart; must be at least {CLOSEST} Å")
    return vectors


def water(seed: int = 1) -> Atoms:
    """Two water molecules in a slightly skewed periodic box, in the orientation that i-PI wants."""
    positions = [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0], [2.6, 0.4, 0.8], [3.1, 1.2, 0.6], [3.1, -0.3, 1.3]]
    cell = [[6.5, 0, 0], [0.4, 6.8, 0], [-0.3, 0.5, 7.1]]
    atoms = Atoms("OHHOHH", positions=positions, cell=cell, pbc=True)
    atoms.positions += np.random.default_rng(seed).normal(0, 0.05, (6, 3))
    return atoms
