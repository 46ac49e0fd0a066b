"""What the members of a committee cost in one pass, beside as many models that are evaluated one after the other."""

from __future__ import annotations

import argparse
from dataclasses import replace
from time import perf_counter

import numpy as np
from beadwise.model import Batch, Committee, Model, load
from measuring import limit_threads, machine, moving_beads, water_box
from rich.console import Console
from rich.table import Table

FORCES = ("energy", "forces", "virial")
ALL = (*FORCES, "dipole", "polarizability")
VALUES = ("committee_energy", "committee_dipole", "committee_polarizability")
MEMBER_FORCES = ("committee_energy", "committee_forces", "committee_virial")
TASKS = {
    "energy, forces, virial": FORCES,
    "… and dipole, polarizability": ALL,
    "… and energies of all members": (*ALL, "committee_energy"),
    "… and energies and dipoles": (*ALL, "committee_energy", "committee_dipole"),
    "… and energies, dipoles, polarizabilities": (*ALL, *VALUES),
    "… and uncertainty of energy, envelope": (*ALL, "energy_uncertainty", "envelope_distance"),
    "… and uncertainty of forces": (*ALL, "forces_uncertainty"),
    "energy, forces, virial of all members": (*FORCES, *MEMBER_FORCES),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="water", help="with members")
    parser.add_argument("--beads", type=int, default=8)
    parser.add_argument("--repetitions", type=int, default=20)
    options = parser.parse_args()
    limit_threads(1)
    console = Console(width=120)
    for name, value in machine().items():
        console.print(f"{name}: {value}")
    model = load(options.model)
    assert isinstance(model, Model) and model.members is not None
    count = model.members.count
    apart = Committee([replace(model, members=None) for _ in range(count)])
    structure = water_box()
    batch = Batch.from_ase([structure] * options.beads)
    runs = [(task, model, want) for task, want in TASKS.items()]
    runs.append((f"energy, forces, virial of {count} models", apart, (*FORCES, *MEMBER_FORCES)))
    runs.append((f"… and dipoles, polarizabilities of {count} models", apart, (*ALL, *VALUES, *MEMBER_FORCES)))
    shortest = dict.fromkeys([task for task, _, _ in runs], np.inf)
    trajectory = moving_beads(structure, options.beads)
    for _ in range(options.repetitions):
        now = replace(batch, positions=next(trajectory))
        for task, evaluator, want in runs:
            start = perf_counter()
            evaluator.evaluate(now, want)
            shortest[task] = min(shortest[task], perf_counter() - start)
    table = Table(title=f"{count} members, {len(structure)} atoms, {options.beads} beads, 1 thread")
    for heading in ("task", "µs per atom and bead", "to forces", "to forces, dipole, polarizability"):
        table.add_column(heading, justify="left" if heading == "task" else "right")
    first, second = (shortest[task] for task in list(TASKS)[:2])
    for task, seconds in shortest.items():
        per_atom = 1e6 * seconds / len(structure) / options.beads
        table.add_row(task, f"{per_atom:.1f}", f"{seconds / first:.2f}", f"{seconds / second:.2f}")
    console.print(table)


if __name__ == "__main__":
    main()
