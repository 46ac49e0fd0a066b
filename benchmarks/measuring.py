"""Interleaved timing, the structures that are timed, and a description of the machine."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from time import perf_counter

import numpy as np
from ase import Atoms
from ase.io import read
from beadwise.pyx.kernel import instruction_set
from contenders import Contender

ROOT = Path(__file__).resolve().parent.parent
PEERS = Path("nep_water")  # what `beadwise fetch nep_water` makes
SPREAD = 0.07  # Å, of every atom along each axis about the structure
STEP = 0.01  # Å, what it moves between two evaluations; about half a femtosecond of liquid water


def water_box() -> Atoms:
    """The box of 64 water molecules that the example inputs use."""
    return read(ROOT / "inputs" / "water_64.xyz")


def moving_beads(structure: Atoms, beads: int, seed: int = 0) -> Iterator[np.ndarray]:
    """Endless positions (beads, atoms, 3) in Å: every atom walks randomly about its place in the structure."""
    rng = np.random.default_rng(seed)
    shape = (beads, len(structure), 3)
    away = SPREAD * rng.normal(size=shape)
    while True:
        yield structure.positions + away
        away = (1 - 0.5 * (STEP / SPREAD) ** 2) * away + STEP * rng.normal(size=shape)  # the spread is stationary


def least_seconds(evaluate: Callable[[], object], repetitions: int, clock: Callable[[], float] = perf_counter) -> float:
    """Least seconds of several calls, by a clock."""
    times = []
    for _ in range(repetitions):
        start = clock()
        evaluate()
        times.append(clock() - start)
    return min(times)


def interleaved(
    found: Sequence[Contender],
    trajectory: Iterator[np.ndarray],
    repetitions: int,
    clock: Callable[[], float] = perf_counter,
) -> dict[Contender, np.ndarray]:
    """Seconds of every evaluation: A B C A B C …, so that a disturbance of the machine meets all of them alike.

    All evaluate the same positions in the same repetition.  The first repetition warms up and is not counted.
    """
    seconds: dict[Contender, list[float]] = {one: [] for one in found}
    for repetition in range(repetitions + 1):
        positions = next(trajectory)
        for one in found:
            if repetition > one.most_repetitions:
                continue
            start = clock()
            one.evaluate(positions)
            seconds[one].append(clock() - start)
    return {one: np.array(times[1:]) for one, times in seconds.items()}


def limit_threads(threads: int) -> None:
    """Set what OpenMP (NEP) and Rayon (featomic) read when they start; ours is told by its own argument.

    Waiting threads sleep: otherwise one program's idle threads would spin through the next one's turn.
    """
    os.environ["OMP_NUM_THREADS"] = os.environ["RAYON_NUM_THREADS"] = str(threads)
    os.environ["OMP_WAIT_POLICY"] = "passive"


def machine() -> dict[str, str]:
    """What the numbers depend on."""
    try:
        models = re.findall(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    except OSError:
        models = []
    description = {
        "processor": models[0] if models else platform.processor() or platform.machine(),
        "cores": str(os.cpu_count()),
        "system": platform.platform(),
        "Python": platform.python_version(),
        "instruction set of beadwise": instruction_set(),
        "load average": " ".join(f"{load:.2f}" for load in os.getloadavg()),
    }
    for package in ("beadwise", "nep-adapters", "featomic", "numpy"):
        try:
            description[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            description[package] = "not installed"
    return description
