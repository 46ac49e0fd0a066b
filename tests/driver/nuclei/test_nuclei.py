"""``beadwise nuclei``: thermostats that are made, inputs that a real i-PI runs, and what is refused of them."""

from __future__ import annotations

import os
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from ase import units
from beadwise.analysis.nuclei import colored_noise, inputs
from beadwise.analysis.nuclei.colored_noise import ColoredNoiseError, piglet, quantum_factor
from beadwise.analysis.nuclei.inputs import KINDS, Treatment, prepare_input
from beadwise.analysis.nuclei.remarks import adiabatic_modes, remarks_about_nuclei
from beadwise.analysis.report.make import content_of
from beadwise.analysis.spectrum.conditions import read_run_conditions, refuse_averages
from beadwise.analysis.spectrum.live import possible_kinds
from beadwise.driver.commands.group import main
from beadwise.driver.launch.shipped_inputs import SHIM, copy_shipped_input
from beadwise.driver.launch.supervision import ipi_command
from beadwise.runs.input.elements import InputError
from beadwise.runs.input.nuclei import (
    AdiabaticModes,
    free_ring,
    is_colored,
    temperature_of_noise,
    thermal_wavenumber,
    usual_wavenumber,
)
from beadwise.runs.input.run_input import RunInput
from beadwise.runs.input.tolerance import allowed_drift
from click.testing import CliRunner
from places import MODULES
from scipy import constants
from scipy.linalg import solve_continuous_lyapunov
from traps import HBAR, MASS, TRAPS

TEMPERATURE, ATOMS = 300.0, 256
KELVIN = 100 * constants.h * constants.c / constants.k  # of 1 cm⁻¹
TRAPPED = """<simulation verbosity='low' threading='false'>
  <output prefix='traps'>
    <properties filename='out' stride='4'>
      [ step, time{{picosecond}}, potential{{electronvolt}}, kinetic_cv{{electronvolt}} ]
    </properties>
  </output>
  <total_steps> {steps} </total_steps>
  <prng> <seed> 7 </seed> </prng>
  <ffdirect name='traps'>
    <pes> custom </pes> <pes_path> {shim} </pes_path>
    <parameters> {{model: traps:traps, structure: start.xyz}} </parameters> <batch_size> 2 </batch_size>
  </ffdirect>
  <system>
    <initialize nbeads='4'>
      <file mode='xyz' units='angstrom'> start.xyz </file> <velocities mode='thermal' units='kelvin'> 300 </velocities>
    </initialize>
    <forces> <force forcefield='traps'/> </forces>
    <ensemble> <temperature units='kelvin'> 300 </temperature> </ensemble>
    <motion mode='dynamics'>
      <fixcom> False </fixcom>
      <dynamics mode='nvt'> <timestep units='femtosecond'> 1 </timestep> </dynamics>
    </motion>
  </system>
</simulation>
"""


def stationary(drift, covariance, wavenumber):
    """ω²<q²> and <p²> of an oscillator, by Schur's method for Lyapunov's equation."""
    size = len(drift) + 1
    motion, diffusion = np.zeros((2, size, size))
    motion[1:, 1:] = drift
    motion[0, 1], motion[1, 0] = -wavenumber, wavenumber
    diffusion[1:, 1:] = drift @ covariance + covariance @ drift.T
    found = solve_continuous_lyapunov(motion, diffusion)
    return found[0, 0], found[1, 1]


def test_fitted_thermostats_give_a_few_beads_the_fluctuations_of_quantum_oscillators():
    beads = 4
    noise = piglet(beads, TEMPERATURE, 4000.0, 50.0)
    rings = free_ring(beads, TEMPERATURE)
    for wavenumber in (300.0, 1600.0, 3700.0):
        total = TEMPERATURE / wavenumber**2  # <q²> of the centroid
        for mode in range(1, beads):
            own = np.hypot(wavenumber, rings[mode])
            position, momentum = stationary(noise.drift[mode], noise.covariance[mode], own)
            assert position == pytest.approx(momentum, rel=0.03)
            total += position / beads / own**2
        x = KELVIN * wavenumber / (2 * TEMPERATURE)
        assert total == pytest.approx(TEMPERATURE / wavenumber**2 * x / np.tanh(x), rel=0.01)
    np.testing.assert_allclose(noise.covariance[0], beads * TEMPERATURE * np.eye(len(noise.drift[0])))


