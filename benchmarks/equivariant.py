"""Time per atom of equivariant networks, beside the same model without one, NEP and MACE in one run."""

from __future__ import annotations

import argparse
import io
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import molecule
from beadwise.model import Model
from beadwise.model.evaluators import load_evaluator
from beadwise.model.model import Repulsion
from beadwise.model.outputs import Layout, empty_head
from beadwise.model.radial import RadialBasis, RadialForm
from beadwise.potentials.equivariant_network import (
    EquivariantLayer,
    EquivariantNetwork,
    Message,
    four_body_paths,
    message_paths,
    number_of_scalars,
    three_body_paths,
)
from beadwise.pyx.tensor_head import DensityShape
from contenders import Nep, PeerError
from external import CLOCKS, WANT, Ours, Way, batch_of, make_mace
from measuring import PEERS, interleaved, limit_threads, machine, moving_beads, water_box
from rich.console import Console
from rich.table import Table

CUTOFF, RADIAL, L_MAX = 5.0, 8, 3
EVERYTHING = (*WANT, "dipole", "polarizability", "born_charges")


class OfEverything(Ours):
    """A model that is asked for dipole, polarizability and Born charges as well."""

    def evaluate(self, positions: np.ndarray) -> Any:
        return self.evaluator.evaluate(batch_of(self.structure, positions), EVERYTHING)


class OfNep(Way):
    """NEP, whose file knows the species of water only."""

    def __init__(self, path: Path, structure: Atoms):
        super().__init__("NEP", 10**9)
        self.nep = Nep(path, "calculate", "energy, forces, virial", structure)

    def evaluate(self, positions: np.ndarray) -> Any:
        return self.nep.evaluate(positions)


def bare_model(numbers: tuple[int, ...]) -> Model:
    """A model whose heads are zero."""
    shape = DensityShape(len(numbers), RADIAL, L_MAX)
    radial = RadialBasis.of_primitives(RadialForm(CUTOFF, 0.3, 0.7, 2.0, 3.0), len(numbers), RADIAL)
    heads = {name: empty_head(own.order, shape) for name, own in Layout(()).heads.items()}
    return Model(numbers, L_MAX, radial, heads, Repulsion(np.full((len(numbers),) * 2, 0.5), 1.0))


def random_layer(rng: np.random.Generator, model: Model, inputs: int, channels: int, width: int) -> EquivariantLayer:
    """A layer of random weights that reads every head."""

    def weights(*sizes: int) -> np.ndarray:
        return 0.1 * rng.normal(size=(len(model.numbers), *sizes))

    features = number_of_scalars(L_MAX, channels)
    scalars = {name: (weights(features), weights(width)) for name, head in model.heads.items() if head.order == 0}
    tensors = {
        name: (weights(3 * channels), weights(width, 3 * channels))
        for name, head in model.heads.items()
        if head.order > 0
    }
    return EquivariantLayer(
        weights(L_MAX + 1, inputs, channels),
        weights(len(three_body_paths(L_MAX)), channels),
        weights(L_MAX + 1, channels, channels),
        weights(len(four_body_paths(L_MAX, 2)), channels),
        2,
        [(weights(features, width), weights(width)), (weights(width, width), weights(width))],
        scalars,
        tensors,
    )


def random_network(model: Model, channels: int, width: int, sent: int, l_sent: int) -> EquivariantNetwork:
    """One layer, or two with a message of so many channels."""
    rng = np.random.default_rng(0)
    first = random_layer(rng, model, model.shape.channels, channels, width)
    if not sent:
        return EquivariantNetwork(model.shape, [first])
    second, species = random_layer(rng, model, sent + channels, channels, width), len(model.numbers)
    message = Message(
        0.1 * rng.normal(size=(species, species, L_MAX + 1, RADIAL, sent)),
        0.1 * rng.normal(size=(species, l_sent, 3 * channels, sent)),
        0.1 * rng.normal(size=(species, l_sent + 1, sent)),
        0.1 * rng.normal(size=(species, l_sent + 1, width, sent)),
        0.1 * rng.normal(size=(species, len(message_paths(L_MAX, l_sent)), sent)),
    )
    return EquivariantNetwork(model.shape, [first, second], message)


def contenders(structure: Atoms, options: argparse.Namespace, folder: Path) -> Iterator[Way]:
    """All that can be timed of a structure."""
    model = bare_model(tuple(sorted(set(structure.numbers.tolist()))))
    yield Ours("no network", evaluator=model, structure=structure)
    for channels in options.channels:
        for sent in (0, *options.sent):
            network = random_network(model, channels, options.width, sent, options.l_sent)
            name = f"{channels} channels" + (f", messages of {sent}, l ≤ {options.l_sent}" if sent else "")
            with_network = replace(model, equivariant=network)
            yield Ours(name, evaluator=with_network, structure=structure)
            yield OfEverything(f"{name}: also Born charges", evaluator=with_network, structure=structure)
    try:
        if set(model.numbers) == {1, 8}:
            yield OfNep(options.peers / "nep4_water_pes.txt", structure)
    except PeerError as reason:
        print(f"skipped: {reason}")
    for channels in options.mace:
        path = folder / f"{channels}.model"
        try:
            with redirect_stdout(io.StringIO()):
                make_mace(path, channels, "float64", model.numbers)
                evaluator = load_evaluator(f"mace:{path}", 1)
            yield Ours(f"MACE {channels}x0e + {channels}x1o", 3, evaluator=evaluator, structure=structure)
        except ImportError:
            print("skipped: mace-torch is not installed (pip install mace-torch)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--channels", type=int, nargs="+", default=[16, 32])
    parser.add_argument("--width", type=int, default=64, help="of both hidden layers (default: %(default)s)")
    parser.add_argument("--sent", type=int, nargs="*", default=[8], help="channels of messages")
    parser.add_argument("--l-sent", type=int, default=2, help="highest order of messages (default: %(default)s)")
    parser.add_argument("--mace", type=int, nargs="*", default=[32], help="channels of MACE with random weights")
    parser.add_argument("--beads", type=int, default=32, help="of ethanol; water has one")
    parser.add_argument("--peers", type=Path, default=PEERS, help="folder of the NEP models")
    parser.add_argument("--repetitions", type=int, default=15)
    parser.add_argument("--clock", default="processor", choices=CLOCKS, help="default: %(default)s, of one thread")
    parser.add_argument("--json", type=Path, help="file to write the numbers to")
    options = parser.parse_args()
    limit_threads(1)
    rows = []
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        for name, structure, beads in (
            ("ethanol", molecule("CH3CH2OH"), options.beads),
            ("water", water_box(), 1),
        ):
            found = list(contenders(structure, options, Path(folder)))
            seconds = interleaved(found, moving_beads(structure, beads), options.repetitions, CLOCKS[options.clock])
            for way in found:
                per_atom = 1e6 * seconds[way] / (beads * len(structure))
                numbers = {"minimum": per_atom.min(), "median": float(np.median(per_atom))}
                rows.append({"structure": name, "beads": beads, "model": way.name, **numbers})
    described = machine()
    console = Console(width=110)
    console.print(described)
    table = Table("structure", "beads", "model", "least µs", "median µs")
    for row in rows:
        console_row = [f"{row[name]:.4g}" for name in ("minimum", "median")]
        table.add_row(row["structure"], str(row["beads"]), row["model"], *console_row)
    console.print("per atom and bead: energy, forces, virial")
    console.print(table)
    if options.json:
        options.json.write_text(json.dumps({"machine": described, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
