"""``import beadwise``: what it offers, what it imports, and the same as a program."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import beadwise
import numpy as np
import pytest
from ase.build import molecule
from beadwise.errors import BeadwiseError
from beadwise.model import Batch, PropertyError, StructureError
from beadwise.model.qtip4pf import QTip4pF
from beadwise.plugins import load_plugin, plugins
from beadwise.suggestions import did_you_mean

SLOW = {"numpy", "scipy", "ase", "ipi", "matplotlib", "click", "rich", "torch"}


def modules_after(program: str) -> set[str]:
    """Modules that a program of its own imports."""
    program += "\nimport json, sys\nprint(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    return set(json.loads(done.stdout))


def waters(count: int) -> list:
    frames = []
    for seed in range(count):
        frames.append(molecule("H2O", vacuum=6, pbc=True))
        frames[-1].rattle(0.02, seed=seed)
    return frames


@pytest.mark.parametrize("program", ["import beadwise", "import beadwise; dir(beadwise); beadwise.__all__"])
def test_it_is_light(program):
    modules = modules_after(program)
    assert not SLOW & modules
    assert {name for name in modules if name.startswith("beadwise")} == {"beadwise"}


def test_names():
    assert set(beadwise.__all__) <= set(dir(beadwise))
    assert beadwise.__version__ == version("beadwise")
    for name in beadwise.__all__:
        assert getattr(beadwise, name) == getattr(beadwise, name)
    with pytest.raises(AttributeError, match="module 'beadwise' has no attribute 'laod'; it has Batch, Calculator"):
        _ = beadwise.laod


def test_load_takes_every_name():
    assert isinstance(beadwise.load("qtip4pf"), QTip4pF)
    assert beadwise.load("harmonic:k=2.0").k == 2.0
    assert beadwise.load("water").species == (1, 8)


def test_load_takes_paths_and_threads():
    path = files("beadwise.inputs") / "water_short.safetensors"
    assert beadwise.load(Path(str(path)), threads=2).threads == beadwise.load(str(path), 2).threads == 2


@pytest.mark.parametrize(
    "name, threads, match",
    [
        ("watr", 1, "no model 'watr'.*did you mean 'water'"),
        (Path("nowhere/model"), 1, "no model 'nowhere/model'"),
        ("GFN1-xtb", 1, "did you mean 'GFN1-xTB'"),
        ("committee:water", 1, "'committee:water' is no committee; it is written committee:MODEL,MODEL"),
        (3, 1, "a model is called 3; the name"),
        ("", 1, "a model is called ''; the name"),
        ("water", 0, "0 threads for 'water'; a whole number"),
        ("water", 1.5, "1.5 threads for 'water'"),
        ("qtip4pf", "2", "'2' threads for 'qtip4pf'"),
    ],
)
def test_what_cannot_be_loaded_is_one_line(name, threads, match):
    with pytest.raises(BeadwiseError, match=match) as caught:
        beadwise.load(name, threads)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("count", [1, 3])
def test_structures_of_ase_are_a_batch(count):
    model, frames = beadwise.load("qtip4pf"), waters(count)
    expected = model.evaluate(Batch.from_ase(frames), ("energy", "forces"))
    for given in (frames, tuple(frames), Batch.from_ase(frames), *([frames[0]] if count == 1 else [])):
        found = beadwise.evaluate(model, given, ["energy", "forces"])
        assert isinstance(found, beadwise.Response)
        np.testing.assert_array_equal(found.energy, expected.energy)
        np.testing.assert_array_equal(found.forces, expected.forces)
    assert expected.forces.shape == (count, 3, 3)


def test_by_default_energy_forces_and_virial():
    assert beadwise.evaluate(beadwise.load("qtip4pf"), waters(1)[0]).names == ("energy", "forces", "virial")
    assert beadwise.evaluate(beadwise.load("qtip4pf"), waters(1)[0], "dipole").names == ("dipole",)  # a single name


def test_what_is_refused():
    model = beadwise.load("qtip4pf")
    with pytest.raises(StructureError, match=r"structure 1 .* differs from the first"):
        beadwise.evaluate(model, [*waters(1), molecule("CH4")])
    with pytest.raises(StructureError, match="no structure was given"):
        beadwise.evaluate(model, [])
    with pytest.raises(BeadwiseError, match="'qtip4pf' is no model"):
        beadwise.evaluate("qtip4pf", waters(1))
    with pytest.raises(StructureError, match=r"structure 0 is 'b'; ase\.Atoms are needed"):
        beadwise.evaluate(model, "box.xyz")
    with pytest.raises(PropertyError, match="polarizability"):
        beadwise.evaluate(model, waters(1), ["polarizability"])


def test_the_calculator_of_ase():
    atoms = waters(1)[0]
    atoms.calc = beadwise.Calculator(beadwise.load("qtip4pf"))
    assert atoms.get_potential_energy() == beadwise.evaluate(beadwise.load("qtip4pf"), atoms).energy[0]


@pytest.mark.parametrize("module", ["beadwise", "beadwise.driver"])
def test_as_a_program(module):
    command = [sys.executable, "-m", module]
    done = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == (f"{version('beadwise')}\n", "")
    done = subprocess.run([*command, "nothing"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and done.stderr.startswith("Error: No such command 'nothing'")
    assert "Usage: beadwise " in subprocess.run([*command, "-h"], capture_output=True, text=True, timeout=60).stdout


def test_types_are_told():
    assert (files("beadwise") / "py.typed").is_file()


def test_the_nearest_names():
    names = ["water", "water_short", "ethanol"]
    assert did_you_mean("watr", names).startswith("; did you mean 'water'")
    assert did_you_mean("ethanl", iter(names)) == "; did you mean 'ethanol'?"
    assert did_you_mean("0000", names) == did_you_mean("water", []) == ""


def test_what_no_package_adds():
    assert plugins("beadwise.nothing") == {}
    ours = plugins("console_scripts")["beadwise"]
    assert "beadwise" not in plugins("console_scripts", ["beadwise"])
    assert callable(load_plugin(ours, object, "program"))