def test_the_quantum_factor_is_exact_for_the_sum_over_modes():
    wavenumbers, beads = np.array([10.0, 500.0, 1600.0, 3700.0]), 6
    x = wavenumbers / (2 * thermal_wavenumber(TEMPERATURE))  # in the constants of i-PI
    modes = np.square(x) + np.square(beads * np.sin(np.pi * np.arange(1, beads) / beads))[:, None]
    factor = quantum_factor(wavenumbers, beads, TEMPERATURE)
    np.testing.assert_allclose(1 / x**2 + (factor / modes).sum(axis=0), 1 / (x * np.tanh(x)), rtol=1e-10)
    assert factor[0] == pytest.approx(1 / (1 - 1 / beads**2), rel=1e-3) and np.all(np.diff(factor) > 0)


@pytest.mark.parametrize("made", [colored_noise.fluctuations_of, colored_noise.friction_of])
def test_derivatives_of_the_fit(made):
    frequencies = np.linspace(0.3, 2.0, 4)
    parameters = colored_noise._start(frequencies, np.linspace(1, 2, 4))
    _, slopes = made(parameters, frequencies)
    for place in range(0, len(parameters), 3):
        moved = np.zeros_like(parameters)
        moved[place] = 1e-5
        difference = (made(parameters + moved, frequencies)[0] - made(parameters - moved, frequencies)[0]) / 2e-5
        np.testing.assert_allclose(slopes[..., place], difference, atol=1e-7)


def test_too_few_beads_are_refused():
    with pytest.raises(ColoredNoiseError, match=r"with 2 beads at 100 K .* more beads, or a lower"):
        piglet(2, 100.0, 4500.0, 50.0)


def exact_energies(trap):
    """Quantum mean potential and kinetic energy in eV, on a grid (Colbert and Miller, JCP 96, 1982 (1992))."""
    x = np.linspace(-1.0, 2.0, 500)
    apart = np.subtract.outer(np.arange(len(x)), np.arange(len(x)))
    kinetic = np.where(apart == 0, np.pi**2 / 3, 2 * (-1.0) ** apart / np.where(apart == 0, 1, apart) ** 2)
    kinetic *= HBAR**2 / (2 * MASS * (x[1] - x[0]) ** 2)
    energies, states = np.linalg.eigh(kinetic + np.diag(np.minimum(trap(x), 50)))
    weights = np.exp(-(energies - energies[0]) / (units.kB * TEMPERATURE))
    weights /= weights.sum()
    potential = states.T**2 @ np.minimum(trap(x), 50)
    return weights @ potential, weights @ (energies - potential)


@pytest.mark.parametrize(("kind", "beads"), [("piglet", 4), ("suzuki-chin", 8)])
def test_few_beads_in_a_real_ipi_have_quantum_energies(kind, beads, tmp_path, monkeypatch):
    """Harmonic, quartic and Morse traps; usual ring polymers of as many beads lack 25 and 9 % of a harmonic energy."""
    places = "H 0.0 0.0 0.1\n" * ATOMS
    (tmp_path / "start.xyz").write_text(f"{ATOMS}\n# CELL(abcABC): 99 99 99 90 90 90\n{places}")
    (tmp_path / "traps.xml").write_text(TRAPPED.format(shim=SHIM, steps=600))
    monkeypatch.setattr(inputs, "COUPLING", 15.0)  # the run is short
    path = prepare_input(RunInput.read(tmp_path / "traps.xml"), Treatment(kind, beads, 3000.0, timestep=1.0)).path
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": MODULES}
    found = subprocess.run(
        [*ipi_command(), path.name], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600
    )
    assert found.returncode == 0, found.stdout + found.stderr
    (file,) = tmp_path.glob("traps_*.out")
    means = np.loadtxt(file)[50:, 2:].mean(axis=0) / ATOMS
    exact = np.sum([exact_energies(trap) for trap in TRAPS], axis=0)
    np.testing.assert_allclose(means, exact, rtol=0.04 if kind == "piglet" else 0.025)  # its noise acts once in a step


