"""Programs that speak i-PI's protocol as evaluators: the same numbers, several for many beads, one that dies."""

from __future__ import annotations

import io
import shlex
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.lj import LennardJones
from ase.io import write
from beadwise.model import Batch, StructureError, save
from beadwise.model.ase_potential import AsePotential
from beadwise.model.clients.potential import ClientPotential, read_command
from beadwise.model.clients.scratch import PREFIX, SOCKETS
from beadwise.model.correction import BaselineError
from beadwise.model.errors import EvaluatorError
from beadwise.model.evaluators import files_of, from_any_folder, load_evaluator
from beadwise.runs.units import BOHR_PER_ANGSTROM
from ipi_pair import Side, beadwise, dynamics_input, final_state, properties, run_together
from models import random_model, random_structure
from places import HELPERS

CLIENT = HELPERS / "label_client.py"
LENNARD_JONES = {"sigma": 2.6, "epsilon": 0.01, "rc": 6.0, "smooth": True}
WANT = ("energy", "forces", "virial")


def name_of(log, options="", habit=""):
    return f"client:{options} {shlex.quote(sys.executable)} {CLIENT} {{address}} {{structure}} {log} {habit}".strip()


def beads(count, seed=0):
    rng = np.random.default_rng(seed)
    cell = np.diag([9.0, 9.5, 10.0])
    first = np.array([[x, y, z] for x in (0, 4.0) for y in (0, 4.1) for z in (0, 4.2)])
    moved = [Atoms("Ar8", first + rng.normal(scale=0.2, size=first.shape), cell=cell, pbc=True) for _ in range(count)]
    return Batch(moved[0].numbers, np.array([own.positions for own in moved]), np.array([cell] * count), (True,) * 3)


def expected(batch):
    return AsePotential(LennardJones(**LENNARD_JONES)).evaluate(batch, WANT)


@pytest.fixture
def potential():
    """Makes potentials, and ends them."""
    made = []

    def make(name):
        made.append(load_evaluator(name))
        return made[-1]

    yield make
    for one in made:
        one.close()
    assert not list(SOCKETS.glob(f"ipi_{PREFIX}*")), "a socket is left"


def assert_same(found, wanted):
    for name in WANT:
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-12, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("processes", [1, 2])
def test_the_program_answers_for_all_beads(tmp_path, potential, processes):
    own, batch = potential(name_of(tmp_path / "log", f"processes={processes}")), beads(5)
    assert_same(own.evaluate(batch, WANT), expected(batch))
    assert_same(own.evaluate(beads(3, seed=1), WANT), expected(beads(3, seed=1)))
    lines = (tmp_path / "log").read_text().split("\n")
    assert Counter(line.partition(" ")[2] for line in lines)["start"] <= processes
    assert Counter(line.partition(" ")[2] for line in lines)["label"] == 8


def test_one_that_dies_is_started_anew(tmp_path, potential, caplog):
    own, batch = potential(name_of(tmp_path / "log", habit="dies:3")), beads(4)
    assert_same(own.evaluate(batch, WANT), expected(batch))
    assert "started anew" in caplog.text and "the electrons went home" in caplog.text
    assert (tmp_path / "log").read_text().count("start") == 2


@pytest.mark.parametrize(
    ("habit", "options", "words"),
    [
        ("dies:1", "", "ended with status 3 in the middle of an answer for bead 0; its last words: .*went home"),
        ("refuses", "", "ended with status 1 before it connected for bead 0; its last words: no licence"),
        ("hangs:1", "timeout=8", "did not answer in time"),
        ("silent", "timeout=1", "did not connect in time"),
        ("nonsense:1", "", "answered what i-PI's protocol does not know"),
    ],
)
def test_one_that_fails_again_is_one_line(tmp_path, potential, habit, options, words):
    with pytest.raises(StructureError, match=words) as caught:
        potential(name_of(tmp_path / "log", options, habit)).evaluate(beads(1), WANT)
    assert "\n" not in str(caught.value)


def test_extras_of_beadwise_itself(tmp_path, potential):
    model, atoms = random_model(0), random_structure()
    save(model, tmp_path / "model.safetensors")
    served = (
        f"{shlex.quote(sys.executable)} -m beadwise.driver serve {tmp_path / 'model.safetensors'} --unix {{address}}"
    )
    served += " --structure {structure} --want energy,forces,virial,dipole,polarizability,born_charges"
    own = potential(f"client:properties=dipole,polarizability,born_charges {served}")
    batch = Batch.from_ase(atoms)
    want = [*WANT, "dipole", "polarizability", "born_charges"]
    found, wanted = own.evaluate(batch, want), load_evaluator(tmp_path / "model.safetensors").evaluate(batch, want)
    for name in want:
        # ASE, which speaks the protocol here, and i-PI have constants of different years
        np.testing.assert_allclose(found[name], wanted[name], rtol=2e-7, atol=2e-7, err_msg=name)


CHARGED = """
import sys

from ase.calculators.lj import LennardJones
from ase.calculators.socketio import SocketClient
from ase.io import read


class Charged(LennardJones):
    def calculate(self, *arguments, **keywords):
        super().calculate(*arguments, **keywords)
        told = float(sys.argv[2]) + 10 * atoms.info.get("charge", 0) + 100 * atoms.get_initial_charges().sum()
        self.results["energy"] += told


atoms = read("structure.xyz")
atoms.calc = Charged(sigma=2.6, epsilon=0.01, rc=6.0, smooth=True)
SocketClient(unixsocket=sys.argv[1]).run(atoms, use_stress=True)
"""


