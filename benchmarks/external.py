"""What serving a model of another package costs: the package alone, through ASE, i-PI's own batched driver, ours."""

from __future__ import annotations

import argparse
import io
import json
import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import all_changes
from ase.units import Bohr
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
    """Forward and backward of what the package itself was handed, without neighbours and conversions."""

    forwards: Callable[[Any, Batch], list[Callable[[], Any]]] = lambda evaluator, batch: []

    def evaluate(self, positions: np.ndarray) -> Any:
        return [run() for run in self.prepared]

    def prepare(self, positions: np.ndarray) -> None:
        """Make what it is handed, which is not counted."""
        self.prepared = self.forwards(self.evaluator, batch_of(self.structure, positions))


def forwards_of_mace(evaluator: Any, batch: Batch) -> list[Callable[[], Any]]:
    """One for each graph."""
    from torch import set_grad_enabled
    from torch.autograd import grad

    def run(prepared: dict[str, Any]) -> Any:
        data = dict(prepared)
        data["positions"] = place = prepared["positions"].detach().requires_grad_(True)
        with set_grad_enabled(True):
            output = evaluator.file.module(data, compute_force=False, compute_displacement=True)
            return grad([output["energy"].sum()], [place, output["displacement"]])

    return [partial(run, evaluator._data(batch, first, graphs)) for first, graphs in evaluator._chunks(batch)]


def forwards_of_metatomic(evaluator: Any, batch: Batch) -> list[Callable[[], Any]]:
    """One for each list of systems."""
    from beadwise.model.external.metatomic_file import quiet
    from torch.autograd import grad

    with quiet() as metatomic:
        options = metatomic.ModelEvaluationOptions(
            length_unit="angstrom", outputs=evaluator._asked(metatomic, ("energy",))
        )

        def run(beads: Any) -> Any:
            energy = evaluator.file.module(beads.systems, options, check_consistency=False)["energy"].block().values
            return grad([energy.sum()], [*beads.positions, *beads.strains], retain_graph=True)

        return [partial(run, beads) for _, beads in evaluator._chunks(metatomic, batch, WANT)]


@dataclass(eq=False)
class ThroughAse(Way):
    calculator: Any = None
    structure: Atoms | None = None

    def evaluate(self, positions: np.ndarray) -> Any:
        answers = []
        for bead in positions:
            atoms = self.structure.copy()
            atoms.positions = bead
            self.calculator.calculate(atoms, ["energy", "forces", "stress"], all_changes)
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


@dataclass(eq=False)
class OfIpiByArrays(OfIpi):
    """A driver of i-PI that takes cells and positions in atomic units."""

    def evaluate(self, positions: np.ndarray) -> Any:
        cell = self.structure.cell.array.T / Bohr
        return self.calculator.compute([cell] * len(positions), list(positions / Bohr))


def batch_of(structure: Atoms, positions: np.ndarray) -> Batch:
    cells = np.broadcast_to(structure.cell.array, (len(positions), 3, 3)).copy()
    return Batch(structure.numbers, positions, cells, structure.pbc)


def make_mace(path: Path, channels: int, dtype: str, numbers: Sequence[int] = (1, 8)) -> None:
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
        num_elements=len(numbers),
        hidden_irreps=o3.Irreps(f"{channels}x0e + {channels}x1o"),
        MLP_irreps=o3.Irreps("16x0e"),
        gate=torch.nn.functional.silu,
        avg_num_neighbors=40.0,
        atomic_numbers=list(numbers),
        correlation=3,
        atomic_energies=np.full(len(numbers), -13.6),
        atomic_inter_scale=1.0,
        atomic_inter_shift=0.0,
    )
    torch.save(module, path)
    torch.set_default_dtype(torch.float32)