@pytest.fixture
def water(tmp_path):
    return RunInput.read(copy_shipped_input("water", tmp_path))


def test_inputs_of_all_kinds_are_named_and_checked(water):
    names = {}
    for kind in KINDS:
        run = RunInput.read(prepare_input(water, Treatment(kind, 4, highest=4000.0)).path)
        names[kind] = read_run_conditions(run).dynamics
        assert run.only_system().beads == 4 and run.sockets and allowed_drift(run) is None
        if kind in ("piglet", "suzuki-chin"):
            with pytest.raises(InputError, match=r"no 'ir' of .* for averages"):
                refuse_averages(run, run.systems[0], "ir")
            assert not possible_kinds(("ir",), run)
        else:
            assert possible_kinds(("ir",), run) == ("ir",)
        assert not remarks_about_nuclei(run)
    assert names == {
        "rpmd": "RPMD",
        "trpmd": "TRPMD",
        "pa-cmd": "PA-CMD, internal modes at 6000 cm⁻¹",
        "piglet": "path integrals with colored noise, as PIGLET",
        "suzuki-chin": "Suzuki–Chin path integrals",
    }
    sc = RunInput.read(water.path.with_name("water_suzuki_chin.xml"))
    (output,) = sc.only_system().properties_outputs
    assert {"potential_opsc", "kinetic_opsc"} <= set(output.properties) and "potential" not in output.properties
    with pytest.raises(InputError, match="no 'dielectric'"):
        refuse_averages(sc, sc.systems[0], "dielectric")
    piglet_run = RunInput.read(water.path.with_name("water_piglet.xml"))
    refuse_averages(piglet_run, piglet_run.systems[0], "dielectric")
    text = piglet_run.path.read_text()
    assert '<temperature units="kelvin"> 300' in text
    piglet_run.path.write_text(text.replace('<temperature units="kelvin"> 300', '<temperature units="kelvin"> 350'))
    (remark,) = remarks_about_nuclei(RunInput.read(piglet_run.path))
    assert "colored noise are for 300 K with 4 beads, and the run is at 350 K" in remark
    (piglet_run.path.parent / "water_piglet.out").write_text(
        "# column 1 --> time{picosecond} : t\n# column 2 --> temperature{kelvin} : T\n"
        + "".join(f"{0.01 * k:.2f} {364 + k % 7}\n" for k in range(60))
    )
    (temperature,) = [one for one in content_of(piglet_run.path).read()["verdicts"] if one["name"] == "temperature"]
    assert temperature["colour"] == "unknown" and "no thermostat holds it at one" in temperature["sentence"]
    assert "weights of its beads by energies hold only nearly" in piglet_run.systems[0].ensemble.warning(water.path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", False),
        ("<A shape='(2, 1, 1)'> [1, 2] </A>", False),
        ("<C shape='(2, 2, 2)'> [600, 0, 0, 600, 600, 0, 0, 600] </C>", False),
        ("<C shape='(2, 2, 2)'> [ 600,0,0,600, 600.0,0,0,900 ] </C>", True),
        ("<C shape='(2, 2, 2)'> [600, 0, 0, 600, 600, 1, 1, 600] </C>", True),
        ("<C> [600, 600] </C>", True),
    ],
)
def test_noise_of_one_temperature_is_not_that_of_piglet(text, expected):
    """Thermostats with memory that are as warm as the run keep its distribution."""
    assert is_colored(ElementTree.fromstring(f"<thermostat mode='nm_gle'> {text} </thermostat>")) is expected
    assert not is_colored(ElementTree.fromstring(f"<thermostat mode='pile_l'> {text} </thermostat>"))


