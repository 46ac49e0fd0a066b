"""Oscillators whose shielding is σ₀ + σ₁ x + ½ σ₂ r ⊗ r, and what three members of a committee say of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from beadwise.model import Batch, Response
from oscillators import SITES, Oscillators

CONSTANT, LINEAR, QUADRATIC = 30.0, 5.0, 40.0  # ppm, ppm/Å, ppm/Å²
MEMBERS = np.array([0.9, 1.0, 1.1])  # by which each multiplies what is quadratic


class Shielded(Oscillators):
    properties = (*Oscillators.properties, "shielding", "committee_shielding")

    def evaluate(self, batch: Batch, want: Sequence[str]) -> Response:
        found = super().evaluate(batch, [name for name in want if name in Oscillators.properties])
        displacements = batch.positions - SITES
        fixed = CONSTANT * np.eye(3) + LINEAR * displacements[..., :1, None] * np.eye(3)
        squares = 0.5 * QUADRATIC * displacements[..., :, None] * displacements[..., None, :]
        arrays = {
            "shielding": fixed + squares,
            "committee_shielding": fixed[:, None] + MEMBERS[:, None, None, None] * squares[:, None],
        }
        return Response(**{name: found[name] if name in found.names else arrays[name] for name in want})


def at_1600() -> Shielded:
    return Shielded(1600.0)
