"""A linear energy of long-range potentials and of their products with the local density."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ...potentials.lode.settings import LongRangeShape
from ...short_repr import short_repr
from ..structures import Batch

if TYPE_CHECKING:
    from ...potentials.lode.features import LongRange


@dataclass(frozen=True, repr=False)
class LongRangeEnergy:
    """What is added to the energy of each atom: Σ_f weight · feature of `beadwise.potentials.lode`.

    Parameters
    ----------
    shape : LongRangeShape
    weights : ndarray of float64, shape (species, features)
        In eV over the unit of the feature.

    Raises
    ------
    ValueError
        If the weights have another shape, or are not finite.
    """

    shape: LongRangeShape
    weights: np.ndarray

    __repr__ = short_repr

    def __post_init__(self) -> None:
        needed = (self.shape.species, self.shape.features(0))
        if self.weights.shape != needed:
            raise ValueError(f"long-range weights of shape {self.weights.shape}; {needed} is needed")
        if not np.isfinite(self.weights).all():
            raise ValueError("long-range weights are not finite")

    @classmethod
    def without_weights(cls, shape: LongRangeShape) -> LongRangeEnergy:
        """One that adds nothing."""
        return cls(shape, np.zeros((shape.species, shape.features(0))))

    def with_weights(self, weights: np.ndarray) -> LongRangeEnergy:
        """The same with other weights, in one row."""
        return replace(self, weights=weights.reshape(self.weights.shape).copy())

    def of(self, batch: Batch, species: np.ndarray, bead: int) -> LongRange:
        """Features of one bead.

        Raises
        ------
        ValueError
            If only some directions are periodic.
        """
        from ...potentials.lode.features import LongRange  # with SciPy, which takes long to import

        return LongRange(self.shape, batch.positions[bead], species, batch.cells[bead], batch.periodic.tolist())

    def add(
        self,
        batch: Batch,
        species: np.ndarray,
        rows: np.ndarray,
        values: np.ndarray,
        gradients: np.ndarray,
        strains: np.ndarray,
    ) -> None:
        """Add it to what the kernel gives.

        Parameters
        ----------
        batch : Batch
        species : ndarray of int32, shape (atoms,)
        rows : ndarray of float64, shape (beads, rows, outputs)
            Combinations of outputs whose derivatives are wanted; the first output is the energy.
        values : ndarray of float64, shape (beads, atoms, outputs), added to
        gradients : ndarray of float64, shape (beads, rows, atoms, 3), added to
        strains : ndarray of float64, shape (beads, rows, 3, 3), added to

        Raises
        ------
        ValueError
            If only some directions are periodic.
        """
        if not self.weights.any():
            return
        adjoints = self.weights[species][:, :, None]
        for bead in range(batch.beads):
            own = self.of(batch, species, bead)
            values[bead, :, 0] += (own.features(0) * adjoints).sum(axis=(1, 2))
            if rows[bead, :, 0].any():
                gradient, strain = own.pull_back(0, adjoints)
                gradients[bead] += rows[bead, :, 0, None, None] * gradient
                strains[bead] += rows[bead, :, 0, None, None] * strain