@pytest.mark.parametrize("numbers", ["[600, 0, 0, 600, 600, 0, 0, 600]", "[ 600, 0, 0, 600, 600, 0, 0, 900 ]"])
def test_noise_for_another_temperature_is_told_whether_it_has_one_or_several(numbers):
    thermostat = f"<thermostat mode='nm_gle'> <C shape='(2, 2, 2)' units='kelvin'> {numbers} </C> </thermostat>"
    assert temperature_of_noise(ElementTree.fromstring(thermostat), 2, Path("input.xml")) == pytest.approx(300.0)
    assert temperature_of_noise(ElementTree.fromstring("<thermostat mode='nm_gle'/>"), 2, Path("input.xml")) is None


def test_time_step_and_frequency_of_pa_cmd(water):
    modes = AdiabaticModes(8000.0, 16, 300.0)
    lowest = free_ring(16, 300.0)[1]
    assert modes.fastest(3700.0) == pytest.approx(8000 * np.sqrt(1 + (3700 / lowest) ** 2), rel=1e-5)
    assert usual_wavenumber(32, 300.0) == pytest.approx(32 ** (32 / 31) * 300 / KELVIN, rel=1e-5)
    assert not modes.warnings(0.06) and "up to 0.066 fs" in modes.warnings(0.25)[0]
    assert "slower than a vibration at 3700" in AdiabaticModes(2000.0, 16, 300.0).warnings(0.01)[0]
    path = prepare_input(water, Treatment("pa-cmd", 16, wavenumber=2000.0, timestep=1.0)).path
    slow, long = remarks_about_nuclei(RunInput.read(path))
    assert "internal modes of PA-CMD at 2000 cm⁻¹ are slower" in slow and "a time step of 1 fs is too long" in long
    path.write_text(path.read_text().replace("[ 2000 ]", "[ ]"))
    with pytest.raises(InputError, match="one positive number, the frequency of the internal modes, is needed"):
        adiabatic_modes(RunInput.read(path).only_system())


def test_wrong_estimators_of_suzuki_chin_are_warned_of(water):
    path = prepare_input(water, Treatment("suzuki-chin", 4)).path
    path.write_text(path.read_text().replace("potential_opsc", "potential"))
    (remark,) = remarks_about_nuclei(RunInput.read(path))
    assert "potential weighs all beads alike" in remark and "averages are potential_opsc" in remark


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("water", ("--by", "suzuki-chin", "--beads", "5"), "5 beads for Suzuki-Chin path integrals; an even number"),
        (
            "water",
            ("--by", "piglet", "--frequency", "9000"),
            "--frequency 9000 is that of the internal modes of pa-cmd",
        ),
        ("pimd_npt", ("--by", "trpmd"), "is at constant pressure; trpmd for spectra needs constant volume"),
        ("mts_pimd", ("--by", "suzuki-chin", "--beads", "8"), "is evaluated on 4 of 8 beads"),
        ("mts_pimd", ("--by", "piglet", "--beads", "2"), "is evaluated on 4 beads, and 2 are asked for"),
        ("driven_nve", ("--by", "rpmd"), "has no <dynamics>; an input of dynamics is needed"),
    ],
)
def test_what_cannot_be_made_is_refused_in_one_line(name, options, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = CliRunner().invoke(main, ["nuclei", name, *options])
    assert found.exit_code == 2 and message in " ".join(found.output.split()), found.output


def test_the_command_says_what_it_wrote(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = CliRunner().invoke(main, ["nuclei", "water", "--by", "pa-cmd", "--beads", "16", "--json", "n.json"])
    assert found.exit_code == 0 and "internal modes at 6750 cm⁻¹" in found.output, found.output
    assert found.output.splitlines()[-1] == "beadwise-water/water_pa_cmd.xml"
