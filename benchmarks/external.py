"""What serving a model of another package costs: the package alone, through ASE, i-PI's own batched driver, ours."""

from __future__ import annotations

import argparse
import io
import json
import logging
import warnings
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any

import numpy as np
from ase import Atoms
from beadwise.model import Batch
from beadwise.model.evaluators import load_evaluator
from measuring import interleaved, limit_threads, machine, moving_beads
from rich.console import Console
from rich.table import Table
from waters import box

WANT = ("energy", "forces", "virial")
ALONE = "package alone"
CLOCKS = {"wall": perf_counter, "processor": process_time}


@dataclass(eq=False)
class Way:
    """One way to the energies, forces and virials of beads."""

    name: str
    most_repetitions: int = 10**9

    def evaluate(self, positions: np.ndarray) -> Any:
        raise NotImplementedError


@dataclass(eq=False)
class Ours(Way):
    evaluator: Any = None
    structure: Atoms | None = None

    def evaluate(self, positions: np.ndarray) -> Any:
        return self.evaluator.evaluate(batch_of(self.structure, positions), WANT)


@dataclass(eq=False)
class Alone(Ours):
    """Forward and backward of what MACE itself was handed, without neighbours and conversions."""

    def evaluate(self, positions: np.ndarray) -> Any:
        from torch import set_grad_enabled

        answers = []
        for prepared in self.prepared:
            data = dict(prepared)
            data["positions"] = place = prepared["positions"].detach().requires_grad_(True)
            with set_grad_enabled(True):
                output = self.evaluator.file.module(data, compute_force=False, compute_displacement=True)
                answers.append(gradients(output, place))
        return answers

    def prepare(self, positions: np.ndarray) -> None:
        """Make the graphs, which is not counted."""
        batch = batch_of(self.structure, positions)
        self.prepared = [self.evaluator._data(batch, first, graphs) for first, graphs in self.evaluator._chunks(batch)]


def gradients(output: dict[str, Any], positions: Any) -> Any:
    from torch.autograd import grad

    return grad([output["energy"].sum()], [positions, output["displacement"]])


@dataclass(eq=False)
class ThroughAse(Way):
    calculator: Any = None
    structure: Atoms | None = None

    def evaluate(self, positions: np.ndarray) -> Any:
        answers = []
        for bead in positions:
            atoms = self.structure.copy()
            atoms.positions = bead
            self.calculator.calculate(atoms)
            answers.append(self.calculator.results["energy"])
        return answers


@dataclass(eq=False)
class OfIpi(Way):
    calculator: Any = None
    structure: Atoms | None = None

    def evaluate(self, positions: np.ndarray) -> Any:
        frames = []
        for bead in positions:
            atoms = self.structure.copy()
            atoms.positions = bead
            frames.append(atoms)
        return self.calculator.compute_batched(frames)


def batch_of(structure: Atoms, positions: np.ndarray) -> Batch:
    cells = np.broadcast_to(structure.cell.array, (len(positions), 3, 3)).copy()
    return Batch(structure.numbers, positions, cells, structure.pbc)


def make_mace(path: Path, channels: int, dtype: str) -> None:
    """A model with random weights, of the form of most published ones."""
    import mace.modules as modules  # before e3nn, whose files need what mace sets
    import torch
    from e3nn import o3

    torch.set_default_dtype(getattr(torch, dtype))
    torch.manual_seed(0)
    module = modules.ScaleShiftMACE(
        r_max=5.0,
        num_bessel=8,
        num_polynomial_cutoff=5,
        max_ell=3,
        interaction_cls=modules.interaction_classes["RealAgnosticResidualInteractionBlock"],
        interaction_cls_first=modules.interaction_classes["RealAgnosticInteractionBlock"],
        num_interactions=2,
        num_elements=2,
        hidden_irreps=o3.Irreps(f"{channels}x0e + {channels}x1o"),
        MLP_irreps=o3.Irreps("16x0e"),
        gate=torch.nn.functional.silu,
        avg_num_neighbors=40.0,
        atomic_numbers=[1, 8],
        correlation=3,
        atomic_energies=np.array([-13.6, -432.0]),
        atomic_inter_scale=1.0,
        atomic_inter_shift=0.0,
    )
    torch.save(module, path)
    torch.set_default_dtype(torch.float32)


