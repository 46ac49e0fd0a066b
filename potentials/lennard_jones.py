"""The Lennard-Jones potential ``v(r) = 4ε [(σ/r)¹² − (σ/r)⁶]`` between all atoms, isolated or periodic.

The form is that of J. E. Lennard-Jones, Proc. Phys. Soc. 43, 461 (1931).  Without a cutoff every pair of the atoms as
they are given counts once and there are no images, as in i-PI's built-in ``<fflj>``, which leaves out the virial,
though.  With a cutoff, all periodic images nearer than that count, however small the cell is, and the energy of a pair
is ``v(r) − v(cutoff)``: it goes to zero continuously, while the forces end with a step of ``v'(cutoff)``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..pyx.pairs import pairs_within

CLOSEST = 0.1  # of σ: the energy there is 4e12 ε, which no dynamics survives


@dataclass(frozen=True)
class Overlap:
    """Two atoms that are too near to each other.

    Parameters
    ----------
    bead, first, second : int
        The bead and its two atoms, which are the same where an atom meets its own image.
    distance : float
        In Å.
    """

    bead: int
    first: int
    second: int
    distance: float


def evaluate_lennard_jones(
    positions: np.ndarray,
    cells: np.ndarray,
    periodic: np.ndarray,
    well_depth: float,
    diameter: float,
    cutoff: float | None,
) -> tuple[dict[str, np.ndarray], Overlap | None]:
    """Evaluate a batch of beads.

    Parameters
    ----------
    positions : ndarray of float64, shape (beads, atoms, 3)
        In Å.
    cells : ndarray of float64, shape (beads, 3, 3)
        Lattice vectors in Å, one per row; ignored without a cutoff, and in directions that are not periodic.
    periodic : ndarray of bool, shape (3,)
        Directions with images; ignored without a cutoff.
    well_depth : float
        ε in eV.
    diameter : float
        σ in Å.
    cutoff : float or None
        In Å; None for an isolated system.

    Returns
    -------
    arrays : dict of str to ndarray of float64
        ``energy`` (beads,) in eV, ``forces`` (beads, atoms, 3) in eV/Å, ``virial`` (beads, 3, 3) in eV, the negative
        derivative of the energy with respect to strain.
    overlap : Overlap or None
        If there is one, atoms nearer than `CLOSEST` of σ, the arrays mean nothing.
    """
    beads, atoms = positions.shape[:2]
    energies, forces, virials = np.zeros(beads), np.zeros(positions.shape), np.zeros((beads, 3, 3))
    arrays = {"energy": energies, "forces": forces, "virial": virials}
    for bead in range(beads):
        if cutoff is None:
            first, second, vectors = _all_pairs(positions[bead])
        else:
            first, second, vectors = pairs_within(positions[bead], cells[bead], periodic, cutoff, CLOSEST * diameter)
        squares = (vectors**2).sum(axis=1)
        if len(squares) and squares.min() < (CLOSEST * diameter) ** 2:
            pair = int(squares.argmin())
            return arrays, Overlap(bead, int(first[pair]), int(second[pair]), float(np.sqrt(squares[pair])))
        energy, slopes = _pair_energy(squares, well_depth, diameter)
        if cutoff is not None:
            energy -= _pair_energy(np.array([cutoff**2]), well_depth, diameter)[0]
        pulls = slopes[:, None] * vectors
        energies[bead] = 0.5 * energy.sum()  # each pair stands there both ways
        forces[bead] = np.stack([np.bincount(first, pulls[:, axis], atoms) for axis in range(3)], axis=1)
        virials[bead] = -0.5 * vectors.T @ pulls
    return arrays, None


def _all_pairs(positions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every pair of different atoms both ways: first, second, and the vector from the first to the second."""
    first, second = np.nonzero(~np.eye(len(positions), dtype=bool))
    return first, second, positions[second] - positions[first]


def _pair_energy(squares: np.ndarray, well_depth: float, diameter: float) -> tuple[np.ndarray, np.ndarray]:
    """``v`` and ``v'(r)/r`` of pairs, from the squares of their distances in Å²."""
    attraction = (diameter**2 / squares) ** 3
    repulsion = attraction**2
    return 4 * well_depth * (repulsion - attraction), 24 * well_depth * (attraction - 2 * repulsion) / squares
