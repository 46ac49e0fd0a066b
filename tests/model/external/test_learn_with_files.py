"""Rounds of learning whose labels come from a model out of several files; as a baseline such a model is refused."""

from __future__ import annotations

import shutil
from importlib.util import find_spec

import numpy as np
import pytest
from beadwise.learning.data import Frame
from beadwise.learning.loop.frames import write_frames
from beadwise.model import Batch
from beadwise.model.evaluators import load_evaluator
from learning_folder import Folder, box

if find_spec("metatomic") is None or find_spec("mace") is None:
    pytest.skip("metatomic or mace-torch is not installed: pip install 'beadwise[metatomic,mace]'",
                allow_module_level=True)  # fmt: skip

from mace_files import mace_file

MIXED = '[energy]\nmodels = ["metatomic:pet.pt", "mace:e.model"]\n'


def test_a_round(pet, tmp_path):
    """As a baseline it is refused, in one line; as a reference it gives the labels of a round."""
    folder = Folder(tmp_path)
    shutil.copy(pet, tmp_path / "pet.pt")
    mace_file(tmp_path / "e.model")
    (tmp_path / "mixed.toml").write_text(MIXED)
    frames = [box(np.random.default_rng(seed)) for seed in range(10)]
    labels = load_evaluator(str(tmp_path / "mixed.toml")).evaluate(Batch.from_ase(frames), ["energy", "forces"])
    every = zip(frames, labels.energy, labels.forces, strict=True)
    write_frames(tmp_path / "frames.xyz", [Frame(one, {"energy": e, "forces": f}) for one, e, f in every])
    folder.write_steps(4)
    values = {
        "reference": "mixed.toml",
        "count": 8,
        "members": 5,
        "rounds": 1,
        "flag": 1e-3,
        "stop": 500.0,
        "stride": 2,
    }
    configuration = folder.write(**values)
    plain = configuration.read_text()

    configuration.write_text(plain.replace("[fit.energy]", '[fit.energy]\nbaseline = "mixed.toml"'))
    status, _, errors = folder.run()
    assert status == 2 and errors.strip().count("\n") == 0
    assert "baseline 'mixed.toml' is made of files; allowed are potentials that have a name everywhere" in errors

    configuration.write_text(plain)
    status, _, errors = folder.run()
    assert status == 0, errors
    assert next((record.new, record.failed) for record in folder.records) == (4, 0)
