"""Files that mace_run_train itself wrote: the model, and the compiled one beside it."""

from __future__ import annotations

import os
import subprocess
import sysconfig
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from ase.io import write
from beadwise.model import Batch
from beadwise.model.evaluators import load_evaluator

if find_spec("mace") is None:
    pytest.skip("mace-torch is not installed: pip install 'beadwise[mace]'", allow_module_level=True)

from test_mace import of_calculator, waters

TRAINING = """
--name=tiny --train_file=frames.xyz --valid_fraction=0.2 --E0s={1:-13.6,8:-432.0} --model=MACE --hidden_irreps=8x0e+8x1o
--r_max=3.5 --max_ell=2 --correlation=2 --num_interactions=2 --batch_size=4 --valid_batch_size=4 --max_num_epochs=1
--device=cpu --default_dtype=float64 --energy_key=REF_energy --forces_key=REF_forces --seed=1
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a training of one epoch to the water model that is shipped."""
    folder, frames = tmp_path_factory.mktemp("training"), [waters(seed=seed) for seed in range(8)]
    labels = load_evaluator("water").evaluate(Batch.from_ase(frames), ["energy", "forces"])
    for atoms, energy, forces in zip(frames, labels.energy, labels.forces, strict=True):
        atoms.info["REF_energy"], atoms.arrays["REF_forces"] = float(energy), forces
    write(folder / "frames.xyz", frames)
    program = Path(sysconfig.get_path("scripts")) / "mace_run_train"
    done = subprocess.run(
        [program, *TRAINING.split()],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


def test_the_model_and_its_compiled_form(trained):
    frames = [waters(seed=seed) for seed in (20, 21)]
    expected = [of_calculator(trained / "tiny.model", "MACE", atoms) for atoms in frames]
    for name in ("tiny.model", "tiny_compiled.model"):
        evaluator = load_evaluator(f"mace:{trained / name}")
        assert evaluator.file.kind in ("MACE", "ScaleShiftMACE")
        found = evaluator.evaluate(Batch.from_ase(frames), evaluator.properties)
        for bead, values in enumerate(expected):
            for what, value in values.items():
                np.testing.assert_allclose(found[what][bead], value, rtol=0, atol=1e-10 * np.abs(value).max())
