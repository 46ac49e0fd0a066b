"""A harmonic trap: every atom is bound to the origin of space by the same isotropic spring, ``V = k/2 Σ_i r_i²``.

The trap belongs to the laboratory and not to the cell: positions are taken as they are, not folded into the cell, so
the energy changes if all atoms are moved, or one of them by a lattice translation.  The energy does not depend on the
cell at given positions, and what an external field does to the atoms is no pressure of theirs, so the virial is zero:
not the ``Σ_i r_i ⊗ F_i`` of a potential that strain carries along, which for a trap would depend on where the origin
lies.  i-PI's own harmonic driver answers the same; otherwise trajectories at constant pressure would differ.
"""

from __future__ import annotations

import numpy as np


def evaluate_harmonic(positions: np.ndarray, stiffness: float) -> dict[str, np.ndarray]:
    """Evaluate a batch of beads.

    Parameters
    ----------
    positions : ndarray of float64, shape (beads, atoms, 3)
        In Å, from the centre of the trap.
    stiffness : float
        Of the spring, k, in eV/Å².

    Returns
    -------
    dict of str to ndarray of float64
        ``energy`` (beads,) in eV, ``forces`` (beads, atoms, 3) in eV/Å, ``virial`` (beads, 3, 3) in eV, which is zero.
    """
    return {
        "energy": 0.5 * stiffness * (positions**2).sum(axis=(1, 2)),
        "forces": -stiffness * positions,
        "virial": np.zeros((len(positions), 3, 3)),
    }
