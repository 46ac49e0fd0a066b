"""How far an atom's surroundings are outside those of the training: an alarm that does not rest on statistics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...short_repr import short_repr

SMALLEST_RANGE = 1e-6  # of a species' largest density: a channel that never varied in training still has a range


@dataclass(frozen=True, repr=False)
class Envelope:
    """Lowest and highest two-body densities c_00 of every species in the training frames.

    The members of a committee agree where none of them has seen anything, if their weights there are all held small;
    leaving the range of the descriptors is then the sign of an extrapolation (Behler, J. Phys.: Condens. Matter 26,
    183001 (2014), on symmetry functions).

    Parameters
    ----------
    low, high : ndarray of float64, shape (species, channels)
    """

    low: np.ndarray
    high: np.ndarray

    __repr__ = short_repr

    @classmethod
    def of(cls, metadata: Any, species: int, channels: int) -> Envelope | None:
        """What the metadata of a model, whatever they are, say of its training; None if nothing that fits it."""
        described = metadata.get("envelope") if isinstance(metadata, dict) else None
        if not isinstance(described, dict):
            return None
        try:
            low, high = (np.array(described[f"two_body_{name}"], dtype=np.float64) for name in ("low", "high"))
        except (KeyError, TypeError, ValueError):
            return None
        if not low.shape == high.shape == (species, channels) or not np.isfinite([low, high]).all():
            return None  # infinite where training had no atom of a species
        return cls(low, high)

    def distances(self, density: np.ndarray, species: np.ndarray) -> np.ndarray:
        """How far each atom is outside, in units of the range of the channel that is farthest; 0 inside.

        Parameters
        ----------
        density : ndarray of float64, shape (beads, atoms, channels)
            c_00 of every atom.
        species : ndarray of int, shape (atoms,)
            Species indices.

        Returns
        -------
        ndarray of float64, shape (beads, atoms)
        """
        largest = np.maximum(np.abs(self.low), np.abs(self.high)).max(axis=1, keepdims=True)
        largest = np.where(largest > 0, largest, 1.0)  # a species that was seen only as isolated atoms
        ranges = np.maximum(self.high - self.low, SMALLEST_RANGE * largest)[species]
        beyond = np.maximum(self.low[species] - density, density - self.high[species])
        return np.maximum(beyond / ranges, 0.0).max(axis=2)
