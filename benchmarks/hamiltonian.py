"""What a Hamiltonian of ethene costs: compiled, and by the NumPy that it is tested against; where the time goes."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from time import process_time

import numpy as np
from ase.build import molecule
from beadwise.model.orbitals.basis import OrbitalBasis
from beadwise.model.orbitals.model import HamiltonianModel
from measuring import least_seconds

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "orbitals"))
import numpy_blocks
from orbital_models import isolated, random_model, shaken

BASIS = OrbitalBasis({1: (0,), 6: (0, 0, 1)}, {1: 1.0, 6: 6.0})
SIZES = {"l_max": 3, "channels": 8, "products": 16}  # what a fit has where nothing else is said


def costs(beads: int, repetitions: int) -> dict[str, float]:
    """Milliseconds of processor time for a bead."""
    atoms = molecule("C2H4")
    blocks = random_model(BASIS, (atoms.numbers, atoms.positions), **SIZES)
    model = HamiltonianModel(blocks)
    batch = isolated(atoms.numbers, shaken(atoms.positions, beads))
    adjoints = np.random.default_rng(1).normal(size=blocks.matrices(batch).shape)
    asked: dict[str, tuple[Callable[[], object], int]] = {
        "matrix, NumPy": (lambda: numpy_blocks.matrices(blocks, batch), max(3, repetitions // 10)),
        "matrix, compiled": (lambda: blocks.matrices(batch), repetitions),
        "gradient, NumPy": (lambda: numpy_blocks.gradient(blocks, batch, adjoints), max(3, repetitions // 10)),
        "gradient, compiled": (lambda: blocks.pull_back(batch, adjoints), repetitions),
        "density": (lambda: blocks.density.density(batch), repetitions),
        "levels and gap": (lambda: model.evaluate(batch, ("orbital_energies", "orbital_gap")), repetitions),
    }
    found = {name: 1e3 * least_seconds(*own, clock=process_time) / beads for name, own in asked.items()}
    for name in ("matrix", "gradient"):
        found[f"{name}, ratio"] = found[f"{name}, NumPy"] / found[f"{name}, compiled"]
    return found


def main() -> None:
    """Print a table of one and of many beads."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--beads", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--repetitions", type=int, default=100)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found = {beads: costs(beads, arguments.repetitions) for beads in arguments.beads}
    print(f"{'ms of processor time for a bead':32}" + "".join(f"{beads:>5} bead(s)" for beads in found))
    for name in next(iter(found.values())):
        print(f"{name:32}" + "".join(f"{own[name]:13.3f}" for own in found.values()))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
