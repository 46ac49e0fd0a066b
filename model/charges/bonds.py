"""Pairs of atoms between which charge is transferred, as an antisymmetric matrix: nothing is made and nothing lost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...pyx.pairs import pairs_within
from ..errors import as_structure_error
from ..structures import Batch


@dataclass(frozen=True)
class Bonds:
    """Pairs of one bead, each once, with what a difference of electronegativities moves along it.

    Parameters
    ----------
    first, second : ndarray of int, shape (pairs,)
    vectors : ndarray of float64, shape (pairs, 3)
        From the first to the nearest image of the second, in Å, or to another image within reach.
    strength : ndarray of float64, shape (pairs,)
        f(r) in e²/eV.
    slope : ndarray of float64, shape (pairs, 3)
        ∂f/∂(vector).
    """

    first: np.ndarray
    second: np.ndarray
    vectors: np.ndarray
    strength: np.ndarray
    slope: np.ndarray


def bonds_of(batch: Batch, bead: int, reach: float) -> Bonds:
    """All pairs within reach, images included, whose strength is ``f(r) = (1 − (r/reach)²)³`` in e²/eV.

    Its first two derivatives are zero at the reach.

    Raises
    ------
    StructureError
        If a cell is too low for so long a reach.
    """
    with as_structure_error():
        first, second, vectors = pairs_within(batch.positions[bead], batch.cells[bead], batch.periodic, reach)
    once = first < second  # an atom and its own image differ in nothing
    first, second, vectors = first[once], second[once], vectors[once]
    rest = 1.0 - (vectors**2).sum(axis=1) / reach**2
    slope = (-6.0 / reach**2) * (rest**2)[:, None] * vectors
    return Bonds(first, second, vectors, rest**3, slope)
