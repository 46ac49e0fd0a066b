"""How much faster i-PI is with two MPI ranks than with one, for many beads and for one large structure; see the README.

python benchmarks/ranks.py [--json FILE]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from doors import DOORS, least_of, run
from measuring import machine
from rich.console import Console
from rich.progress import track
from rich.table import Table

MPI = next(door for door in DOORS if door.kind == "mpi")
CASES = [(32, 192, "beads"), (32, 648, "beads"), (1, 20_577, "atoms")]
RANKS = 2
LATENCY = 1e-3  # s; i-PI looks for answers less often, as both cores are taken


def measure(beads: int, atoms: int, shared: str, steps: int, repetitions: int) -> dict:
    """Least ms per step with a dummy, one rank and two, which take turns."""
    runs: dict[str, list] = {"dummy": [], "one": [], "two": []}
    for _ in range(repetitions):
        runs["dummy"].append(run(MPI, beads, atoms, steps, wait=0.0, latency=LATENCY))
        runs["one"].append(run(MPI, beads, atoms, steps, wait=None, latency=LATENCY))
        group_size = RANKS if shared == "atoms" else 1
        runs["two"].append(
            run(MPI, beads, atoms, steps, wait=None, ranks=RANKS, group_size=group_size, latency=LATENCY)
        )
    least = {name: least_of(times).step for name, times in runs.items()}
    return {
        "beads": beads,
        "atoms": atoms,
        "shared": shared,
        **least,
        "whole step": least["one"] / least["two"],
        "without i-PI's own": (least["one"] - least["dummy"]) / (least["two"] - least["dummy"]),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--repetitions", type=int, default=4)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    console = Console()
    description = machine()
    console.print(description)
    rows = [measure(*case, arguments.steps, arguments.repetitions) for case in track(CASES, console=console)]
    table = Table(title="ms per step of i-PI over MPI, least; dipole and polarizability included")
    for column in (
        "beads",
        "atoms",
        "shared",
        "dummy",
        "one rank",
        "two ranks",
        "speed-up: step",
        "without i-PI's own",
    ):
        table.add_column(column, justify="right")
    for row in rows:
        numbers = [row[name] for name in ("dummy", "one", "two", "whole step", "without i-PI's own")]
        table.add_row(str(row["beads"]), str(row["atoms"]), row["shared"], *(f"{number:.2f}" for number in numbers))
    console.print(table)
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": description, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
