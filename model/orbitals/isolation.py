"""Molecules in boxes so large that they do not see their images, as i-PI has them."""

from __future__ import annotations

import numpy as np

from ..errors import StructureError
from ..structures import Batch


def isolated(batch: Batch, reach: float, what: str = "Hamiltonians are") -> Batch:
    """The same atoms without a cell.

    Parameters
    ----------
    batch : Batch
        With whole molecules: atoms are not moved to an image.
    reach : float
        How far atoms see each other, in Å.
    what : str
        What is of molecules alone, with its verb, for the message.

    Raises
    ------
    StructureError
        If a direction is periodic and an image is within reach.
    """
    if not batch.periodic.any():
        return batch
    for bead, (cell, positions) in enumerate(zip(batch.cells, batch.positions, strict=True)):
        for axis in np.flatnonzero(batch.periodic):
            normal = _normal(cell, batch.periodic, int(axis))
            length = np.linalg.norm(normal)
            along = positions @ (normal / length) if length else np.zeros(len(positions))
            free = abs(cell[axis] @ normal) / length - np.ptp(along) if length else 0.0
            if not free > reach:
                raise StructureError(
                    f"along lattice vector {axis} of bead {bead} an image is {free:.4g} Å away; {what} of "
                    f"molecules, whole and more than {reach:g} Å from their images"
                )
    return Batch(batch.numbers, batch.positions, np.zeros_like(batch.cells), np.zeros(3, dtype=bool), batch.charge)


def _normal(cell: np.ndarray, periodic: np.ndarray, axis: int) -> np.ndarray:
    """Normal of the planes that lattice vectors of the other periodic directions span, along a vector's own part."""
    others = [cell[other] for other in np.flatnonzero(periodic) if other != axis]
    if not others:
        return cell[axis]
    directions = np.linalg.qr(np.transpose(others))[0]
    return cell[axis] - directions @ (directions.T @ cell[axis])
