"""Time per atom against the number of species, with channels for each species and with shared chemical channels."""

from __future__ import annotations

import argparse
from time import perf_counter

import numpy as np
from ase.data import chemical_symbols
from beadwise.model import Batch, Model
from beadwise.model.model import Repulsion
from beadwise.model.radial import RadialBasis, RadialForm
from beadwise.properties.quantities import heads
from beadwise.pyx.tensor_head import DensityShape, feature_sizes, head_from_features
from measuring import limit_threads, machine, water_box
from rich.console import Console
from rich.table import Table

NUMBERS = (1, 3, 6, 7, 8, 9, 16, 17)
FORM = RadialForm(cutoff=6.0, warp_length=0.3, innermost=0.7, decay_length=2.0, decay_power=3.0)
WANT = ("energy", "forces", "virial", "dipole", "polarizability")
RADIAL, CHANNELS, L_MAX = 8, 2, 3


def random_model(species: int, shared: bool) -> Model:
    """A model of random weights: what it answers does not change how long it takes."""
    rng = np.random.default_rng(0)
    if shared:
        basis, groups = RadialBasis.of_chemical_channels(FORM, species, RADIAL, CHANNELS), (0,) * species
    else:
        basis, groups = RadialBasis.of_primitives(FORM, species, RADIAL), tuple(range(species))
    shape = DensityShape(species, basis.radial, L_MAX, max(groups) + 1)
    own_heads = {
        name: head_from_features(order, shape, 1e-3 * rng.normal(size=species * sum(feature_sizes(order, shape))))
        for name, order in ((name, head.order) for name, (_, head) in heads().items())
    }
    onset = np.full((species, species), 0.8)
    return Model(NUMBERS[:species], L_MAX, basis, own_heads, Repulsion(onset, 1.0), groups=groups)


def microseconds_per_atom(model: Model, repetitions: int) -> float:
    """Shortest evaluation of the geometry of a water box, its atoms spread over all species of the model."""
    structure = water_box()
    structure.numbers = np.resize(model.numbers, len(structure))
    batch = Batch.from_ase(structure)
    times = []
    for _ in range(repetitions):
        start = perf_counter()
        model.evaluate(batch, WANT)
        times.append(perf_counter() - start)
    return 1e6 * min(times) / len(structure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=30)
    options = parser.parse_args()
    limit_threads(1)
    console = Console(width=120)
    for name, value in machine().items():
        console.print(f"{name}: {value}", highlight=False)
    table = Table(title=f"µs per atom, one thread, {', '.join(WANT)}; cutoff 6 Å, l ≤ {L_MAX}")
    headings = ("species", f"{RADIAL} functions for each species", f"{CHANNELS} × {RADIAL} functions for all", "ratio")
    for heading in headings:
        table.add_column(heading, justify="right")
    for species in range(1, len(NUMBERS) + 1):
        own, shared = (microseconds_per_atom(random_model(species, s), options.repetitions) for s in (False, True))
        symbols = " ".join(chemical_symbols[number] for number in NUMBERS[:species])
        table.add_row(symbols, f"{own:.1f}", f"{shared:.1f}", f"{own / shared:.2f}")
    console.print(table)


if __name__ == "__main__":
    main()