def make_pet(path: Path, size: int) -> None:
    """A PET with random weights, of energy and dipole, in double precision; metatrain's default size is 128."""
    import torch
    from metatrain.pet import PET
    from metatrain.utils.architectures import get_default_hypers
    from metatrain.utils.data import DatasetInfo
    from metatrain.utils.data.target_info import get_energy_target_info, get_generic_target_info

    dipole = {"quantity": "dipole", "unit": "e*angstrom", "type": {"cartesian": {"rank": 1}}}
    dipole |= {"num_subtargets": 1, "sample_kind": "system"}
    targets = {
        "energy": get_energy_target_info("energy", {"unit": "eV"}),
        "mtt::dipole": get_generic_target_info("mtt::dipole", dipole),
    }
    torch.manual_seed(0)
    known = DatasetInfo(length_unit="angstrom", atomic_types=[1, 8], targets=targets)
    sizes = {
        "d_pet": size,
        "d_head": size,
        "d_node": 2 * size,
        "d_feedforward": 2 * size,
        "num_heads": max(1, size // 16),
    }
    PET({**get_default_hypers("pet")["model"], **sizes}, known).to(torch.float64).export().save(str(path))


def ways_of_metatomic(path: Path, structure: Atoms, threads: int) -> list[Way]:
    """All ways to one file of metatomic."""
    from ipi.pes.metatomic import MetatomicDriver
    from metatomic_ase import MetatomicCalculator

    ours = load_evaluator(f"metatomic:{path}", threads)
    template = path.with_name("template.xyz")
    structure.write(template)
    driver = MetatomicDriver(template=str(template), model=str(path), device="cpu")
    calculator = MetatomicCalculator(str(path), device="cpu")
    return [
        Alone(ALONE, evaluator=ours, structure=structure, forwards=forwards_of_metatomic),
        Ours("beadwise, metatomic:FILE", evaluator=ours, structure=structure),
        OfIpiByArrays("i-PI's batched driver", calculator=driver, structure=structure),
        ThroughAse("ASE calculator, bead by bead", calculator=calculator, structure=structure),
    ]


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
        Alone(ALONE, evaluator=ours, structure=structure, forwards=forwards_of_mace),
        Ours("beadwise, mace:FILE", evaluator=ours, structure=structure),
        OfIpi("i-PI's batched driver", calculator=batched, structure=structure),
        ThroughAse("ASE calculator, bead by bead", calculator=calculator, structure=structure),
    ]


def measure(ways: Sequence[Way], structure: Atoms, beads: int, repetitions: int, clock: str) -> list[dict[str, Any]]:
    """One row for each way; ratios are medians of those within one repetition."""

    def trajectory() -> Any:
        for repetition, positions in enumerate(moving_beads(structure, beads)):
            for way in ways if repetition == 0 else ():  # TorchScript compiles in the first three
                if isinstance(way, Alone):
                    way.prepare(positions)
                for _ in range(2):
                    way.evaluate(positions[:1] if not isinstance(way, Alone) else positions)
            for way in ways:
                if isinstance(way, Alone):
                    way.prepare(positions)
            yield positions

    seconds = interleaved(ways, trajectory(), repetitions, CLOCKS[clock])
    return rows_of(seconds, ALONE, structure, beads)


def rows_of(seconds: Mapping[Any, np.ndarray], unit: str, structure: Atoms, beads: int) -> list[dict[str, Any]]:
    """Microseconds for an atom and bead of each way, and how they compare with the way of this name."""
    alone = next(times for way, times in seconds.items() if way.name == unit)
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


def more_properties(evaluator: Any, structure: Atoms, beads: int, repetitions: int, clock: str) -> list[dict[str, Any]]:
    """What dipole and Born charges cost beside energy, forces and virial."""
    more = {"energy, forces, virial": (), "and dipole": ("dipole",), "and Born charges": ("dipole", "born_charges")}

    @dataclass(eq=False)
    class Asked(Ours):
        want: tuple[str, ...] = ()

        def evaluate(self, positions: np.ndarray) -> Any:
            return self.evaluator.evaluate(batch_of(self.structure, positions), self.want)

    ways = [Asked(name, evaluator=evaluator, structure=structure, want=WANT + own) for name, own in more.items()]
    seconds = interleaved(ways, moving_beads(structure, beads), repetitions, CLOCKS[clock])
    return rows_of(seconds, ways[0].name, structure, beads)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mace", type=Path, help="a file of MACE that knows H and O; by default random weights")
    parser.add_argument("--package", choices=("mace", "metatomic"), help="  [default: that of the file, else mace]")
    parser.add_argument(
        "--metatomic", type=Path, help="a file of metatomic that knows H and O; by default a random PET"
    )
    parser.add_argument("--channels", type=int, default=64, help="of a MACE with random weights (default: %(default)s)")
    parser.add_argument(
        "--size", type=int, default=128, help="d_pet of a PET with random weights (default: %(default)s)"
    )
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
        is_mace = (options.package or ("metatomic" if options.metatomic else "mace")) == "mace"
        given = options.mace if is_mace else options.metatomic
        path = given or Path(folder) / ("random.model" if is_mace else "random.pt")
        with redirect_stdout(io.StringIO()):
            if given is None:
                make_mace(path, options.channels, options.dtype) if is_mace else make_pet(path, options.size)
        for atoms in options.atoms:
            structure = box(atoms)
            ways = (ways_of_mace if is_mace else ways_of_metatomic)(path, structure, options.threads)
            for beads in options.beads:
                rows += measure(ways, structure, beads, options.repetitions, options.clock)
                if "born_charges" in ways[0].evaluator.properties:
                    rows += more_properties(ways[0].evaluator, structure, beads, options.repetitions, options.clock)
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
