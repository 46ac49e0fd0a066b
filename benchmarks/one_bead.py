"""One bead on one thread and on two: processor time of each thread, which other programs disturb little."""

from __future__ import annotations

import argparse
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from time import perf_counter_ns, process_time_ns, thread_time_ns

import numpy as np
from contenders import WANTS, Beadwise, Contender, Nep, PeerError
from measuring import PEERS, limit_threads, machine, moving_beads, water_box
from rich.console import Console
from rich.table import Table


def times_of(contender: Contender, positions: np.ndarray) -> tuple[int, int, int]:
    """Nanoseconds of one evaluation: of the clock, of the thread that asks, and of all others together."""
    before = process_time_ns(), thread_time_ns(), perf_counter_ns()
    contender.evaluate(positions)
    clock, own, all_threads = perf_counter_ns(), thread_time_ns(), process_time_ns()
    asking = own - before[1]
    return clock - before[2], asking, all_threads - before[0] - asking


def measure(model: str, beads: int, repetitions: int, peers: Path, task: str) -> dict[str, np.ndarray]:
    """µs per atom, shape (repetitions, 3): see `times_of`; all in turns, of the same positions."""
    structure = water_box()
    found: dict[str, Contender] = {
        f"beadwise, {threads} thread{'s' * (threads > 1)}": Beadwise(model, task, structure, threads)
        for threads in (1, 2)
    }
    try:
        found["NEP, 1 thread"] = Nep(
            peers / "nep4_water_pes.txt", "calculate", "energy, forces, virial", structure
        )  # as OMP_NUM_THREADS says
    except PeerError as reason:
        Console().print(f"skipped: {reason}", highlight=False)
    trajectory = moving_beads(structure, beads)
    times: dict[str, list[tuple[int, int, int]]] = {name: [] for name in found}
    for _ in range(repetitions + 2):
        positions = next(trajectory)
        for name, contender in found.items():
            times[name].append(times_of(contender, positions))
    return {name: np.array(own[2:]) / (1e3 * beads * len(structure)) for name, own in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="water")
    parser.add_argument("--beads", type=int, default=1)
    parser.add_argument("--repetitions", type=int, default=1000)
    parser.add_argument("--peers", type=Path, default=PEERS, help="folder of the NEP models")
    parser.add_argument("--task", choices=list(WANTS), default="energy, forces, virial")
    options = parser.parse_args()
    limit_threads(1)  # of NEP, in the process that is started; ours wait asleep there, so that waiting is not counted
    console = Console(width=140)
    for name, value in machine().items():
        console.print(f"{name}: {value}", highlight=False)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        answer = process.submit(measure, options.model, options.beads, options.repetitions, options.peers, options.task)
        times = answer.result()
    title = f"µs per atom, 192 atoms of liquid water, beads: {options.beads}; {options.task}"
    table = Table("", "clock, least", "asking thread, least", "median", "other thread, least", "median", title=title)
    for name, (clock, asking, other) in ((name, own.T) for name, own in times.items()):
        numbers = (clock.min(), asking.min(), np.median(asking), other.min(), np.median(other))
        table.add_row(name, *(f"{number:.2f}" for number in numbers))
    console.print(table)
    one, two, *_ = times.values()
    busiest = two[:, 1:].max(axis=1)
    console.print(
        f"processor time of one thread / of the busier of two: {one[:, 1].min() / busiest.min():.2f} of the least, "
        f"{np.median(one[:, 1]) / np.median(busiest):.2f} of the medians",
        highlight=False,
    )


if __name__ == "__main__":
    main()
