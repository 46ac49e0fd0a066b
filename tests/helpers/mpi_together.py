"""Run by the tests under mpiexec: ranks that evaluate together against one that does so alone; prints differences."""

from __future__ import annotations

import json
import sys

import numpy as np
from ase.build import make_supercell
from ase.io import read
from beadwise.driver.doors.mpi_group import form_groups, share_work, sharing, world
from beadwise.model import Batch, StructureError, load
from beadwise.model.qtip4pf import QTip4pF
from springs import Springs

STRUCTURE, SIZE = sys.argv[1], int(sys.argv[2])
REPETITIONS = 3


def batches() -> list[Batch]:
    """Some beads of 64 molecules, one larger cell, and the same atoms moved, so that neighbour lists are kept."""
    atoms = read(STRUCTURE, format="extxyz")
    large = make_supercell(atoms, np.diag([2, 1, 2]))
    random = np.random.default_rng(3)
    found = []
    for beads, structure in [(5, atoms), (1, atoms), (1, large)]:
        order = np.arange(len(structure))
        start = structure.positions[order] + random.normal(0, 0.05, (beads, len(structure), 3))
        for _ in range(REPETITIONS):
            start = start + random.normal(0, 0.02, start.shape)
            found.append(Batch(structure.numbers, start, np.repeat(structure.cell.array[None], beads, 0), np.ones(3)))
    return found


def relative(received: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(received - expected).max() / max(np.abs(expected).max(), 1e-300))


def differences(evaluator, alone) -> dict[str, float]:
    """Largest difference of each property, relative to its largest value."""
    worst: dict[str, float] = {}
    for batch in batches():
        want = evaluator.properties if batch.atoms < 500 else ("energy", "forces", "virial", "dipole", "polarizability")
        want = tuple(name for name in want if name in evaluator.properties)
        received, expected = evaluator.evaluate(batch, want), alone.evaluate(batch, want)
        for name in want:
            worst[name] = max(worst.get(name, 0.0), relative(received[name], expected[name]))
    return worst


def refusal(evaluator) -> str:
    """What is said of two atoms that are too close, which one rank alone sees."""
    batch = batches()[0]
    batch.positions[-1, -1] = batch.positions[-1, -2] + 0.01
    try:
        evaluator.evaluate(batch, ("energy",))
    except StructureError as error:
        return str(error)
    return "nothing"


def main() -> None:
    ranks = world()
    group = form_groups(ranks, SIZE)
    found = {"ranks": ranks.size, "group": group.size}
    for name, make in {"model": lambda: load("water"), "qtip4pf": QTip4pF, "springs": Springs}.items():
        evaluator = make()
        if group.rank > 0:
            share_work(evaluator, group)
            continue
        with sharing(evaluator, group) as together:
            found[name] = differences(together, make())
            if name == "model":
                found["refusal"] = refusal(together)
                found["refusal again"] = refusal(together)
    everything = ranks.gather(found if group.rank == 0 else None)
    if everything is not None:
        print(json.dumps([one for one in everything if one is not None]))


main()
