"""Branches of the dipole of a periodic cell, which is known up to whole numbers of e times each lattice vector.

King-Smith, Vanderbilt, Phys. Rev. B 47, 1651 (1993); Resta, Rev. Mod. Phys. 66, 899 (1994).  A branch is counted in the
lattice basis, never by Cartesian components.
"""

from __future__ import annotations

import numpy as np
from ase import Atoms


def lattice_quantum(atoms: Atoms) -> np.ndarray | None:
    """Vectors e·a of the periodic directions, in rows, in e·Å; None if nothing is periodic."""
    return atoms.cell.array[atoms.pbc] if atoms.pbc.any() else None


def quanta(difference: np.ndarray, quantum: np.ndarray) -> np.ndarray:
    """How many quanta a difference of dipoles is, not rounded, shape (…, quanta).

    Parameters
    ----------
    difference : ndarray of float64, shape (…, 3)
        In e·Å.
    quantum : ndarray of float64, shape (quanta, 3)
        In e·Å, one for each periodic direction.
    """
    return difference @ np.linalg.pinv(quantum)


def folded(difference: np.ndarray, quantum: np.ndarray | None) -> np.ndarray:
    """A difference of dipoles without whole quanta, shape (…, 3); as it is where there is no quantum."""
    if quantum is None:
        return difference
    return difference - np.round(quanta(difference, quantum)) @ quantum
