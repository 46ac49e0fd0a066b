"""The Hessian of a structure by central differences of forces, many displaced structures in each batch."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...progress import Progress
from ..response import Evaluator
from ..structures import Batch
from .reference import CrystalError

AT_A_TIME = 20_000  # atoms of all structures of a batch, so that memory stays bounded
DISPLACEMENT = 0.005  # Å: the error of the differences is of its second order, that of rounding one over it
STAGE = "displaced structures"


@dataclass(frozen=True)
class RawHessian:
    """A Hessian as differences give it, and how far it is from what one must be.

    Parameters
    ----------
    matrix : ndarray of float64, shape (3 atoms, 3 atoms)
        In eV/Å²; row displacement, column minus the force.
    """

    matrix: np.ndarray

    @property
    def asymmetry(self) -> float:
        """Largest difference of an element and its mirror image in eV/Å²."""
        return float(np.abs(self.matrix - self.matrix.T).max())

    @property
    def sum_rule(self) -> float:
        """Largest force constant between an atom and the crystal moved as a whole, in eV/Å²: 0 where that is free."""
        atoms = len(self.matrix) // 3
        return float(np.abs(self.matrix.reshape(3 * atoms, atoms, 3).sum(axis=1)).max())

    @property
    def largest(self) -> float:
        """Largest element in eV/Å²."""
        return float(np.abs(self.matrix).max())

    def symmetric(self, floats: bool) -> np.ndarray:
        """The nearest symmetric matrix; of a crystal that floats, the nearest one that keeps the acoustic sum rule.

        Parameters
        ----------
        floats : bool
            Whether rows and columns have to vanish for translations: P Φ P with P = 1 − Σ_a t_a t_aᵀ changes the
            matrix least in the least-squares sense (M. Born, K. Huang 1954, equation 23.10, for the rule).
        """
        matrix = (self.matrix + self.matrix.T) / 2
        if floats:
            atoms = len(matrix) // 3
            blocks = matrix.reshape(atoms, 3, atoms, 3)
            rows = blocks.mean(axis=0, keepdims=True)
            matrix = (blocks - rows - blocks.mean(axis=2, keepdims=True) + rows.mean(axis=2, keepdims=True)).reshape(
                matrix.shape
            )
            matrix = (matrix + matrix.T) / 2  # to the last bit
        return matrix


def hessian_of(
    evaluator: Evaluator,
    structure: Batch,
    displacement: float = DISPLACEMENT,
    advance: Progress | None = None,
) -> RawHessian:
    """Second derivatives of the energy by ``[F(−d) − F(d)] / 2d`` for every coordinate.

    Parameters
    ----------
    evaluator : Evaluator
        With forces.
    structure : Batch
        Of one structure.
    displacement : float
        d in Å.
    advance : callable, optional
        Told how many displaced structures of how many are done.

    Raises
    ------
    CrystalError
        If a force is not finite.
    StructureError
        If a displaced structure cannot be evaluated.
    """
    atoms = structure.atoms
    coordinates = 3 * atoms
    matrix = np.empty((coordinates, coordinates))
    step = max(1, AT_A_TIME // (2 * atoms))
    for first in range(0, coordinates, step):
        places = np.arange(first, min(first + step, coordinates))
        positions = np.repeat(structure.positions, 2 * len(places), axis=0).reshape(2, len(places), coordinates)
        for sign, own in zip((-1, 1), positions, strict=True):
            own[np.arange(len(places)), places] += sign * displacement
        frames = positions.reshape(-1, atoms, 3)
        batch = replace(structure, positions=frames, cells=np.repeat(structure.cells, len(frames), axis=0))
        below, above = evaluator.evaluate(batch, ("forces",)).forces.reshape(2, len(places), coordinates)
        matrix[places] = (below - above) / (2 * displacement)
        if advance is not None:
            advance(STAGE, 2 * (places[-1] + 1), 2 * coordinates)
    if not np.isfinite(matrix).all():
        raise CrystalError("forces on displaced atoms are not finite; the structure is outside what the model answers")
    return RawHessian(matrix)
