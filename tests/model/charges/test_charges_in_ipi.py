"""Energy, forces, virial, dipole, Born charges and charges of eight beads through a real i-PI, in one request."""

from pathlib import Path

import ase.io
import numpy as np
from ase.units import Hartree
from beadwise.driver.commands.group import main as cli
from beadwise.model import Batch, save
from beadwise.model.evaluators import load_evaluator
from beadwise.runs.output.extras_file import ExtrasFile
from click.testing import CliRunner
from models import random_model, random_structure

BEADS = 8
KEYS = {"partial_charges": ("charges", 9), "BEC": ("born", 81), "dipole": ("mu", 3)}
INPUT = """<simulation verbosity='low'>
  <output prefix='run'>
    <properties filename='out' stride='1'> [ step, conserved, potential{{electronvolt}} ] </properties>
    {extras}
    <trajectory filename='pos' stride='1' format='ase'> positions{{ase}} </trajectory>
  </output>
  <total_steps> 3 </total_steps>
  <ffsocket mode='unix' name='driver'><address> charges </address></ffsocket>
  <system>
    <initialize nbeads='8'>
      <file mode='ase'> water.xyz </file><velocities mode='thermal' units='kelvin'> 100 </velocities>
    </initialize>
    <forces><force forcefield='driver'/></forces>
    <ensemble><temperature units='kelvin'> 100 </temperature></ensemble>
    <motion mode='dynamics'><dynamics mode='nve'><timestep units='femtosecond'> 0.1 </timestep></dynamics></motion>
  </system>
</simulation>
"""
FORM = {"kind": "transfers", "energy": "coulomb", "widths": {"H": 0.5, "O": 0.7}, "reach": 2.7}


def test_charges_of_every_bead(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    atoms = random_structure(0)
    atoms.set_cell(np.diag(np.diag(atoms.cell.array)), scale_atoms=False)
    model = random_model(3, heads=("energy", "electronegativity"), metadata={"charges": FORM})
    save(model, "water.safetensors")
    atoms.write("water.xyz")
    extras = "".join(
        f"<trajectory filename='{name}' stride='1' extra_type='{key}'> extras </trajectory>"
        for key, (name, _) in KEYS.items()
    )
    Path("input.xml").write_text(INPUT.format(extras=extras))
    result = CliRunner().invoke(
        cli, ["run", "input.xml", "--model", "water.safetensors", "--no-report", "--threads", "1"]
    )
    assert result.exit_code == 0, result.output
    evaluator = load_evaluator("water.safetensors")
    means = np.zeros(4)
    for bead in range(BEADS):
        frames = ase.io.read(f"run.pos_{bead}.extxyz", ":")
        files = {key: ExtrasFile(Path(f"run.{name}_{bead}"), 9) for key, (name, _) in KEYS.items()}
        for step, frame in enumerate(frames):
            batch = Batch.from_ase(frame)
            expected = evaluator.evaluate(batch, ("energy", "partial_charges", "born_charges", "dipole"))
            names = {"partial_charges": "partial_charges", "BEC": "born_charges", "dipole": "dipole"}
            means[step] += expected.energy[0] / BEADS
            for key, (_, size) in KEYS.items():
                (found,) = files[key].record(step)
                own = np.ravel(found[names[key]])
                assert own.size == size
                np.testing.assert_allclose(own, np.ravel(expected[names[key]]), atol=1e-5)
    _, conserved, potential = np.loadtxt("run.out").T
    np.testing.assert_allclose(potential, means, atol=1e-5)  # positions are written with few digits
    assert Hartree * np.ptp(conserved) < 2e-3 * np.ptp(potential)  # of the ring polymer
