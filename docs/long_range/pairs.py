"""Energies of pairs of molecules far from each other, by models with and without potentials of all atoms.

python docs/long_range/pairs.py dimers.xyz FOLDER [--aside N]

dimers.xyz has energies and forces of pairs at several distances, and in each frame ``dimer_id``, ``label`` (CC, CP, CA,
PP, PA, AA: charged, polar, apolar) and ``distance``, ``energyA`` and ``energyB`` of both molecules alone in the same
box, and ``indexB``, the first atom of the second one.  Of each pair the N largest distances are set aside, three if
nothing is said.  Models are fitted without [lode], with it, with charges of the molecules, and with these where the
molecules alone are in the training, too.
"""

import argparse
import json
import subprocess
from collections import defaultdict
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from beadwise.model import Batch
from beadwise.model.evaluators import load_evaluator

FIT = """[data]
train = {train}
validation = ["far.xyz"]

[density]
cutoff = 6.0
radial = 4
l_max = 3

[energy]
energy_error = 0.0003
ridge = 1e-8

[output]
model = "{name}.safetensors"
report = "{name}_report"
"""
LODE = """
[lode]
exponents = {exponents}
smearing = 2.0
"""
CHARGES = "charges = {C3H10N3 = 1, C2H3O2 = -1, C2H5NO = 0, C3H7NO = 0, C4H6N2 = 0, C2H6 = 0, C3H8 = 0}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--aside", type=int, default=3, help="how many distances of each pair are set aside")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    pairs = defaultdict(list)
    for frame in ase.io.read(options.pairs, ":"):
        pairs[frame.info["dimer_id"]].append(frame)
    ordered = [sorted(own, key=lambda frame: frame.info["distance"]) for own in pairs.values()]
    aside = options.aside
    near, far = ([frame for own in ordered for frame in own[part]] for part in (slice(-aside), slice(-aside, None)))
    ase.io.write(options.folder / "near.xyz", near)
    ase.io.write(options.folder / "far.xyz", far)
    alone = [molecule for own in ordered for molecule in molecules(own[0])]
    ase.io.write(options.folder / "alone.xyz", alone)
    distances = [frame.info["distance"] for frame in far]
    print(f"{len(near)} frames fitted, {len(far)} set aside, {min(distances):.1f} to {max(distances):.1f} Å")
    fits = {
        "without": (["near.xyz"], ""),
        "with": (["near.xyz"], LODE.format(exponents=[1, 3])),
        "charges": (["near.xyz"], LODE.format(exponents=[1]) + CHARGES),
        "charges_alone": (["near.xyz", "alone.xyz"], LODE.format(exponents=[1]) + CHARGES),
    }
    for name, (train, further) in fits.items():
        text = FIT.format(name=name, train=json.dumps(train)) + further
        (options.folder / f"{name}.toml").write_text(text, encoding="utf-8")
        subprocess.run(["beadwise", "fit", f"{name}.toml"], cwd=options.folder, check=True, stdout=subprocess.DEVNULL)
        tell(name, options.folder / f"{name}.safetensors", far)


def molecules(pair: Atoms) -> list[Atoms]:
    """Both molecules of a pair, with their energies."""
    second, found = int(pair.info["indexB"]), []
    for which, part in (("A", slice(0, second)), ("B", slice(second, None))):
        one = pair[part]
        one.info = {}
        one.calc = SinglePointCalculator(one, energy=float(pair.info[f"energy{which}"]))
        found.append(one)
    return found


def tell(name: str, model: Path, frames: list[Atoms]) -> None:
    """Print root mean square errors of energies of each kind of pair in meV, and of all forces in meV/Å."""
    evaluator, energies, forces = load_evaluator(str(model)), defaultdict(list), []
    for frame in frames:
        answer = evaluator.evaluate(Batch.from_ase(frame), ("energy", "forces"))
        energies[frame.info["label"]].append(answer.energy[0] - frame.get_potential_energy())
        forces.extend((answer.forces[0] - frame.get_forces()).ravel())
    shown = ", ".join(f"{label} {1e3 * np.sqrt(np.mean(np.square(own))):.2f}" for label, own in energies.items())
    print(f"{name}: {shown} meV; forces {1e3 * np.sqrt(np.mean(np.square(forces))):.1f} meV/Å")


if __name__ == "__main__":
    main()
