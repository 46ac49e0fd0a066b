"""Means of a gap over beads and time through a real i-PI, killed and continued."""

import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from beadwise.analysis.averages.make import make
from beadwise.analysis.averages.request import AverageRequest
from beadwise.driver.commands.group import main as cli
from beadwise.errors import BeadwiseError
from beadwise.model.orbitals.file import save_hamiltonian
from beadwise.model.orbitals.hamiltonian import Weights
from beadwise.model.orbitals.model import HamiltonianModel
from beadwise.runs.output.extras_file import ExtrasFile
from click.testing import CliRunner
from orbital_models import random_model

INPUT = """<simulation verbosity='low' floatformat='%24.16e'>
  <output prefix='own'>
    <trajectory filename='gap' stride='2' extra_type='orbital_gap'> extras </trajectory>
    <trajectory filename='members' stride='4' extra_type='member_orbital_gap'> extras </trajectory>
    <checkpoint filename='chk' stride='20' overwrite='false'/>
  </output>
  <total_steps> 60 </total_steps>
  <ffsocket mode='unix' name='driver'><address> gaps </address></ffsocket>
  <system>
    <initialize nbeads='2'>
      <file mode='ase'> ethene.xyz </file><velocities mode='thermal' units='kelvin'> 300 </velocities>
    </initialize>
    <forces><force forcefield='driver'/></forces>
    <ensemble><temperature units='kelvin'> 300 </temperature></ensemble>
    <motion mode='dynamics'>
      <dynamics mode='nvt'>
        <timestep units='femtosecond'> 0.5 </timestep>
        <thermostat mode='pile_l'><tau units='femtosecond'> 10 </tau></thermostat>
      </dynamics>
    </motion>
  </system>
</simulation>
"""


def run(folder, name, monkeypatch):
    monkeypatch.chdir(folder)
    arguments = ["run", name, "--model", "model.toml", "--no-report", "--threads", "1", "--average", "orbital_gap"]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, result.output


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    folder, own = tmp_path_factory.mktemp("template"), molecule("C2H4")
    blocks = random_model(molecule=(own.numbers, own.positions))
    generator = np.random.default_rng(2)
    deviations = {
        block: Weights(*(generator.normal(0, 0.003, (3, len(one))) for one in (own.ours, own.theirs)))
        for block, own in blocks.weights.items()
    }
    model = HamiltonianModel(replace(blocks, deviations=deviations))
    save_hamiltonian(model, folder / "ethene.safetensors")
    Atoms(own.numbers, own.positions, cell=[30.0] * 3, pbc=True).write(folder / "ethene.xyz")
    (folder / "input.xml").write_text(INPUT)
    (folder / "model.toml").write_text(
        '[energy]\nmodel = "ethene"\n[hamiltonian]\nmodel = "hamiltonian:ethene.safetensors"\n'
    )
    return folder


def cut(text, last_step):
    """What a killed run left: all records up to a step, and half of one more."""
    found = re.split(r"(?m)^(?= *#EXTRAS)", text)
    whole = [record for record in found if record and int(re.search(r"Step:\s*(\d+)", record)[1]) <= last_step]
    return "".join(whole) + found[found.index(whole[-1]) + 1][:60]


def test_killed_and_continued_has_the_identical_table(template, tmp_path, monkeypatch):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    shutil.copytree(template, whole)
    run(whole, "input.xml", monkeypatch)
    shutil.copytree(template, killed)
    shutil.copy(whole / "own.chk_1", killed / "RESTART")  # of step 40; the run went on to 50
    for file in [*whole.glob("own.gap_*"), *whole.glob("own.members_*")]:
        (killed / file.name).write_text(cut(file.read_text(), 50))
    run(killed, "RESTART", monkeypatch)
    tables = [(folder / "own.average.orbital_gap.csv").read_text().splitlines() for folder in (whole, killed)]
    without_remarks = [[line for line in table if not line.startswith("#")] for table in tables]  # these name the input
    assert without_remarks[0] == without_remarks[1] and len(without_remarks[0]) == 2
    (row,) = make(AverageRequest((whole / "input.xml",), "orbital_gap", skip=0.0))[0].rows
    found = [ExtrasFile(whole / f"own.gap_{bead}", 5) for bead in range(2)]
    gaps = [one.record(step)[0]["orbital_gap"] for one in found for step in range(0, 61, 2)]
    said = [ExtrasFile(whole / f"own.members_{bead}", 5) for bead in range(2)]
    of_members = [one.record(step)[0]["committee_orbital_gap"] for one in said for step in range(0, 61, 4)]
    assert row.model_error == pytest.approx(np.mean(of_members, axis=0).std(ddof=1), rel=1e-9) and len(row.members) == 3
    without = tmp_path / "without"  # of members
    shutil.copytree(whole, without)
    lines = [line for line in INPUT.splitlines() if "member" not in line]
    (without / "input.xml").write_text("\n".join(lines))
    for file in without.glob("own.gap_*"):  # one input run twice has the same samples but for rounding
        file.write_text(re.sub(r"(?m)^( *\d\.\d{7})\d", r"\g<1>5", file.read_text()))
    with pytest.raises(BeadwiseError, match="hold the same samples; runs that are independent"):
        make(AverageRequest((whole / "input.xml", without / "input.xml"), "orbital_gap", skip=0.0))
    for file in without.glob("own.gap_*"):  # samples of its own
        file.write_text(re.sub(r"(?m)^( *\d\.\d\d)\d", r"\g<1>5", file.read_text()))
    both, _ = make(AverageRequest((whole / "input.xml", without / "input.xml"), "orbital_gap", skip=0.0))
    assert np.isnan(both.rows[0].model_error) and any("no members are written by" in note for note in both.notes)
    assert row.name == "orbital_gap" and row.mean == pytest.approx(np.mean(gaps), rel=1e-9)
