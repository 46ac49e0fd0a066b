"""The shipped water model: its errors on frames that were never fitted, and one answer through every door."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest
from ase import units
from ase.calculators.socketio import SocketIOCalculator
from ase.md.verlet import VelocityVerlet
from beadwise.learning.data import iterate_frames
from beadwise.learning.fitting.accuracy import evaluate_errors
from beadwise.model import Batch, evaluate, load
from beadwise.model.calculator import Calculator
from beadwise.model.evaluators import load_evaluator
from beadwise.runs.units import BOHR_PER_ANGSTROM, HARTREE_PER_ELECTRONVOLT
from places import REPOSITORY

DATA = REPOSITORY.parent / "shared" / "data" / "water"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the labelled water frames are not part of the repository")
WANT = ("energy", "forces", "virial", "dipole", "polarizability", "born_charges")
MOLECULAR = ("molecular_dipole", "molecular_polarizability", "molecular_position")


@pytest.fixture(scope="module")
def water():
    return load("water")


@needs_data
def test_errors_on_frames_never_fitted(water):
    errors = evaluate_errors(water, iterate_frames(DATA / "bulk_valid.xyz")).as_dict()["properties"]
    assert errors["energy"]["root_mean_square_error"] <= 0.4  # meV/atom
    assert errors["forces"]["root_mean_square_error"] <= 30  # meV/Å
    assert errors["dipole"]["percent_error"] <= 2
    assert errors["polarizability"]["percent_error"] <= 12
    assert errors["stress"]["percent_error"] <= 5


@needs_data
def test_the_accurate_model_is_more_accurate():
    errors = evaluate_errors(load("water_accurate"), iterate_frames(DATA / "bulk_valid.xyz")).as_dict()["properties"]
    assert errors["energy"]["root_mean_square_error"] <= 0.25  # meV/atom
    assert errors["forces"]["root_mean_square_error"] <= 17  # meV/Å
    assert errors["dipole"]["percent_error"] <= 1


@needs_data
def test_forces_agree_with_density_functional_theory(water):
    errors = evaluate_errors(water, iterate_frames(DATA / "dft_train.xyz")).as_dict()["properties"]
    assert errors["forces"]["root_mean_square_error"] <= 50  # meV/Å


def test_ethanol_on_frames_never_fitted():
    frames = iterate_frames(REPOSITORY / "docs" / "ethanol" / "valid.xyz")
    errors = evaluate_errors(load("ethanol"), frames).as_dict()["properties"]
    assert errors["energy"]["root_mean_square_error"] <= 2.5  # meV/atom
    assert errors["forces"]["root_mean_square_error"] <= 100  # meV/Å
    assert errors["dipole"]["percent_error"] <= 5
    assert errors["polarizability"]["percent_error"] <= 10


def test_the_file_says_where_it_comes_from(water):
    assert {"title", "licence", "sources", "limits", "errors", "envelope"} <= set(water.metadata)
    recorded = water.metadata["errors"]["validation"]["bulk_valid.xyz"]["properties"]
    assert recorded["forces"]["root_mean_square_error"] < 30


def test_energy_is_conserved(water, liquid):
    liquid.calc = Calculator(water)
    velocities = np.random.default_rng(0).normal(size=(192, 3)) * np.sqrt(300 * units.kB / liquid.get_masses())[:, None]
    liquid.set_velocities(velocities)
    dynamics = VelocityVerlet(liquid, 0.25 * units.fs)
    totals = []
    dynamics.attach(lambda: totals.append(liquid.get_total_energy()), interval=20)
    dynamics.run(800)
    assert np.ptp(totals) / len(liquid) < 1e-3  # eV/atom, over 0.2 ps


def test_calculator_answers_as_evaluate_does(water, liquid):
    expected = evaluate(water, Batch.from_ase(liquid), WANT)
    calculator = Calculator("water")
    liquid.calc = calculator
    assert liquid.get_potential_energy() == pytest.approx(expected.energy[0], rel=1e-12)
    np.testing.assert_allclose(liquid.get_forces(), expected.forces[0], atol=1e-11)
    stress = -expected.virial[0] / liquid.get_volume()
    np.testing.assert_allclose(liquid.get_stress(voigt=False), stress, atol=1e-12)
    np.testing.assert_allclose(liquid.get_dipole_moment(), expected.dipole[0], atol=1e-11)
    polarizability = calculator.get_property("polarizability", liquid)
    np.testing.assert_allclose(polarizability, expected.polarizability[0], atol=1e-11)
    born = calculator.get_property("born_effective_charges", liquid)
    np.testing.assert_allclose(born, expected.born_charges[0], atol=1e-11)


def serve(*arguments: str) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-m", "beadwise.driver", "serve", "water", *arguments])


@pytest.mark.parametrize("structure", ["named", "told from its distances"])
def test_ase_socket_server_gets_what_evaluate_gives(water, liquid, structure):
    name = f"beadwise_{os.getpid()}_{time.monotonic_ns() % 10**9}"
    # ASE's and i-PI's constants differ in the eighth digit: the model sees a structure scaled by their ratio
    length, energy = BOHR_PER_ANGSTROM * units.Bohr, HARTREE_PER_ELECTRONVOLT * units.Hartree
    seen = liquid.copy()
    seen.set_cell(liquid.cell / length, scale_atoms=True)
    expected = evaluate(water, Batch.from_ase(seen), WANT)
    with SocketIOCalculator(unixsocket=name, timeout=60) as calculator:
        named = ["--structure", str(REPOSITORY / "inputs" / "water_64.xyz")] if structure == "named" else []
        server = serve("--unix", name, *named)
        liquid.calc = calculator
        close = {"rtol": 1e-9, "atol": 1e-9}
        np.testing.assert_allclose(liquid.get_potential_energy(), expected.energy[0] * energy, **close)
        np.testing.assert_allclose(liquid.get_forces(), expected.forces[0] * energy / length, **close)
        virial = -liquid.get_stress(voigt=False) * liquid.get_volume()
        np.testing.assert_allclose(virial, expected.virial[0] * energy, **close)
        calculator.server.protocol.end()
    assert server.wait(30) == 0


INPUT = """
<simulation verbosity='low' floatformat='%.17e'>
  <output prefix='s'>
    <properties filename='out' stride='1'> [ step ] </properties>
    <trajectory filename='molecules' stride='1' extra_type='dipole,MOLECULAR'> extras </trajectory>
  </output>
  <total_steps>2</total_steps>
  <ffsocket mode='unix' name='beadwise'><address>ADDRESS</address><batch_size>2</batch_size></ffsocket>
  <system>
    <initialize nbeads='2'>
      <file mode='xyz'> water_64.xyz </file><velocities mode='thermal' units='kelvin'> 300 </velocities>
    </initialize>
    <forces><force forcefield='beadwise'/></forces>
    <ensemble><temperature units='kelvin'> 300 </temperature></ensemble>
    <motion mode='dynamics'><dynamics mode='nve'><timestep units='femtosecond'> 0.5 </timestep></dynamics></motion>
  </system>
