"""Energies of pairs of molecules far from each other, by models with and without potentials of all atoms.

python docs/long_range/pairs.py dimers.xyz FOLDER [--aside N]

dimers.xyz has energies and forces of pairs at several distances, and in each frame ``dimer_id``, ``label`` (CC, CP, CA,
PP, PA, AA: charged, polar, apolar) and ``distance``.  Of each pair the N largest distances are set aside, three if
nothing is said.
"""

import argparse
import subprocess
from collections import defaultdict
from pathlib import Path

import ase.io
import numpy as np
from beadwise.model import Batch
from beadwise.model.evaluators import load_evaluator

FIT = """[data]
train = ["near.xyz"]
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
exponents = [1, 3]
smearing = 2.0
"""


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
    distances = [frame.info["distance"] for frame in far]
    print(f"{len(near)} frames fitted, {len(far)} set aside, {min(distances):.1f} to {max(distances):.1f} Å")
    for name, further in (("without", ""), ("with", LODE)):
        (options.folder / f"{name}.toml").write_text(FIT.format(name=name) + further, encoding="utf-8")
        subprocess.run(["beadwise", "fit", f"{name}.toml"], cwd=options.folder, check=True, stdout=subprocess.DEVNULL)
        tell(name, options.folder / f"{name}.safetensors", far)


def tell(name: str, model: Path, frames: list[ase.Atoms]) -> None:
    """Print root mean square errors of energies of each kind of pair in meV, and of all forces in meV/Å."""
    evaluator, energies, forces = load_evaluator(str(model)), defaultdict(list), []
    for frame in frames:
        answer = evaluator.evaluate(Batch.from_ase(frame), ("energy", "forces"))
        energies[frame.info["label"]].append(answer.energy[0] - frame.get_potential_energy())
        forces.extend((answer.forces[0] - frame.get_forces()).ravel())
    shown = ", ".join(f"{label} {1e3 * np.sqrt(np.mean(np.square(own))):.1f}" for label, own in energies.items())
    print(f"{name} [lode]: {shown} meV; forces {1e3 * np.sqrt(np.mean(np.square(forces))):.1f} meV/Å")


if __name__ == "__main__":
    main()
