"""One run of i-PI with what inputs of others hold: atoms of each socket, a lock, sockets in the folder, warnings."""

import subprocess
import sys

import numpy as np
import pytest
from ase import Atoms
from beadwise.model import Batch
from beadwise.model.evaluators import load_evaluator

XYZ = "{count}\n# CELL(abcABC): 20 20 20 90 90 90 positions{{angstrom}} cell{{angstrom}}\n{rows}"
WATER = "O 5 5 5\nH 5.76 5.59 5\nH 4.24 5.59 5\nO 5 5 8\nH 5.76 5.59 8\nH 4.24 5.59 8\n"
SYSTEM = """
<system prefix='{prefix}'>
  <initialize nbeads='2'><file mode='xyz'> {prefix}.dat </file>{more}</initialize>
  <forces>{forces}</forces>
  <ensemble><temperature units='kelvin'> 300 </temperature></ensemble>
  <motion mode='dynamics'><dynamics mode='nve'><timestep units='femtosecond'> 0.25 </timestep></dynamics></motion>
</system>
"""
INPUT = """
<simulation verbosity='medium' sockets_prefix='./here_'>
  <output prefix='s'><properties filename='out' stride='1'> [ step, potential{{electronvolt}} ] </properties></output>
  <total_steps> 2 </total_steps>
  <ffsocket name='water' mode='unix' matching='lock'><address> w </address></ffsocket>
  <ffsocket name='one' mode='unix'><address> o </address><activelist> [ 3, 4, 5 ] </activelist></ffsocket>
  <ffsocket name='rest' mode='unix'><address> r </address></ffsocket>
  {systems}
</simulation>
"""


def force(*names: str) -> str:
    return "".join(f"<force forcefield='{name}'/>" for name in names)


def energy_of(rows: str, evaluator: str) -> float:
    """In eV, of atoms in the cell of the input."""
    labels, *places = zip(*(line.split() for line in rows.splitlines()), strict=True)
    positions = np.array(places, dtype=float).T
    cell = 20 * np.eye(3)
    batch = Batch(Atoms(labels).numbers, positions[None], cell[None], np.ones(3, dtype=bool))
    return load_evaluator(evaluator).evaluate(batch, ["energy"]).energy[0]


def test_sockets_that_are_sent_different_atoms(tmp_path):
    """Water and argon in systems of their own; one socket answers for all of the water, another for one molecule."""
    (tmp_path / "a.dat").write_text(XYZ.format(count=6, rows=WATER))
    (tmp_path / "b.dat").write_text(XYZ.format(count=3, rows="Ar 1 1 1\nL 4.8 1 1\nAr 8 1 1\n"))
    masses = "<masses mode='manual' units='dalton'> [ 40, 40, 40 ] </masses>"
    systems = SYSTEM.format(prefix="a", more="", forces=force("water", "one"))
    systems += SYSTEM.format(prefix="b", more=masses, forces=force("rest"))
    (tmp_path / "input.xml").write_text(INPUT.format(systems=systems))
    command = [sys.executable, "-m", "beadwise", "run", "input.xml", "--threads", "1"]
    models = ("water=qtip4pf", "one=qtip4pf", "rest=lennard-jones:epsilon=0.0104,sigma=3.4,cutoff=8.5")
    command += [word for model in models for word in ("--model", model)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    potential = np.loadtxt(tmp_path / "a_s.out")[:, 1]
    second = "".join(WATER.splitlines(keepends=True)[3:])
    assert len(potential) == len(np.loadtxt(tmp_path / "b_s.out")) == 3
    assert potential[0] == pytest.approx(energy_of(WATER, "qtip4pf") + energy_of(second, "qtip4pf"), abs=1e-6)
    assert "i-PI warns: Overwriting previous atomic masses" in done.stdout
    assert not list(tmp_path.glob("here_*"))
