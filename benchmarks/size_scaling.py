"""Time per atom of beadwise and NEP from a hundred to twenty thousand atoms on one thread."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ase import Atoms
from contenders import CUTOFF, Beadwise, Contender, Nep, PeerError, default_model
from measuring import PEERS, interleaved, limit_threads, machine, moving_beads, water_box
from rich.console import Console
from rich.table import Table

REPEATS = ((1, 1, 1), (2, 1, 1), (2, 2, 1), (2, 2, 2), (3, 3, 2), (4, 3, 3), (4, 4, 4), (5, 5, 4))
TASKS = ("energy, forces, virial", "… and Born charges")


def programs(model: str | None, peers: Path, structure: Atoms) -> tuple[list[Contender], str | None]:
    """What is timed at one size, and why NEP is not."""
    found: list[Contender] = [Beadwise(model, task, structure, threads=1) for task in TASKS]
    try:
        found.append(Nep(peers / "nep4_water_pes.txt", "calculate", TASKS[0], structure))
    except PeerError as reason:
        return found, str(reason)
    return found, None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=default_model(), help="file or shipped name (default: water, or random)")
    parser.add_argument("--peers", type=Path, default=PEERS, help="folder of the NEP models")
    parser.add_argument("--atoms", type=int, default=20000, help="largest size (default: 20000)")
    parser.add_argument("--json", type=Path, help="file to write the numbers to")
    options = parser.parse_args()
    limit_threads(1)  # before NEP is loaded
    description, rows, skipped = machine(), [], None
    for repeats in REPEATS:
        structure = water_box().repeat(repeats)
        atoms = len(structure)
        if atoms > options.atoms:
            break
        found, skipped = programs(options.model, options.peers, structure)
        seconds = interleaved(found, moving_beads(structure, beads=1), repetitions=max(4, 20000 // atoms))
        for one, times in seconds.items():
            rows.append(
                {"atoms": atoms, "program": one.program, "task": one.task, "minimum": 1e6 * times.min() / atoms}
            )
    show(rows, description, skipped, options.model)
    if options.json:
        report = {"machine": description, "model": options.model, "microseconds_per_atom": rows}
        options.json.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def show(rows: list[dict], description: dict[str, str], skipped: str | None, model: str | None) -> None:
    """Print the machine and one line per size."""
    console = Console(width=110)
    for name, value in description.items():
        console.print(f"{name}: {value}", highlight=False)
    console.print(f"model: {model or f'random weights, cutoff {CUTOFF} Å'}", highlight=False)
    if skipped:
        console.print(f"skipped: {skipped}", highlight=False)
    columns = list(dict.fromkeys((row["program"], row["task"]) for row in rows))
    table = Table("atoms", *(f"{program}: {task}" for program, task in columns), title="least µs per atom, one thread")
    by_size = {atoms: [row for row in rows if row["atoms"] == atoms] for atoms in {row["atoms"]: None for row in rows}}
    for atoms, own in by_size.items():
        table.add_row(str(atoms), *(f"{row['minimum']:.2f}" for row in own))
    console.print(table)


if __name__ == "__main__":
    main()