</simulation>
"""

# i-PI's output files have nine digits; its own arrays have all of them.
IPI_SCRIPT = """
import numpy as np
from ipi.scripting import InteractiveSimulation
simulation = InteractiveSimulation(open("input.xml"))
simulation.run(2)
system = simulation.syslist[0]
forces = system.forces
np.savez("seen.npz", positions=system.beads.q, cell=system.cell.h, energy=forces.pots, forces=forces.f,
         virial=forces.virs, **{name: np.array(forces.extras[name]) for name in forces.extras})
simulation.stop()
"""


def test_ipi_gets_what_evaluate_gives(water, liquid, tmp_path):
    name = f"beadwise_{os.getpid()}_{time.monotonic_ns() % 10**9}"
    (tmp_path / "input.xml").write_text(INPUT.replace("ADDRESS", name).replace("MOLECULAR", ",".join(MOLECULAR)))
    (tmp_path / "water_64.xyz").write_bytes((REPOSITORY / "inputs" / "water_64.xyz").read_bytes())
    server = serve("--unix", name, "--structure", str(tmp_path / "water_64.xyz"), "--want", ",".join(WANT + MOLECULAR))
    subprocess.run([sys.executable, "-c", IPI_SCRIPT], cwd=tmp_path, check=True, timeout=120, capture_output=True)
    assert server.wait(30) == 0
    seen = np.load(tmp_path / "seen.npz")
    beads = seen["positions"].reshape(2, -1, 3) / BOHR_PER_ANGSTROM
    cells = np.repeat(seen["cell"].T[None] / BOHR_PER_ANGSTROM, 2, axis=0)
    expected = evaluate(water, Batch(liquid.numbers, beads, cells, np.array([True] * 3)), WANT + MOLECULAR)
    force = HARTREE_PER_ELECTRONVOLT / BOHR_PER_ANGSTROM
    close = {"rtol": 1e-9, "atol": 1e-10}
    np.testing.assert_allclose(seen["energy"], expected.energy * HARTREE_PER_ELECTRONVOLT, **close)
    np.testing.assert_allclose(seen["forces"].reshape(2, -1, 3), expected.forces * force, **close)
    np.testing.assert_allclose(seen["dipole"], expected.dipole * BOHR_PER_ANGSTROM, **close)
    polarizability = expected.polarizability.reshape(2, 9) * BOHR_PER_ANGSTROM**3
    np.testing.assert_allclose(seen["polarizability"], polarizability, **close)
    np.testing.assert_allclose(seen["BEC"].reshape(2, -1, 3, 3), expected.born_charges, **close)
    units_of = (BOHR_PER_ANGSTROM, BOHR_PER_ANGSTROM**3, BOHR_PER_ANGSTROM)
    molecules = [expected[name].reshape(2, -1) * unit for name, unit in zip(MOLECULAR, units_of, strict=True)]
    written = np.array([np.loadtxt(tmp_path / f"s.molecules_{bead}")[-1] for bead in range(2)])
    assert written.shape == (2, 3 + 15 * 64)
    np.testing.assert_allclose(written, np.hstack([expected.dipole * BOHR_PER_ANGSTROM, *molecules]), **close)
    upper = np.triu(np.ones((3, 3), bool))  # i-PI keeps this half
    virial = expected.virial * HARTREE_PER_ELECTRONVOLT
    np.testing.assert_allclose(seen["virial"][:, upper], virial[:, upper], **close)


def test_the_threads_that_are_asked_for_reach_the_model():
    assert load_evaluator("water", 3).threads == 3
    assert load_evaluator("water").threads == 1
