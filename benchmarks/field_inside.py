"""What a field inside costs beside the model it belongs to, and how it grows with the number of sites."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
from beadwise.model import Batch, load
from beadwise.model.electrostatics import Electrostatics
from beadwise.model.field_inside.dressing import Dressing
from beadwise.model.field_inside.evaluator import ACCURACY, WithFieldInside
from beadwise.model.field_inside.interaction import sums_of
from beadwise.pyx.pairs import pairs_within
from measuring import least_seconds, machine, moving_beads, water_box

WITH = ("energy", "forces", "dipole", "polarizability")
LOCAL = 1.45  # Å³ of a molecule of water, about
WATER = (-0.8, 0.4, 0.4)  # e
PEER_CUTOFF = 5.0  # Å, of pairs in torch-pme
PEER_ACCURACY = 1e-4  # of ours beside it


def beside_the_model(beads: int, repetitions: int) -> dict[str, float]:
    """Milliseconds of the shipped model, and of the same with a field inside, in turns."""
    model, structure = load("water"), water_box()
    plain, dressed = model, WithFieldInside(model)
    trajectory = moving_beads(structure, beads)
    batch = Batch.from_ase([structure] * beads)
    seconds: dict[str, list[float]] = {"model": [], "with a field inside": []}
    for _ in range(repetitions):
        batch = Batch(batch.numbers, next(trajectory), batch.cells, batch.periodic)
        for name, one in (("model", plain), ("with a field inside", dressed)):
            start = process_time()
            one.evaluate(batch, WITH)
            seconds[name].append(process_time() - start)
    found = {name: 1e3 * min(times) for name, times in seconds.items()}
    paired = np.array(seconds["with a field inside"]) / np.array(seconds["model"])
    return {**found, "ratio": found["with a field inside"] / found["model"], "median ratio": float(np.median(paired))}


def growing(repeats: list[int], repetitions: int) -> list[dict[str, float]]:
    """Seconds of the polarizability, and of a charge for each atom, of larger and larger boxes."""
    rows = []
    for times in repeats:
        structure = water_box().repeat(times)
        molecules = len(structure) // 3
        places = structure.positions[None, ::3]
        cells = structure.cell.array[None]
        local = np.tile(LOCAL * np.eye(3), (1, molecules, 1, 1))
        charges = np.tile(WATER, molecules)[None]
        dressed = least_seconds(
            lambda p=places, c=cells, a=local: Dressing(sums_of(p, c, True, 0.0, ACCURACY), a).polarizability,
            repetitions,
            process_time,
        )
        slopes = least_seconds(
            lambda p=places, c=cells, a=local: Dressing(sums_of(p, c, True, 0.0, ACCURACY), a).by_positions(
                list(np.eye(3)), list(np.eye(3))
            ),
            repetitions,
            process_time,
        )
        energy = least_seconds(
            lambda s=structure, c=cells, q=charges: Electrostatics(
                s.positions[None], c, [True] * 3, accuracy=1e-6
            ).energy(q),
            repetitions,
            process_time,
        )
        rows.append(
            {
                "atoms": len(structure),
                "polarizability": dressed,
                "with derivatives": slopes,
                "charges": energy,
            }
        )
    return rows


def beside_torch_pme(repeats: list[int], repetitions: int) -> list[dict[str, float]]:
    """Seconds of energy, forces and virial of charges by meshes: ours and torch-pme's, in turns, with their errors.

    Both find their pairs anew, with the same search; torch-pme's parameters are what its own tuning takes for the
    error of forces that ours has, once for all calls.
    """
    import torch
    from torchpme import CoulombPotential, P3MCalculator
    from torchpme.prefactors import eV_A
    from torchpme.tuning import tune_p3m

    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    rows = []
    for times in repeats:
        structure = water_box().repeat(times)
        places, cell = structure.positions, structure.cell.array
        charges = np.tile(WATER, len(structure) // 3)
        column, box = torch.tensor(charges)[:, None], torch.tensor(cell)

        def ours(accuracy: float, places: np.ndarray = places, cell: np.ndarray = cell, charges: np.ndarray = charges):  # type: ignore[no-untyped-def]
            return Electrostatics(places[None], cell[None], [True] * 3, accuracy=accuracy).energy(charges[None])

        def pairs(strain: torch.Tensor, moved: torch.Tensor, places: np.ndarray = places, cell: np.ndarray = cell):  # type: ignore[no-untyped-def]
            first, second, vectors = pairs_within(places, cell, [True] * 3, PEER_CUTOFF)
            once = first < second  # an atom and its own image are farther apart than the cutoff
            first, second = (torch.tensor(own[once].astype(np.int64)) for own in (first, second))
            images = torch.tensor(vectors[once]) - (torch.tensor(places)[second] - torch.tensor(places)[first])
            apart = (moved[second] - moved[first]) + images @ strain
            return torch.stack([first, second], dim=1), apart.norm(dim=1)

        unmoved = torch.eye(3), torch.tensor(places)
        best = ours(1e-12)
        error = float(np.sqrt(np.mean((ours(PEER_ACCURACY).forces - best.forces) ** 2)))
        smearing, tuned, _ = tune_p3m(column, box, unmoved[1], PEER_CUTOFF, *pairs(*unmoved), accuracy=error / eV_A)
        peer = P3MCalculator(CoulombPotential(smearing), **tuned)

        def theirs(  # type: ignore[no-untyped-def]
            peer=peer, pairs=pairs, column=column, box=box, places=places
        ) -> tuple[float, np.ndarray]:
            strain = torch.eye(3, requires_grad=True)
            start = torch.tensor(places, requires_grad=True)
            moved = start @ strain
            potential = peer(column, box @ strain, moved, *pairs(strain, moved))
            energy = eV_A * (column * potential).sum()
            energy.backward()
            return energy.item(), -start.grad.numpy()  # strain.grad is the negative virial

        found: dict[str, list[float]] = {"charges": [], "torch-pme": []}
        for _ in range(repetitions):
            for name, one in (("charges", lambda: ours(PEER_ACCURACY)), ("torch-pme", theirs)):
                begin = process_time()
                one()
                found[name].append(process_time() - begin)
        energy, forces = theirs()
        rows.append(
            {
                "atoms": len(structure),
                **{name: min(own) for name, own in found.items()},
                "error": error,
                "error of torch-pme": float(np.sqrt(np.mean((forces - best.forces[0]) ** 2))),
                "energy apart": abs(energy - float(best.energy[0])) / len(structure),
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--beads", type=int, nargs="+", default=[1, 8])
    parser.add_argument(
        "--repeats", type=int, nargs="+", default=[1, 2, 3, 4, 5], help="of 192 atoms in each direction"
    )
    parser.add_argument("--repetitions", type=int, default=30)
    parser.add_argument("--peer", action="store_true", help="charges beside torch-pme alone, which must be installed")
    parser.add_argument("--json", type=Path, help="file to write the numbers to")
    options = parser.parse_args()
    report: dict[str, Any] = {"machine": machine(), "beads": {}, "sites": []}
    if options.peer:
        report["peer"] = beside_torch_pme(options.repeats, options.repetitions)
        for row in report["peer"]:
            print(
                f"{row['atoms']:6d} atoms, µs per atom: charges {1e6 * row['charges'] / row['atoms']:.1f}, torch-pme "
                f"{1e6 * row['torch-pme'] / row['atoms']:.1f}; forces are off by {1e3 * row['error']:.2g} and "
                f"{1e3 * row['error of torch-pme']:.2g} meV/Å, torch-pme's energy by {1e3 * row['energy apart']:.2g} "
                "meV per atom"
            )
        options.beads, options.repeats = [], []
    for beads in options.beads:
        report["beads"][beads] = found = beside_the_model(beads, options.repetitions)
        print(
            f"192 atoms, {beads} beads, energy, forces, dipole, polarizability: {found['model']:.2f} ms, "
            f"with a field inside {found['with a field inside']:.2f} ms, ratio {found['ratio']:.2f} "
            f"(median of pairs {found['median ratio']:.2f})"
        )
    for row in growing(options.repeats, 3):
        report["sites"].append(row)
        print(
            f"{row['atoms']:6d} atoms, µs per atom: polarizability {1e6 * row['polarizability'] / row['atoms']:.1f}, "
            f"with derivatives {1e6 * row['with derivatives'] / row['atoms']:.1f}; energy, forces, virial of charges "
            f"{1e6 * row['charges'] / row['atoms']:.1f}"
        )
    if options.json:
        options.json.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
