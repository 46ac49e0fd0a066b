"""A model file names its baseline; what may run code is imported only if the user has named it, too."""

import os
import shlex
import subprocess
import sys

import numpy as np
import pytest
from ase import Atoms
from beadwise import Calculator
from beadwise.driver.commands.group import main
from beadwise.model import load, save
from beadwise.model.ase_potential import ase_potential
from beadwise.model.correction import BaselineError
from beadwise.model.errors import EvaluatorError
from beadwise.model.evaluators import load_evaluator
from beadwise.model.evaluators.trust import VARIABLE, is_built_in, trust, trusting
from models import random_model

EMT = "ase:ase.calculators.emt.EMT"
LJ = "lennard-jones:epsilon=0.01,sigma=3.0"


def corrects(folder, baseline):
    """A model file that names this baseline."""
    model = random_model(heads=["energy"])
    model.baseline = baseline
    save(model, folder / "model.safetensors")
    return str(folder / "model.safetensors")


@pytest.fixture
def witness(tmp_path, monkeypatch):
    """A module in the current folder that leaves a file where it is imported."""
    (tmp_path / "own_code.py").write_text(
        "open('was_imported', 'w').close()\nfrom beadwise.model.baselines import Harmonic\n"
        "def make(): return Harmonic(1.0)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(VARIABLE, raising=False)
    yield tmp_path / "was_imported"
    sys.modules.pop("own_code", None)


@pytest.mark.parametrize("baseline", ["own_code:make", "ase:own_code.make", "committee:own_code:make,own_code:make"])
@pytest.mark.parametrize("prefix", ["", "member:0,", "committee:harmonic:k=1,"])
def test_nothing_is_imported_for_a_file(witness, tmp_path, baseline, prefix):
    with pytest.raises(BaselineError, match="--trust"):
        load_evaluator(f"{prefix}{corrects(tmp_path, baseline)}")
    with pytest.raises(BaselineError, match="trust="):
        Calculator(corrects(tmp_path, baseline))
    assert not witness.exists()


def test_shell_commands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for baseline in ("ase:os.system:command=touch was_run", "ase:subprocess.Popen:args=true", "os:system"):
        with pytest.raises(BaselineError, match="may run code"):
            load(corrects(tmp_path, baseline))
    assert not (tmp_path / "was_run").exists()
    with pytest.raises(EvaluatorError, match="is no ASE calculator"):
        ase_potential("subprocess.Popen:args=true")


def test_what_the_user_names_too(witness, tmp_path):
    model = corrects(tmp_path, "own_code:make")
    assert load_evaluator(model, trust=["own_code:make"]).baseline.k == 1.0
    assert load(model, trust=["own_code:make"]).baseline.k == 1.0 and witness.exists()
    calculator = Calculator(model, trust=["own_code:make"])
    assert np.isfinite(Atoms("OH2", np.eye(3), calculator=calculator).get_potential_energy())
    with pytest.raises(BaselineError, match="--trust"):  # only that name, and only then
        load_evaluator(model, trust=[EMT])
    with pytest.raises(BaselineError, match="--trust"):
        load_evaluator(model)
    with pytest.raises(EvaluatorError, match="list of names"):
        load_evaluator(model, trust="own_code:make")


def test_the_command_line(witness, tmp_path, capsys):
    model = corrects(tmp_path, "own_code:make")
    for more in ([], ["--trust", EMT]):
        with pytest.raises(SystemExit) as ended:
            main(["serve", model, "--unix", "nobody", "--wait", "0", *more])
        assert ended.value.code == 2 and "--trust own_code:make" in capsys.readouterr().err
    assert not witness.exists()
    with pytest.raises(SystemExit) as ended:
        main(["serve", model, "--unix", "nobody", "--wait", "0", "--trust", "own_code:make"])
    assert "no i-PI is listening" in capsys.readouterr().err and witness.exists()


def test_processes_that_are_started_know(witness, tmp_path):
    trust(["own_code:make"])
    try:
        model = corrects(tmp_path, "own_code:make")
        code = f"from beadwise import load; print(load({model!r}).baseline.k)"
        assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "1.0\n"
    finally:
        os.environ.pop(VARIABLE, None)
    with pytest.raises(EvaluatorError, match="without ';'"):
        trust(["a;b"])


@pytest.mark.parametrize(
    ("name", "built_in"),
    [
        (LJ, True), ("qtip4pf", True), ("GFN1-xTB", True), ("tblite:GFN2-xTB,accuracy=1", True), ("water", True),
        ("committee:water,qtip4pf", True), ("member:0,water", True), (EMT, False), ("committee:water,os:getcwd", False),
        (f"weighted-baseline:uncertainty=1,{EMT}", False), ("other:thing", False), ("a.safetensors", False),
    ],
)  # fmt: skip
def test_what_is_built_in(name, built_in, monkeypatch):
    assert is_built_in(name) is built_in


def test_a_file_that_corrects_itself(tmp_path):
    path = str(tmp_path / "model.safetensors")
    corrects(tmp_path, path)
    with pytest.raises(BaselineError, match="--trust"):
        load(path)
    with pytest.raises(BaselineError, match="leads back to"), trusting([path]):
        load(path)


def test_modules_of_the_current_folder_do_not_stay_in_front(witness, tmp_path):
    before = list(sys.path)
    load_evaluator("own_code:make")
    assert sys.path[: len(before)] == before or sys.path[0] != str(tmp_path)


def test_what_is_suggested_can_be_copied(tmp_path):
    """A shell that is given the command of the message gets one word, whatever the file names."""
    with pytest.raises(BaselineError) as refused:
        load(corrects(tmp_path, "a:b'; touch was_run; '\x1b[2J"))
    command = str(refused.value).partition("--trust ")[2].partition(" on the command line")[0]
    assert shlex.split(command) == ["a:b'; touch was_run; '\\x1b[2J"]
