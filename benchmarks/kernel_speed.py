"""Time per atom of beadwise, NEP and featomic on the same water boxes in one run; see the README beside this file."""

from __future__ import annotations

import argparse
import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
from ase import Atoms
from contenders import Beadwise, contenders, default_model, only
from measuring import PEERS, interleaved, limit_threads, machine, moving_beads, water_box
from rich.console import Console
from rich.table import Table


def measure(
    model: str | None, peers: Path, threads: int, beads: int, repetitions: int, of_processor: bool
) -> tuple[list[dict[str, Any]], list[str]]:
    """One row per contender, and the reasons for those that are missing."""
    structure = water_box()
    found, skipped = contenders(model, peers, structure, threads)
    found = [one for one in found if beads <= one.most_beads]
    ours = [one for one in found if isinstance(one, Beadwise)]
    seconds = interleaved(
        found, moving_beads(structure, beads), repetitions, process_time if of_processor else perf_counter
    )
    built = {one: one.model.kernel.neighbour_lists_built - beads for one in ours}
    reference = only(found, "NEP", "energy, forces, virial")
    rows = []
    for one in found:
        per_atom = 1e6 * seconds[one] / (beads * len(structure))
        row = {
            "threads": threads,
            "beads": beads,
            "program": one.program,
            "task": one.task,
            "repetitions": len(per_atom),
            "minimum": per_atom.min(),
            "median": float(np.median(per_atom)),
        }
        if reference is not None:
            row["ratio_of_minima"] = seconds[one].min() / seconds[reference].min()
            row["median_ratio"] = float(np.median(seconds[one] / seconds[reference][: len(per_atom)]))
        if one in ours:
            row["lists_built"] = built[one]
            row["list_build"] = 1e6 * seconds_to_build(one, structure) / len(structure)
            row["list_share"] = built[one] * row["list_build"] / (per_atom.sum() * beads)
        rows.append(row)
    return rows, skipped


def seconds_to_build(contender: Beadwise, structure: Atoms) -> float:
    """What one neighbour list takes: evaluating a box moved out of its reach, less evaluating it again."""
    first, second = [], []
    for place in range(1, 31):
        batch = contender.batch(structure.positions[None] + float(place))
        for times in (first, second):
            start = perf_counter()
            contender.model.evaluate(batch, ("energy",))
            times.append(perf_counter() - start)
    return max(min(first) - min(second), 0.0)


def show(rows: list[dict[str, Any]], description: dict[str, str], skipped: list[str], model: str | None) -> None:
    """Print the machine and the table."""
    console = Console(width=140)
    for name, value in description.items():
        console.print(f"{name}: {value}", highlight=False)
    console.print(f"model: {model or 'random weights, cutoff 4.5 Å, 8 radial functions, l_max 6'}", highlight=False)
    for reason in skipped:
        console.print(f"skipped: {reason}", highlight=False)
    table = Table(title="µs per atom, 192 atoms of liquid water")
    for column in ("threads", "beads", "program", "task"):
        table.add_column(column)
    headings = (
        "minimum",
        "median",
        "ratio\nto NEP",
        "paired\nratio",
        "lists\nbuilt",
        "µs per atom\nof a list",
        "share\nof lists",
    )
    for column in headings:
        table.add_column(column, justify="right")
    for row in rows:
        values = (row["threads"], row["beads"], row["program"], row["task"], row["minimum"], row["median"])
        ratios = (row.get("ratio_of_minima"), row.get("median_ratio"))
        lists = (row.get("lists_built"), row.get("list_build"), row.get("list_share"))
        table.add_row(*(readable(value) for value in (*values, *ratios, *lists)))
    console.print(table)


def readable(value: Any) -> str:
    """A cell of the table."""
    return "" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=default_model(), help="file or shipped name (default: water, or random)")
    parser.add_argument("--peers", type=Path, default=PEERS, help="folder of the NEP models")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--beads", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--repetitions", type=int, default=20, help="with 32 beads; more with fewer, at most 20 times")
    parser.add_argument(
        "--processor-time", action="store_true", help="of all threads, for machines that others use, too"
    )
    parser.add_argument("--json", type=Path, help="file to write the numbers to")
    options = parser.parse_args()
    description, rows, skipped = machine(), [], []
    for threads in options.threads:
        limit_threads(threads)  # read by the libraries of the process that is started next
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
            for beads in options.beads:
                repetitions = options.repetitions * min(max(32 // beads, 1), 20)
                answer = process.submit(
                    measure, options.model, options.peers, threads, beads, repetitions, options.processor_time
                )
                more, skipped = answer.result()
                rows += more
    description["load average at the end"] = machine()["load average"]
    show(rows, description, skipped, options.model)
    if options.json:
        report = {"machine": description, "model": options.model, "skipped": skipped, "microseconds_per_atom": rows}
        options.json.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
