"""An evaluator that is fast at any size: water molecules whose atoms are joined by springs, without neighbours.

Its functions are what the command line takes as ``tests.springs:FUNCTION``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

import numpy as np
from beadwise.model import Batch, Response, StructureError
from toy import KNOWN

PAIRS = ((0, 1, 0.97), (0, 2, 0.97), (1, 2, 1.53))
STIFFNESS = 30.0
CHARGES = np.array([-0.8, 0.4, 0.4])
MASSES = np.array([15.999, 1.008, 1.008])


class Springs:
    species = (1, 8)
    properties = KNOWN

    def evaluate(self, batch: Batch, want: Sequence[str]) -> Response:
        molecules = batch.positions.reshape(batch.beads, -1, 3, 3)
        energy, virial, forces = np.zeros(batch.beads), np.zeros((batch.beads, 3, 3)), np.zeros_like(molecules)
        for i, j, length in PAIRS:
            bond = molecules[:, :, j] - molecules[:, :, i]
            distance = np.linalg.norm(bond, axis=-1, keepdims=True)
            pull = STIFFNESS * (1 - length / distance) * bond
            energy += 0.5 * STIFFNESS * ((distance - length) ** 2).sum((1, 2))
            forces[:, :, i] += pull
            forces[:, :, j] -= pull
            virial -= np.einsum("bma,bmc->bac", bond, pull)
        dipoles = np.einsum("i,bmia->bma", CHARGES, molecules)
        polarizabilities = np.tile(np.eye(3), (*dipoles.shape[:2], 1, 1))
        arrays = {
            "energy": energy,
            "forces": forces.reshape(batch.positions.shape),
            "virial": virial,
            "dipole": dipoles.sum(axis=1),
            "polarizability": polarizabilities.sum(axis=1),
            "born_charges": np.tile(np.kron(np.ones((batch.atoms, 1, 1)), np.eye(3)), (batch.beads, 1, 1, 1)),
            "polarizability_derivatives": np.zeros((batch.beads, batch.atoms, 3, 3, 3)),
            "molecular_dipole": dipoles,
            "molecular_polarizability": polarizabilities,
            "molecular_position": np.einsum("i,bmia->bma", MASSES / MASSES.sum(), molecules),
        }
        return Response(**{name: arrays[name] for name in want})


class Failing(Springs):
    """Refuses a structure after so many evaluations."""

    def __init__(self, evaluations: int):
        self.left = evaluations

    def evaluate(self, batch: Batch, want: Sequence[str]) -> Response:
        if self.left <= 0:
            raise StructureError("atoms 3 and 7 are 0.100 Å apart; must be at least 0.3 Å")
        self.left -= batch.beads
        return super().evaluate(batch, want)


class Slow(Springs):
    """Takes so long that i-PI waits for it whenever it is asked to stop."""

    def evaluate(self, batch: Batch, want: Sequence[str]) -> Response:
        time.sleep(float(os.environ.get("SPRINGS_SECONDS", "0.02")))
        return super().evaluate(batch, want)


def springs() -> Springs:
    return Springs()


def slow() -> Slow:
    return Slow()


def failing_late() -> Failing:
    return Failing(60)


def failing_at_once() -> Failing:
    return Failing(0)


def without_polarizability() -> Springs:
    evaluator = Springs()
    evaluator.properties = ("energy", "forces", "virial", "dipole")
    return evaluator


def broken() -> Springs:
    raise RuntimeError("no licence for this model")
