"""A real file of PET with energy, dipole and forces by itself, which metatrain trains for two epochs."""

from __future__ import annotations

import os
import subprocess
import sysconfig
from pathlib import Path

from ase.io import write
from beadwise.model import Batch
from beadwise.model.evaluators import load_evaluator

OPTIONS = """
seed: 1
device: cpu
base_precision: 64
architecture:
  name: pet
  model: {cutoff: 3.5, d_pet: 8, d_head: 8, d_node: 8, d_feedforward: 8, num_heads: 2, num_attention_layers: 1}
  training: {batch_size: 4, num_epochs: 2, num_workers: 0, learning_rate: 1.0e-3}
training_set:
  systems: {read_from: frames.xyz, length_unit: angstrom}
  targets:
    energy: {key: total, unit: eV, forces: {key: pulls}}
    mtt::dipole:
      {key: moment, quantity: dipole, unit: e*angstrom, sample_kind: system, type: {cartesian: {rank: 1}}}
    non_conservative_force:
      {key: pulls, quantity: force, unit: eV/Angstrom, sample_kind: atom, type: {cartesian: {rank: 1}}}
validation_set: 0.25
test_set: 0.0
"""


def pet_file(folder: Path, frames: list) -> Path:
    """Train to what the shipped water model says of some frames, and return the file."""
    labels = load_evaluator("water").evaluate(Batch.from_ase(frames), ["energy", "forces", "dipole"])
    for atoms, energy, forces, dipole in zip(frames, labels.energy, labels.forces, labels.dipole, strict=True):
        atoms.info |= {"total": float(energy), "moment": dipole}
        atoms.arrays["pulls"] = forces
    write(folder / "frames.xyz", frames)
    (folder / "options.yaml").write_text(OPTIONS)
    done = subprocess.run(
        [Path(sysconfig.get_path("scripts")) / "mtt", "train", "options.yaml", "-o", "pet.pt"],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-2000:]
    return folder / "pet.pt"
