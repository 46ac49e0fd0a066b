"""What a density of states costs beside energy and forces, in the same pass, of diamond silicon."""

from __future__ import annotations

import argparse
from dataclasses import replace
from time import perf_counter

import numpy as np
from ase.build import bulk
from beadwise.model import Batch, Model, load
from measuring import limit_threads, machine, moving_beads
from rich.console import Console
from rich.table import Table

FORCES = ("energy", "forces", "virial")
CURVE = (*FORCES, "density_of_states")
ELECTRONS = ("fermi_level", "density_at_fermi_level", "electronic_entropy", "electronic_heat_capacity")
TASKS = {
    "energy, forces, virial": FORCES,
    "… and density of states": CURVE,
    "… and what its electrons have": (*CURVE, *ELECTRONS, "electronic_free_energy"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="fitted as docs/how_to/electrons.md shows")
    parser.add_argument("--beads", type=int, default=16)
    parser.add_argument("--cells", type=int, default=1, help="along each axis, of 8 atoms each")
    parser.add_argument("--repetitions", type=int, default=30)
    options = parser.parse_args()
    limit_threads(1)
    console = Console(width=120)
    for name, value in machine().items():
        console.print(f"{name}: {value}")
    model = load(options.model)
    assert isinstance(model, Model)
    # its energy is the guard's alone: weights of one of the curve's heads take as long as those of any energy
    model = replace(model, heads={**model.heads, "energy": model.heads["density_of_states.0"]})
    model.metadata.clear()
    structure = bulk("Si", cubic=True).repeat(options.cells)
    batch = Batch.from_ase([structure] * options.beads)
    shortest, trajectory = dict.fromkeys(TASKS, np.inf), moving_beads(structure, options.beads)
    for _ in range(options.repetitions):
        now = replace(batch, positions=next(trajectory))
        for task, want in TASKS.items():
            start = perf_counter()
            model.evaluate(now, want)
            shortest[task] = min(shortest[task], perf_counter() - start)
    table = Table(title=f"{len(structure)} atoms, {options.beads} beads, 1 thread")
    for heading in ("task", "µs per atom and bead", "to forces"):
        table.add_column(heading, justify="left" if heading == "task" else "right")
    first = shortest[next(iter(TASKS))]
    for task, seconds in shortest.items():
        per_atom = 1e6 * seconds / len(structure) / options.beads
        table.add_row(task, f"{per_atom:.1f}", f"{seconds / first:.2f}")
    console.print(table)


if __name__ == "__main__":
    main()