def test_the_total_charge_reaches_the_program(tmp_path, potential):
    (tmp_path / "driver.py").write_text(CHARGED)
    words = f"{shlex.quote(sys.executable)} {tmp_path / 'driver.py'} {{address}}"
    own, batch = potential(f"client:{words} {{charge}}"), beads(1)
    plain = expected(batch).energy
    for charge in (None, 1, -2, 0):  # it is started anew for another charge
        found = own.evaluate(replace(batch, charge=charge), WANT)
        np.testing.assert_allclose(found.energy - plain, 111 * (charge or 0), atol=1e-9)
    said = potential(f"client:charge=1 {words} {{charge}}")
    np.testing.assert_allclose(said.evaluate(batch, WANT).energy - plain, 111, atol=1e-9)
    with pytest.raises(StructureError, match=r"have the charge 2, and the client .* is asked with charge=1"):
        said.evaluate(replace(batch, charge=2), WANT)
    with pytest.raises(StructureError, match=r"charge 2, which the client .* would not be told: its .*\{charge\}, or"):
        potential(f"client:{words}").evaluate(replace(batch, charge=2), WANT)


def test_extras_that_are_not_sent(tmp_path, potential):
    with pytest.raises(StructureError, match="sends no 'dipole' for bead 0; it sends nothing beside"):
        potential(name_of(tmp_path / "log", "properties=dipole")).evaluate(beads(1), ["energy", "dipole"])


def test_files_and_paths_mean_the_same_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "driver.py").write_text("")
    (tmp_path / "input.inp").write_text("{address}")
    name = from_any_folder("client:processes=2 files=input.inp python ./driver.py -i input.inp")
    command = read_command(name.partition(":")[2])
    assert command.files == (str(tmp_path / "input.inp"),)
    assert command.words[1] == str(tmp_path / "driver.py")
    assert {Path(tmp_path / "driver.py"), tmp_path / "input.inp"} <= set(files_of(name))


def test_a_run_goes_on_when_a_program_dies(tmp_path):
    """It dies over every third bead of its life; eight answers need several lives."""
    atoms, text = beads(1), io.StringIO()
    write(text, Atoms(atoms.numbers, atoms.positions[0], cell=atoms.cells[0], pbc=True), format="extxyz")
    server = beadwise(name_of(tmp_path / "log", habit="dies:3"))
    folder = run_together(
        tmp_path, text.getvalue(), {"run": Side(dynamics_input(3, beads=2, temperature=30, batch=2), [server])}
    )["run"]
    assert len(properties(folder)) == 4
    positions = final_state(folder)["q"].reshape(2, -1, 3) / BOHR_PER_ANGSTROM
    left = Batch(atoms.numbers, positions, np.repeat(atoms.cells, 2, axis=0), np.ones(3, bool))
    assert properties(folder)[-1, 1] == pytest.approx(expected(left).energy.mean(), rel=1e-7)
    assert (tmp_path / "log").read_text().count("start") >= 3


def test_a_python_of_another_environment_stays_a_link(tmp_path, monkeypatch):
    """It finds its packages by where the link is."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").symlink_to(sys.executable)
    name = from_any_folder("client:other driver.py {address}")
    assert read_command(name.partition(":")[2]).words[0] == str(tmp_path / "other")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names no program"),
        ("processes=2", "names no program"),
        ("python 'driver.py", "cannot be read"),
        ("proceses=2 python {address}", "did you mean 'processes'"),
        ("processes=0 python {address}", "whole number above 0"),
        ("processes=1.5 python {address}", "whole number above 0"),
        ("timeout=never python {address}", "number above 0"),
        ("charge=nan python {address}", "finite number in e"),
        ("charge=one python {address}", "finite number in e"),
        ("restart=often python {address}", r"allowed are \['species', 'cell'\]"),
        ("properties=dipol python {address}", "did you mean 'dipole'"),
        ("files=none.inp python {address}", "cannot be read"),
        ("python driver.py", "does not say where to connect"),
        ("no-such-program-here {address}", "there is no program"),
    ],
)
def test_wrong_commands_are_one_line(text, words):
    with pytest.raises(EvaluatorError, match=words) as caught:
        load_evaluator(f"client:{text}")
    assert "\n" not in str(caught.value)


def test_variables_of_the_environment_and_copies():
    own = load_evaluator("client:OMP_NUM_THREADS=2 python {address}")
    assert own.command.environment == {"OMP_NUM_THREADS": "2"}
    kind, arguments = own.__reduce__()
    assert kind is ClientPotential and kind(*arguments).command == own.command


def test_a_file_cannot_start_a_program(tmp_path):
    for baseline in ("client:touch {address}", "client:files=water touch {address}"):
        model = random_model(heads=["energy"])
        model.baseline = baseline
        save(model, tmp_path / "model.safetensors")
        with pytest.raises(BaselineError, match="may run code"):
            load_evaluator(str(tmp_path / "model.safetensors"))
