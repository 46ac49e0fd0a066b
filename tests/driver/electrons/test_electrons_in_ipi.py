"""Dynamics at an electronic temperature through a real i-PI: every bead has its own electrons, and feels them."""

import csv
import os
import subprocess
import sys

import numpy as np
import pytest
from ase.io import write
from beadwise.model import Batch, save
from beadwise.model.evaluators import load_evaluator
from beadwise.properties.density_of_states import QUANTITY
from beadwise.runs.output.series_files import find_sources
from beadwise.runs.units import BOHR_PER_ANGSTROM
from ipi.utils.io import read_file
from models import random_model, random_structure, with_members

CURVES, NUMBERS = "density_of_states", ("electronic_entropy", "electronic_free_energy", "fermi_level")
INPUT = """
<simulation verbosity='low' floatformat='%.17e'>
  <output prefix='own'>
    <properties filename='out' stride='1'> [ step, potential{electronvolt} ] </properties>
    <trajectory filename='numbers' stride='1' extra_type='NUMBERS'> extras </trajectory>
    <trajectory filename='curves' stride='1' extra_type='density_of_states'> extras </trajectory>
    <trajectory filename='pos' stride='1' format='xyz' cell_units='angstrom'> positions{angstrom} </trajectory>
  </output>
  <total_steps> 2 </total_steps>
  <ffsocket mode='unix' name='own'> <address> beadwise-hot-ADDRESS </address> <latency> 1e-3 </latency> </ffsocket>
  <system>
    <initialize nbeads='2'>
      <file mode='ase' units='angstrom'> water.extxyz </file>
      <velocities mode='thermal' units='kelvin'> 300 </velocities>
    </initialize>
    <forces> <force forcefield='own'/> </forces>
    <ensemble> <temperature units='kelvin'> 300 </temperature> </ensemble>
    <motion mode='dynamics'>
      <dynamics mode='nve'> <timestep units='femtosecond'> 0.1 </timestep> </dynamics>
    </motion>
  </system>
</simulation>
"""


def positions_of(path):
    frames = []
    with open(path) as file:
        while True:
            try:
                frames.append(read_file("xyz", file)["atoms"].q.reshape(-1, 3) / BOHR_PER_ANGSTROM)
            except EOFError:
                return frames


def test_averages_have_the_errors_of_members(tmp_path):
    """What members say of curves and of what follows from them is read from a real run, as numbers in a row."""
    heads = [head.name for head in QUANTITY.heads]
    model = with_members(random_model(heads=["energy", *heads]), heads)
    save(model, tmp_path / "own.safetensors")
    atoms = random_structure(3)
    write(tmp_path / "water.extxyz", atoms, format="extxyz")
    wanted = (CURVES, "fermi_level", "electronic_entropy")
    outputs = "".join(
        f"<trajectory filename='{key}' stride='1' extra_type='{key}'> extras </trajectory>"
        for name in wanted
        for key in (name, f"member_{name}")
    )
    text = INPUT.strip().replace("ADDRESS", f"{os.getpid()}m").replace("<total_steps> 2 ", "<total_steps> 19 ")
    before, after = text.index("<trajectory"), text.index("<trajectory filename='pos'")
    (tmp_path / "input.xml").write_text(text[:before] + outputs + text[after:])
    command = [sys.executable, "-m", "beadwise.driver"]
    name = "electrons:temperature=5000,own.safetensors"
    run = [*command, "run", "input.xml", "--model", name, "--no-report"]
    subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=True)
    warm = load_evaluator(name.replace("own.", f"{tmp_path}/own."))
    frames = []
    for bead in range(2):
        for positions in positions_of(tmp_path / f"own.pos_{bead}.xyz"):
            frames.append(atoms.copy())
            frames[-1].positions = positions
    response = warm.evaluate(Batch.from_ase(frames), [f"committee_{name}" for name in wanted])
    for name in wanted:
        average = [*command, "average", "input.xml", "--of", name, "--skip", "0", "--output", f"mean_{name}"]
        subprocess.run(average, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=True)
        lines = [line for line in (tmp_path / f"mean_{name}.csv").read_text().splitlines() if not line.startswith("#")]
        rows = [row for row in csv.DictReader(lines) if row["mean of"].startswith(name)]
        expected = response[f"committee_{name}"].mean(axis=0).reshape(3, -1)  # members, values
        received = np.array([[float(row[f"member {member}"]) for row in rows] for member in range(3)])
        np.testing.assert_allclose(received, expected, rtol=0, atol=1e-4 * np.abs(expected).max())
        errors = [float(row["model error"]) for row in rows]
        np.testing.assert_allclose(errors, received.std(axis=0, ddof=1), rtol=1e-6, atol=1e-9)


def test_every_bead_of_a_real_run(tmp_path):
    save(random_model(heads=["energy", *(head.name for head in QUANTITY.heads)]), tmp_path / "own.safetensors")
    atoms = random_structure(3)
    write(tmp_path / "water.extxyz", atoms, format="extxyz")
    text = INPUT.strip().replace("ADDRESS", str(os.getpid())).replace("NUMBERS", ",".join(NUMBERS))
    (tmp_path / "input.xml").write_text(text)
    name = "electrons:temperature=5000,forces=yes,own.safetensors"
    command = [sys.executable, "-m", "beadwise.driver", "run", "input.xml", "--model", name, "--no-report"]
    subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=True)
    hot = load_evaluator(name.replace("own.", f"{tmp_path}/own."))
    beads = []
    for bead in range(2):
        copies = [atoms.copy() for _ in range(3)]
        for copy, positions in zip(copies, positions_of(tmp_path / f"own.pos_{bead}.xyz"), strict=True):
            copy.positions = positions
        beads.append(hot.evaluate(Batch.from_ase(copies), ("energy", CURVES, *NUMBERS)))
    potential = np.loadtxt(tmp_path / "own.out")[:, 1]
    np.testing.assert_allclose(potential, np.mean([own.energy for own in beads], axis=0), rtol=0, atol=2e-5)
    for files, names in (("numbers", NUMBERS), ("curves", (CURVES,))):
        (source,) = find_sources([tmp_path / f"own.{files}_{bead}" for bead in range(2)])
        chunks = list(source.samples())
        for one in names:
            samples = np.concatenate([found[one] for found in chunks])
            expected = np.mean([own[one] for own in beads], axis=0)
            assert samples == pytest.approx(expected, abs=3e-5 * np.abs(expected).max())
