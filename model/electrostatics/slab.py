"""Two periodic directions: slabs in a lattice with vacuum between them, whose effect on each other is taken off.

The waves along the lattice's planes fade within the vacuum.  Those across them do not, but their sum is known: it gives
each pair ``(2π/A) (L/6 − |z| + z²/L)`` where a slab alone has ``−2π|z|/A``, A the area of the cell and L the height of
the lattice (Yeh, Berkowitz, J. Chem. Phys. 111, 3155 (1999); with a total charge Ballenegger, Arnold, Cerdà,
J. Chem. Phys. 131, 094107 (2009)).  So ``K(z) = −(2π/V)(L²/6 + z²)``, V = A L, is added to the potential of each
charge, and what is left of the lattice is e^(−k × vacuum) with the shortest wave vector k of the planes.
"""

from __future__ import annotations

import math

import numpy as np

from ..errors import StructureError


def normal_of(cells: np.ndarray, periodic: np.ndarray) -> np.ndarray:
    """Unit vectors across the periodic planes, shape (beads, 3).

    Parameters
    ----------
    cells : ndarray of float64, shape (beads, 3, 3)
        In Å, one vector per row.
    periodic : ndarray of bool, shape (3,)
        Two of them true.

    Raises
    ------
    StructureError
        If they span no plane.
    """
    missing = int(np.flatnonzero(~periodic)[0])
    across = np.cross(cells[:, (missing + 1) % 3], cells[:, (missing + 2) % 3])
    areas = np.linalg.norm(across, axis=1, keepdims=True)
    if not (areas > 0).all():
        raise StructureError("periodic vectors of a cell span no plane; they must not be parallel, or zero")
    return np.asarray(across / areas)


def with_vacuum(
    positions: np.ndarray, cells: np.ndarray, periodic: np.ndarray, accuracy: float, reach: float
) -> np.ndarray:
    """Cells whose third vector is across the planes, with so much vacuum that the rest is below the accuracy.

    Parameters
    ----------
    positions : ndarray of float64, shape (beads, sites, 3)
        In Å.
    cells, periodic
        As in `normal_of`.
    accuracy : float
    reach : float
        Of the near part, in Å.

    Returns
    -------
    ndarray of float64, shape (beads, 3, 3)
    """
    missing = int(np.flatnonzero(~periodic)[0])
    normal = normal_of(cells, periodic)
    heights = np.einsum("bia,ba->bi", positions, normal)
    thickness = np.ptp(heights, axis=1) if positions.shape[1] else np.zeros(len(cells))
    whole = cells.copy()
    whole[:, missing] = normal
    duals = np.linalg.norm(np.linalg.inv(whole)[:, :, periodic], axis=1)  # a column each
    vacuum = np.maximum(-math.log(accuracy) / (2 * np.pi * duals.min(axis=1)), reach)
    whole[:, missing] = normal * (thickness + vacuum)[:, None]
    return whole


class SlabCorrection:
    """K(z) between charges and dipoles, and its derivatives.

    Parameters
    ----------
    positions : ndarray of float64, shape (beads, sites, 3)
        In Å.
    cells : ndarray of float64, shape (beads, 3, 3)
        Those that `with_vacuum` made.
    periodic : ndarray of bool, shape (3,)
    """

    def __init__(self, positions: np.ndarray, cells: np.ndarray, periodic: np.ndarray):
        self.normal = normal_of(cells, periodic)
        heights = np.einsum("bia,ba->bi", positions, self.normal)
        middle = heights.mean(axis=1, keepdims=True) if positions.shape[1] else 0.0
        self.z = (heights - middle)[:, None]  # (beads, 1, sites)
        volumes = np.abs(np.linalg.det(cells))
        self.height = np.einsum("ba,ba->b", cells[:, int(np.flatnonzero(~periodic)[0])], self.normal)[:, None, None]
        self.factor = (-2 * np.pi / volumes)[:, None, None]

    def add(
        self,
        charges: np.ndarray | None,
        dipoles: np.ndarray | None,
        pairs: list[tuple[int, int]],
        potentials: np.ndarray,
        strains: np.ndarray,
    ) -> None:
        """Add it to what the kernel gives, in place.

        Parameters
        ----------
        charges, dipoles : ndarray of float64, shapes (beads, columns, sites), (beads, columns, sites, 3), or None
        pairs : list of (int, int)
        potentials, strains : ndarray of float64
            As `beadwise.pyx.electrostatics.potentials_of_moments` returns them.
        """
        z, n = self.z, self.normal
        q = np.zeros_like(potentials[..., 0]) if charges is None else charges
        p = np.zeros_like(q) if dipoles is None else np.einsum("bcia,ba->bci", dipoles, n)
        total = q.sum(axis=2, keepdims=True)
        first = (q * z + p).sum(axis=2, keepdims=True)
        second = (q * z**2 + 2 * p * z).sum(axis=2, keepdims=True)
        value = self.factor * (total * (self.height**2 / 6 + z**2) - 2 * z * first + second)
        slope = 2 * self.factor * (total * z - first)
        potentials[..., 0] += value
        potentials[..., 1:4] += slope[..., None] * n[:, None, None]
        square = n[:, [0, 1, 2, 1, 0, 0]] * n[:, [0, 1, 2, 2, 2, 1]]
        potentials[..., 4:] += (2 * self.factor * total)[..., None] * square[:, None, None]
        for number, (left, right) in enumerate(pairs):
            energy = (q[:, left] * value[:, right] + p[:, left] * slope[:, right]).sum(axis=1)
            strains[:, number] += energy[:, None, None] * (2 * n[:, :, None] * n[:, None] - np.eye(3))
            if dipoles is not None:  # dipoles stay while the planes turn
                for one, other in ((left, right), (right, left)):
                    turned = np.einsum("bi,bia->ba", slope[:, other], dipoles[:, one])
                    strains[:, number] -= n[:, :, None] * turned[:, None]
