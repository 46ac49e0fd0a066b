"""A harmonic crystal: ``V = ½ Σ_ij u_i Φ_ij u_j`` of the displacements u of the atoms from their sites.

Sites belong to the cell: a strain carries them along, so that displacements are strained with everything else and the
virial, the negative derivative of the energy with respect to strain ε_ab, is ``Σ_i F_ia u_ib``.  It is not symmetric,
as a harmonic crystal that is turned as a whole is another one.

Source: M. Born, K. Huang, Dynamical Theory of Crystal Lattices (1954), chapter V.
"""

from __future__ import annotations

import numpy as np


def displacements(
    positions: np.ndarray, cells: np.ndarray, periodic: np.ndarray, fractions: np.ndarray, floats: bool
) -> np.ndarray:
    """Displacements of atoms from their sites, whichever images the positions are.

    Parameters
    ----------
    positions : ndarray of float64, shape (beads, atoms, 3)
        In Å.
    cells : ndarray of float64, shape (beads, 3, 3)
        Lattice vectors in Å, one per row.
    periodic : ndarray of bool, shape (3,)
        Directions in which atoms have images.
    fractions : ndarray of float64, shape (atoms, 3)
        Sites in fractions of the lattice vectors.
    floats : bool
        Whether the crystal may be anywhere in space: then the mean displacement is taken off, and images are told by
        the displacement against the first atom, so that a crystal that has drifted far is still the same.

    Returns
    -------
    ndarray of float64, shape (beads, atoms, 3)
        In Å.  They are right while atoms are nearer to their sites (and, where the crystal floats, to that of the
        first atom as it has moved) than half the smallest height of the cell.
    """
    moved = positions - fractions @ cells
    if floats:
        moved = moved - moved[:, :1]
    if periodic.any():
        images = np.round(moved @ np.linalg.inv(cells)) * periodic
        moved = moved - images @ cells
    return moved - moved.mean(axis=1, keepdims=True) if floats else moved


def evaluate_harmonic_crystal(moved: np.ndarray, hessian: np.ndarray) -> dict[str, np.ndarray]:
    """Evaluate a batch of beads.

    Parameters
    ----------
    moved : ndarray of float64, shape (beads, atoms, 3)
        What `displacements` gives.
    hessian : ndarray of float64, shape (3 atoms, 3 atoms)
        Φ in eV/Å², symmetric.

    Returns
    -------
    dict of str to ndarray of float64
        ``energy`` (beads,) in eV above the sites, ``forces`` (beads, atoms, 3) in eV/Å, ``virial`` (beads, 3, 3) in eV.
    """
    forces = -(moved.reshape(len(moved), -1) @ hessian).reshape(moved.shape)
    return {
        "energy": -0.5 * (moved * forces).sum(axis=(1, 2)),
        "forces": forces,
        "virial": np.einsum("nia,nib->nab", forces, moved),
    }
