"""A harmonic trap in i-PI's process, which is killed after so many evaluations where a file KILL holds their number."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from beadwise.model import Batch, Response

STIFFNESS = 5.0  # eV/Å²


class Trap:
    species = (1,)
    properties = ("energy", "forces", "virial")

    def __init__(self):
        self.left = int(Path("KILL").read_text()) if Path("KILL").exists() else -1

    def evaluate(self, batch: Batch, want: Sequence[str]) -> Response:
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1
        values = {
            "energy": 0.5 * STIFFNESS * (batch.positions**2).sum(axis=(1, 2)),
            "forces": -STIFFNESS * batch.positions,
            "virial": np.zeros((batch.beads, 3, 3)),
        }
        return Response(**{name: values[name] for name in want})
