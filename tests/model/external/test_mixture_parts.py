"""Parts of a mixture that come from other packages: what may run code needs the user's word, units are taken once."""

from __future__ import annotations

import hashlib
import json
from importlib.util import find_spec

import numpy as np
import pytest
from beadwise.driver.commands.group import main
from beadwise.errors import BeadwiseError
from beadwise.model import Batch, save
from beadwise.model.errors import EvaluatorError
from beadwise.model.evaluators import load_evaluator
from beadwise.model.evaluators.trust import VARIABLE, runs_code, trusting
from beadwise.model.mixtures.mixture import MixtureError
from beadwise.properties.unit_names import BOHR, DEBYE
from click.testing import CliRunner
from models import random_model
from nep_files import nep_file
from test_nep import waters

EMT = "ase:ase.calculators.emt.EMT"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def mixed(folder, text, name="mixed.toml"):
    (folder / name).write_text(text)
    return str(folder / name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("water", False),
        ("qtip4pf", False),
        ("harmonic:k=1", False),
        ("a.safetensors", False),
        ("member:0,a.safetensors", False),
        ("nep:nep.txt", False),
        (EMT, True),
        ("mace:a.safetensors", False),
        ("committee:water,mace:a.safetensors", False),
        (f"committee:water,{EMT}", True),
        ("client:program {address}", True),
        ("springs:Springs", True),
        ("nothing", True),
    ],
)
def test_what_runs_code(folder, name, expected):
    save(random_model(), folder / "a.safetensors")
    nep_file(folder / "nep.txt")
    assert runs_code(name) is expected


def test_code_needs_the_users_word(folder):
    path = mixed(folder, f'[energy]\nmodel = "{EMT}"\n')
    outer = mixed(folder, '[energy]\nmodels = ["qtip4pf", "mixed.toml"]\n', "outer.toml")
    for name in (path, outer):
        with pytest.raises(EvaluatorError, match=r"may run code, and only the file names it; .*--trust"):
            load_evaluator(name)
    with trusting([EMT]):
        load_evaluator(path)
    with pytest.raises(EvaluatorError, match="the file leads back to"):
        mixed(folder, '[energy]\nmodel = "outer.toml"\n')
        load_evaluator(outer)


def test_weights_that_bring_code_are_part_of_the_model(folder):
    (folder / "e.model").touch()
    path = mixed(folder, '[energy]\nmodel = "mace:e.model"\n')
    with pytest.raises(EvaluatorError, match=r"is damaged or no file of MACE|need the package mace-torch"):
        load_evaluator(path)
    model = random_model(heads=["energy"])
    model.baseline = path  # but a model file cannot bring it along
    save(model, folder / "corrects.safetensors")
    with pytest.raises(BeadwiseError, match="may run code"):
        load_evaluator(folder / "corrects.safetensors")


@pytest.mark.skipif(find_spec("nep_adapters") is None, reason="nep-adapters is not installed")
def test_a_unit_counts_once(folder):
    """The unit of a section is that of the file, also where the name says another one."""
    nep_file(folder / "dipole.txt", "nep4_dipole")
    batch = Batch.from_ase(waters())
    alone = "nep:dipole.txt,dipole_unit=e*bohr"
    plain = load_evaluator(alone).evaluate(batch, ["dipole"]).dipole
    for unit, factor in {"": 1.0, 'unit = "e*bohr"': 1.0, 'unit = "debye"': DEBYE / BOHR}.items():
        for name in (
            "nep:dipole.txt,dipole_unit=e*bohr",
            "committee:{0},{0}".format("nep:dipole.txt,dipole_unit=e*bohr"),
        ):
            found = load_evaluator(mixed(folder, f'[dipole]\nmodel = "{name}"\n{unit}\n')).evaluate(batch, ["dipole"])
            np.testing.assert_allclose(found.dipole, factor * plain, rtol=1e-13)
    name = "committee:nep:dipole.txt,dipole_unit=e*bohr,nep:dipole.txt,dipole_unit=debye"
    with pytest.raises(MixtureError, match=r"\[dipole\] of .*members answer in \['debye', 'e\*bohr'\]"):
        load_evaluator(mixed(folder, f'[dipole]\nmodel = "{name}"\nunit = "debye"\n'))


@pytest.mark.skipif(find_spec("nep_adapters") is None, reason="nep-adapters is not installed")
def test_what_inspect_says(folder, monkeypatch):
    monkeypatch.setenv(VARIABLE, "")  # what --trust adds is taken back
    nep_file(folder / "dipole.txt", "nep4_dipole")
    done = CliRunner().invoke(main, ["inspect", "nep:dipole.txt,dipole_unit=e*bohr", "--json", "said.json"])
    assert done.exit_code == 0, done.output
    said = json.loads((folder / "said.json").read_text())
    assert said["species"] == ["H", "O"] and said["properties"] == ["dipole"] and said["kind"] == "dipole"
    assert said["units"] == {"dipole": "e*bohr"} and said["provider"].startswith("nep-adapters ")
    assert said["sha256"] == hashlib.sha256((folder / "dipole.txt").read_bytes()).hexdigest()
    assert "A model of another package" in done.output
    path = mixed(folder, f'[energy]\nmodel = "{EMT}"\n')
    assert "--trust" in CliRunner().invoke(main, ["inspect", path]).output
    assert CliRunner().invoke(main, ["inspect", path, "--trust", EMT]).exit_code == 0
