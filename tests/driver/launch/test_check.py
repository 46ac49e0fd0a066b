"""``run --check``: what would run is said, each server answers once, and nothing is left."""

import xml.etree.ElementTree as ElementTree

import ase.io
import numpy as np
import pytest
from beadwise.driver.commands.group import main
from beadwise.runs.input.first_positions import first_positions
from beadwise.runs.input.run_input import RunInput
from beadwise.runs.units import BOHR_PER_ANGSTROM
from click.testing import CliRunner
from places import INPUTS
from test_run import Folder, one_line


@pytest.fixture
def folder(tmp_path):
    folder = Folder(tmp_path)
    folder.write_input()
    yield folder
    folder.kill_all()


def test_an_input_of_ones_own(folder):
    before = {path.name: path.read_bytes() for path in folder.path.iterdir()}
    status, output, errors = folder.run("input.xml", "--check")
    assert (status, errors) == (0, "")
    assert "to step 6: 6 atoms, 4 beads, TRPMD with a global thermostat, λ = 1 at 300 K, 0.5 fs a step" in output
    assert "'springs': springs:springs answers for 6 atoms with energy, forces, virial, dipole" in output
    assert output.endswith("i-PI was not started\n")
    assert {path.name: path.read_bytes() for path in folder.path.iterdir()} == before
    folder.assert_clean()


def test_a_restart_is_asked_where_it_goes_on(folder):
    assert folder.run("input.xml")[0] == 0
    text = (folder.path / "RESTART").read_text().replace("<total_steps>6<", "<total_steps>9<")
    (folder.path / "RESTART").write_text(text)
    run = RunInput.read(folder.path / "RESTART")
    q = np.array(ElementTree.fromstring(text).find("system/beads/q").text.strip(" []\n").split(","), dtype=float)
    expected = q.reshape(4, 6, 3)[0] / BOHR_PER_ANGSTROM
    np.testing.assert_allclose(first_positions(run.only_system()), expected, rtol=1e-12)
    status, output, _ = folder.run("RESTART", "--check")
    assert status == 0 and "from step 6 to step 9: 6 atoms" in output


def test_positions_are_those_of_the_file():
    run = RunInput.read(INPUTS / "water.xml")
    expected = ase.io.read(INPUTS / "water_64.xyz").positions
    np.testing.assert_allclose(first_positions(run.only_system()), expected, atol=1e-6)


def test_positions_in_a_unit_of_the_input(folder):
    run = RunInput.read(folder.path / "input.xml")
    expected = ase.io.read(folder.path / "water.extxyz").positions
    np.testing.assert_allclose(first_positions(run.only_system()), expected, atol=1e-6)


@pytest.mark.parametrize(("model", "message"), [("no_such_model", "no_such_model"), ("water", "")])
def test_a_server_that_refuses(model, message, folder):
    frame = ase.io.read(folder.path / "water.extxyz")
    frame.positions[1] = frame.positions[0] + [0.1, 0, 0]  # nearer than any model goes
    ase.io.write(folder.path / "water.extxyz", frame)
    status, _, errors = folder.run("input.xml", "--check", model=model)
    assert status == 2 and message in one_line(errors)
    folder.assert_clean()


def test_a_shipped_input_is_checked_without_a_copy(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["run", "static_field", "--check", "--beads", "2"])
    assert done.exit_code == 0, done.output
    assert "192 atoms, 2 beads" in done.stdout and "kept current" not in done.stdout
    assert list(tmp_path.iterdir()) == []