def ways_of_mace(path: Path, structure: Atoms, threads: int) -> list[Way]:
    """All ways to one file of MACE."""
    import torch
    from ipi.pes._mace import BatchedMACE
    from mace.calculators import MACECalculator

    ours = load_evaluator(f"mace:{path}", threads)
    dtype = str(ours._dtype).removeprefix("torch.")
    modules = [torch.load(path, weights_only=False) for _ in range(2)]
    calculator = MACECalculator(models=modules[0], device="cpu", default_dtype=dtype)
    batched = BatchedMACE(models=modules[1], device="cpu", default_dtype=dtype)
    batched._print_output_summary = lambda *_: None
    return [
        Alone(ALONE, evaluator=ours, structure=structure),
        Ours("beadwise, mace:FILE", evaluator=ours, structure=structure),
        OfIpi("i-PI's batched driver", calculator=batched, structure=structure),
        ThroughAse("ASE calculator, bead by bead", calculator=calculator, structure=structure),
    ]


def measure(ways: Sequence[Way], structure: Atoms, beads: int, repetitions: int, clock: str) -> list[dict[str, Any]]:
    """One row for each way; ratios are medians of those within one repetition."""

    def trajectory() -> Any:
        for positions in moving_beads(structure, beads):
            for way in ways:
                if isinstance(way, Alone):
                    way.prepare(positions)
            yield positions

    seconds = interleaved(ways, trajectory(), repetitions, CLOCKS[clock])
    alone = next(times for way, times in seconds.items() if way.name == ALONE)
    return [
        {
            "atoms": len(structure),
            "beads": beads,
            "way": way.name,
            "minimum": 1e6 * times.min() / (beads * len(structure)),
            "median": 1e6 * float(np.median(times)) / (beads * len(structure)),
            "ratio_of_minima": times.min() / alone.min(),
            "median_ratio": float(np.median(times / alone)),
        }
        for way, times in seconds.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mace", type=Path, help="a file of MACE that knows H and O; by default random weights")
    parser.add_argument("--channels", type=int, default=64, help="of random weights (default: %(default)s)")
    parser.add_argument("--dtype", default="float64", choices=("float64", "float32"))
    parser.add_argument("--atoms", type=int, nargs="+", default=[96], help="three for each molecule of water")
    parser.add_argument("--beads", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repetitions", type=int, default=15)
    parser.add_argument("--clock", default="wall", choices=CLOCKS, help="on a busy machine: processor, with one thread")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    limit_threads(options.threads)
    rows = []
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        path = options.mace or Path(folder) / "random.model"
        with redirect_stdout(io.StringIO()):
            if options.mace is None:
                make_mace(path, options.channels, options.dtype)
        for atoms in options.atoms:
            structure = box(atoms)
            ways = ways_of_mace(path, structure, options.threads)
            for beads in options.beads:
                rows += measure(ways, structure, beads, options.repetitions, options.clock)
    console = Console()
    described = machine()
    console.print(described)
    table = Table("atoms", "beads", "way", "least µs", "median µs", "× alone", "paired")
    for row in rows:
        numbers = [f"{row[name]:.4g}" for name in ("minimum", "median", "ratio_of_minima", "median_ratio")]
        table.add_row(str(row["atoms"]), str(row["beads"]), row["way"], *numbers)
    console.print("per atom and bead: energy, forces, virial")
    console.print(table)
    if options.json:
        options.json.write_text(json.dumps({"machine": described, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
