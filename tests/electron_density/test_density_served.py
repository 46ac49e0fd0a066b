"""Coefficients, dipole and charge of every bead through i-PI, beside the energy of another model."""

from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from beadwise.driver.commands.group import main as cli
from beadwise.model.electron_density.file import save_density
from beadwise.runs.output.extras_file import ExtrasFile
from click.testing import CliRunner
from density_models import AT_MINIMUM, WATER, isolated, random_model, small_basis

INPUT = """
<simulation verbosity='low'>
  <output prefix='run'>
    <trajectory filename='density' stride='1' extra_type='electron_density'> extras </trajectory>
    <trajectory filename='dipole' stride='1' extra_type='dipole'> extras </trajectory>
    <trajectory filename='charge' stride='1' extra_type='density_charge'> extras </trajectory>
    <trajectory filename='hartree' stride='1' extra_type='hartree_energy'> extras </trajectory>
    <trajectory filename='pos' stride='1' format='ase'> positions{ase} </trajectory>
  </output>
  <total_steps> 2 </total_steps>
  <ffsocket mode='unix' name='driver'><address> density </address></ffsocket>
  <system>
    <initialize nbeads='2'>
      <file mode='ase'> water.xyz </file><velocities mode='thermal' units='kelvin'> 300 </velocities>
    </initialize>
    <forces><force forcefield='driver'/></forces>
    <ensemble><temperature units='kelvin'> 300 </temperature></ensemble>
    <motion mode='dynamics'><dynamics mode='nve'><timestep units='femtosecond'> 0.2 </timestep></dynamics></motion>
  </system>
</simulation>
"""


def test_densities_of_every_bead(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = random_model(small_basis())
    save_density(model, "water.safetensors")
    Atoms("OHH", AT_MINIMUM, cell=[30.0] * 3, pbc=True).write("water.xyz")
    (tmp_path / "model.toml").write_text(
        '[energy]\nmodel = "harmonic:k=5.0"\n[electron_density]\nmodel = "density:water.safetensors"\n'
        '[dipole]\nmodel = "density:water.safetensors"\n'
    )
    (tmp_path / "input.xml").write_text(INPUT)
    result = CliRunner().invoke(cli, ["run", "input.xml", "--model", "model.toml", "--no-report", "--threads", "1"])
    assert result.exit_code == 0, result.output
    for bead in range(2):
        frames = ase.io.read(f"run.pos_{bead}.extxyz", ":")
        names = {
            "density": "electron_density",
            "dipole": "dipole",
            "charge": "density_charge",
            "hartree": "hartree_energy",
        }
        files = {name: ExtrasFile(Path(f"run.{file}_{bead}"), 3) for file, name in names.items()}
        for step, atoms in enumerate(frames):
            own = model.constrained(isolated(WATER, atoms.positions))
            found = {name: file.record(step)[0][name] for name, file in files.items()}
            np.testing.assert_allclose(found["electron_density"], own.in_order_of_labels[0], atol=1e-5)
            np.testing.assert_allclose(found["dipole"], own.dipoles[0], atol=1e-5)
            np.testing.assert_allclose(found["density_charge"], 0, atol=1e-10)
            np.testing.assert_allclose(found["hartree_energy"], own.hartree_energies[0], rtol=1e-6)
