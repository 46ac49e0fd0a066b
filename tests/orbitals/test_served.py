"""Levels of every bead through a real i-PI, beside the energy of another model."""

from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.build import molecule
from beadwise.driver.commands.group import main as cli
from beadwise.model.orbitals.file import save_hamiltonian
from beadwise.model.orbitals.model import HamiltonianModel
from beadwise.runs.output.extras_file import ExtrasFile
from click.testing import CliRunner
from orbital_models import isolated, random_model

INPUT = """<simulation verbosity='low'>
  <output prefix='run'>
    <trajectory filename='levels' stride='1' extra_type='orbital_energies'> extras </trajectory>
    <trajectory filename='gap' stride='1' extra_type='orbital_gap'> extras </trajectory>
    <trajectory filename='pos' stride='1' format='ase'> positions{ase} </trajectory>
  </output>
  <total_steps> 2 </total_steps>
  <ffsocket mode='unix' name='driver'><address> levels </address></ffsocket>
  <system>
    <initialize nbeads='2'>
      <file mode='ase'> methane.xyz </file><velocities mode='thermal' units='kelvin'> 300 </velocities>
    </initialize>
    <forces><force forcefield='driver'/></forces>
    <ensemble><temperature units='kelvin'> 300 </temperature></ensemble>
    <motion mode='dynamics'><dynamics mode='nve'><timestep units='femtosecond'> 0.2 </timestep></dynamics></motion>
  </system>
</simulation>
"""


def test_levels_of_every_bead(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = molecule("CH4")
    model = HamiltonianModel(random_model(molecule=(own.numbers, own.positions)))
    save_hamiltonian(model, "methane.safetensors")
    Atoms(own.numbers, own.positions, cell=[30.0] * 3, pbc=True).write("methane.xyz")
    (tmp_path / "model.toml").write_text(
        '[energy]\nmodel = "harmonic:k=5.0"\n[hamiltonian]\nmodel = "hamiltonian:methane.safetensors"\n'
    )
    (tmp_path / "input.xml").write_text(INPUT)
    result = CliRunner().invoke(cli, ["run", "input.xml", "--model", "model.toml", "--no-report", "--threads", "1"])
    assert result.exit_code == 0, result.output
    for bead in range(2):
        frames = ase.io.read(f"run.pos_{bead}.extxyz", ":")
        levels, gaps = (ExtrasFile(Path(f"run.{name}_{bead}"), 5) for name in ("levels", "gap"))
        for step, atoms in enumerate(frames):
            expected = model.levels(isolated(own.numbers, atoms.positions))
            (found,), (gap,) = levels.record(step), gaps.record(step)
            np.testing.assert_allclose(found["orbital_energies"], expected.energies[0], atol=1e-5)
            np.testing.assert_allclose(gap["orbital_gap"], expected.gap[0], atol=1e-5)
