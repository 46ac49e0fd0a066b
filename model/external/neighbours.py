"""Pairs of a bead as graph networks want them: two atoms, and how many cells the second one is away."""

from __future__ import annotations

import numpy as np
from ase.geometry import complete_cell

from ...pyx.pairs import pairs_within
from ..checks import CLOSEST_ALLOWED, refuse_overlap
from ..errors import as_structure_error
from ..structures import Batch


def edges(batch: Batch, bead: int, cutoff: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Find all pairs of a bead that are nearer than a distance; each stands there both ways.

    Parameters
    ----------
    batch : Batch
    bead : int
    cutoff : float
        In Å.

    Returns
    -------
    first, second : ndarray of int32, shape (pairs,)
    images : ndarray of float64, shape (pairs, 3)
        Whole numbers n, so that ``r[second] − r[first] + n @ cell`` leads from the first to the second.
    cell : ndarray of float64, shape (3, 3)
        In Å; in directions that are not periodic a vector at right angles to the others, so that it has an inverse.

    Raises
    ------
    StructureError
        If atoms lie on each other, or the cell is too flat.
    """
    cell = complete_cell(np.where(batch.periodic[:, None], batch.cells[bead], 0.0))
    positions = batch.positions[bead]
    with as_structure_error(f"bead {bead}"):
        first, second, vectors = pairs_within(positions, cell, batch.periodic, cutoff, CLOSEST_ALLOWED)
    _refuse_near(bead, first, second, vectors)
    if not batch.periodic.any():
        return first, second, np.zeros_like(vectors), cell
    between = np.take(positions, second, axis=0) - np.take(positions, first, axis=0)
    return first, second, np.rint((vectors - between) @ np.linalg.inv(cell)), cell


def refuse_overlapping(batch: Batch, bead: int) -> None:
    """Refuse a bead with atoms that lie on each other.

    Raises
    ------
    StructureError
        Naming two of them.
    """
    with as_structure_error(f"bead {bead}"):
        found = pairs_within(batch.positions[bead], batch.cells[bead], batch.periodic, CLOSEST_ALLOWED, CLOSEST_ALLOWED)
    _refuse_near(bead, *found)


def _refuse_near(bead: int, first: np.ndarray, second: np.ndarray, vectors: np.ndarray) -> None:
    if not len(first):
        return
    squares = np.einsum("px,px->p", vectors, vectors)
    nearest = int(squares.argmin())
    if squares[nearest] < CLOSEST_ALLOWED**2:
        refuse_overlap((bead, int(first[nearest]), int(second[nearest]), float(np.sqrt(squares[nearest]))))


def box(batch: Batch, bead: int, cutoff: float) -> np.ndarray:
    """A cell for programs that know no other than periodic ones: images along other directions are out of reach.

    Parameters
    ----------
    batch : Batch
    bead : int
    cutoff : float
        In Å; images are at least this and 1 Å more away.

    Returns
    -------
    ndarray of float64, shape (3, 3)
        In Å; vectors of periodic directions are as they are, the others at right angles to them.
    """
    if batch.periodic.all():
        return batch.cells[bead]
    cell = complete_cell(np.where(batch.periodic[:, None], batch.cells[bead], 0.0))
    for direction in np.flatnonzero(~batch.periodic):
        along = cell[direction] / np.linalg.norm(cell[direction])
        extent = np.ptp(batch.positions[bead] @ along)
        cell[direction] = along * (extent + cutoff + 1.0)
    return cell
