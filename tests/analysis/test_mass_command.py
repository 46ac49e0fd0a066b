"""``beadwise mass-integration``: hydrogen atoms in harmonic traps, in files made here, and from real runs of i-PI."""

import json
import re
import subprocess
from contextlib import ExitStack

import numpy as np
import pytest
from ase import Atoms, units
from ase.io import write
from beadwise.analysis.formula_unit import formula_unit
from beadwise.analysis.mass.inputs import prepare_inputs
from beadwise.analysis.mass.masses import labels_and_ratio, root_mass_ratio
from beadwise.driver.commands.group import OneLineErrors
from beadwise.driver.commands.mass_integration import mass_integration
from beadwise.driver.launch.supervision import ipi_command
from beadwise.runs.input.elements import InputError
from beadwise.runs.input.run_input import RunInput
from beadwise.sampling import SamplingError, gauss_legendre_ratios
from beadwise.sampling.mass_integration import fitting_rule
from click.testing import CliRunner
from rings import THERMAL_ENERGY, modes_of_ring, reduced_square

ATOMS, BEADS = 64, 16
HARTREE_PER_SQUARE_BOHR = units.Hartree / units.Bohr**2
STIFFNESS = 0.2 * HARTREE_PER_SQUARE_BOHR  # eV/Å²; 2290 cm⁻¹ for hydrogen
INPUT = f"""<simulation floatformat='%16.9e' verbosity='low'>
  <output prefix='trap'>
    <properties filename='out' stride='2'> [ step, time{{picosecond}}, kinetic_cv{{electronvolt}} ] </properties>
  </output>
  <total_steps> 400 </total_steps>
  <prng> <seed> 7 </seed> </prng>
  <ffsocket mode='unix' name='other'> <address> other </address> </ffsocket>
  <ffdirect name='trap' threaded='false'> <pes> harmonic </pes> <parameters> {{ k1: 0.2 }} </parameters> </ffdirect>
  <system>
    <initialize nbeads='{BEADS}'>
      <file mode='xyz'> start.xyz </file>
      <velocities mode='thermal' units='kelvin'> 300 </velocities>
    </initialize>
    <forces> <force forcefield='trap'/> </forces>
    <ensemble> <temperature units='kelvin'> 300 </temperature> </ensemble>
    <motion mode='dynamics'>
      <fixcom> False </fixcom>
      <dynamics mode='nvt' splitting='baoab'>
        <timestep units='femtosecond'> 0.5 </timestep>
        <thermostat mode='pile_l'> <tau units='femtosecond'> 20 </tau> </thermostat>
      </dynamics>
    </motion>
  </system>
</simulation>
"""
HEADER = """# column   1     --> step : The current simulation time step.
# column   2     --> time{picosecond} : The elapsed simulation time.
# column   3     --> kinetic_cv{electronvolt} : The centroid-virial quantum kinetic energy of the physical system.
"""

main = OneLineErrors(commands={"mass-integration": mass_integration})


def run(*arguments):
    return CliRunner().invoke(main, ["mass-integration", *map(str, arguments)])


def write_input(folder, atoms=ATOMS, text=INPUT, labels="H"):
    names = "".join(f"{labels[atom % len(labels)]} 0 0 0\n" for atom in range(atoms))
    (folder / "start.xyz").write_text(f"{atoms}\n# CELL(abcABC): 50 50 50 90 90 90\n{names}")
    (folder / "trap.xml").write_text(text)
    return folder / "trap.xml"


def kinetic_energy(ratio, beads=BEADS):
    """Exact mean of all atoms in eV; for the mass m/y² (βħω)² is y² times that of m."""
    square = ratio**2 * reduced_square(STIFFNESS)
    return 1.5 * ATOMS * THERMAL_ENERGY * (square / (modes_of_ring(beads) + square)).sum()


def quantum_free_energy(beads=BEADS):
    """A_q − A_cl of ring polymers of all atoms, exact, in eV."""
    return 1.5 * ATOMS * THERMAL_ENERGY * np.log1p(reduced_square(STIFFNESS) / modes_of_ring(beads)[1:]).sum()


def write_rows(source, ratio, noise=0.0, rows=200):
    """What i-PI would write of the kinetic energy."""
    random = np.random.default_rng(round(1e4 * ratio))
    scatter = random.normal(size=rows)
    scatter -= scatter[rows // 10 :].mean()  # what counts has the mean exactly
    table = "".join(
        f"{2 * n:16.9e} {0.001 * n:16.9e} {energy:16.12e}\n"
        for n, energy in enumerate(kinetic_energy(ratio) + noise * scatter)
    )
    source.with_name(f"trap{source.stem.removeprefix('trap')}.out").write_text(HEADER + table)


def result_in(output):
    """A_q − A_cl and its error in eV, and both in meV per atom."""
    total = re.search(r"A_q - A_cl = (\S+) ± (\S+) eV", output)
    per_atom = re.search(r"= (\S+) ± (\S+) meV per atom", output)
    return [float(word) for found in (total, per_atom) for word in found.groups()]


@pytest.mark.parametrize("runs", [4, 6])
def test_known_kinetic_energies_give_the_exact_result(tmp_path, runs):
    prepared = run("--prepare", write_input(tmp_path), "--ratios", runs).output.split()
    for source, ratio in zip(prepared, gauss_legendre_ratios(runs)[0], strict=True):
        write_rows(tmp_path / source, ratio, noise=0.1)
    result = run(*prepared, "--output", tmp_path / "result", "--json", tmp_path / "result.json")
    assert result.exit_code == 0, result.stderr
    energy, error, per_atom, error_per_atom = result_in(result.output)
    # within the error of the rule, which the samples' scatter does not change here
    assert energy == pytest.approx(quantum_free_energy(), rel={4: 3e-4, 6: 3e-6}[runs])
    assert (per_atom, error_per_atom) == pytest.approx((1000 * energy / ATOMS, 1000 * error / ATOMS), rel=0.05)
    ratios, weights = gauss_legendre_ratios(runs)
    independent = np.linalg.norm(weights * 2 / ratios * 0.1 / np.sqrt(180))
    assert error == pytest.approx(independent, rel=0.4)
    assert "rule gauss-legendre" in result.output and "64 x H" in result.output
    numbers = json.loads((tmp_path / "result.json").read_text())
    assert numbers["difference"] == pytest.approx(energy, abs=1e-6)
    assert numbers["masses"] == pytest.approx([1.008] * ATOMS, rel=1e-3)  # of none of the runs
    assert [one["root_mass_ratio"] for one in numbers["runs"]] == pytest.approx(ratios, rel=1e-8)
    table = np.loadtxt(tmp_path / "result.csv", delimiter=",", skiprows=1)
    np.testing.assert_allclose(table[:, 1] @ table[:, 3], numbers["difference"])
    assert (tmp_path / "result.png").read_bytes().startswith(b"\x89PNG")


def test_the_trapezoidal_rule(tmp_path):
    ratios = np.linspace(0, 1, 11)[1:].tolist()
    sources = prepare_inputs(RunInput.read(write_input(tmp_path)), ratios)
    for source, ratio in zip(sources, ratios, strict=True):
        write_rows(source, ratio)
    result = run(*reversed(sources), "--output", tmp_path / "result")
    assert result.exit_code == 0, result.stderr
    integrand = [0.0, *(2 / y * (kinetic_energy(y) - 1.5 * ATOMS * THERMAL_ENERGY) for y in ratios)]
    assert result_in(result.output)[0] == pytest.approx(np.trapezoid(integrand, [0, *ratios]), abs=1e-6)
    assert "rule trapezoidal" in result.output and "warning" not in result.output
    alone = run(sources[-1], "--output", tmp_path / "alone")
    found = run(sources[-1], "--output", tmp_path / "alone", "--json", tmp_path / "alone.json")
    assert found.exit_code == 0
    numbers = json.loads((tmp_path / "alone.json").read_text())
    assert numbers["warnings"][0].startswith("the trapezoidal rule") and numbers["free_energy"] == "A"
    assert "warning: the trapezoidal rule has neighbouring y 1 apart, more than 0.25: the error" in alone.output
    refused = run(*sources[:-1], "--output", tmp_path / "result")
    assert refused.exit_code == 2 and "the trapezoidal rule needs y = 1" in refused.stderr


def test_real_runs_of_ipi(tmp_path):
    """Inputs as they are written, the masses that i-PI makes of them, and the table of physics within the error."""
    sources = []
    for number, ratio in enumerate(gauss_legendre_ratios(4)[0].tolist()):
        folder = tmp_path / str(number)
        folder.mkdir()
        source = write_input(folder, text=re.sub("<ffsocket.*?</ffsocket>", "", INPUT))
        sources += prepare_inputs(RunInput.read(source), [ratio])
    with ExitStack() as stack:
        running = [
            stack.enter_context(
                subprocess.Popen([*ipi_command(), source.name], cwd=source.parent, stdout=subprocess.DEVNULL)
            )
            for source in sources
        ]
        for process in running:
            stack.callback(process.kill)
        assert [process.wait(timeout=60) for process in running] == [0] * 4
    for source in sources:
        ratio = root_mass_ratio(RunInput.read(source))
        assert root_mass_ratio(RunInput.read(source.parent / "RESTART")) == pytest.approx(ratio, rel=1e-8)
    result = run(*sources, "--output", tmp_path / "result", "--skip", 0.05)
    assert result.exit_code == 0, result.stderr
    energy, error, *_ = result_in(result.output)
    assert 0.001 < error / energy < 0.005
    assert abs(energy - quantum_free_energy()) < 3 * error


def test_what_is_prepared(tmp_path):
    text = INPUT.replace("<ffdirect", "<!-- a remark --> <ffdirect")
    sources = prepare_inputs(RunInput.read(write_input(tmp_path, atoms=3, text=text, labels="OHD")), [0.25, 1.0])
    assert [source.name for source in sources] == ["trap_y0.2500.xml", "trap_y1.0000.xml"]
    first = sources[0].read_text()
    masses = [float(mass) for mass in re.search(r"<masses [^>]*>\s*\[(.*)\]", first)[1].split(",")]
    assert masses == pytest.approx(np.array([15.9994, 1.00794, 2.0141]) * 16, rel=1e-4)
    assert 'prefix="trap_y0.2500"' in first and "<address> other_y0.2500 </address>" in first
    assert "<!-- a remark -->" in first
    assert [root_mass_ratio(RunInput.read(source)) for source in sources] == pytest.approx([0.25, 1.0], rel=1e-8)
    assert root_mass_ratio(RunInput.read(tmp_path / "trap.xml")) == 1.0
    assert run("--prepare", tmp_path / "trap.xml", "--ratios", 1).output.endswith("trap_y0.5000.xml\n")
    assert "exists already" in run("--prepare", tmp_path / "trap.xml", "--ratios", 1).stderr


def test_masses_that_a_structure_brings(tmp_path):
    """A column of masses: heavy water has its own isotopes, four times all masses are y = 1/2, others are refused."""
    source = write_input(tmp_path, text=INPUT.replace("mode='xyz'> start.xyz", "mode='ase'> start.extxyz"))

    def ratio_with(*masses):
        atoms = Atoms("OH2", np.eye(3), cell=[50, 50, 50], pbc=True)
        if masses:
            atoms.set_array("masses", np.array(masses))
        write(tmp_path / "start.extxyz", atoms)
        return labels_and_ratio(RunInput.read(source))

    assert ratio_with() == (("O", "H", "H"), 1.0)
    assert ratio_with(63.996, 4.032, 4.032) == (("O", "H", "H"), pytest.approx(0.5, rel=1e-8))
    with pytest.raises(InputError, match="must be scaled alike"):
        ratio_with(15.999, 1.0, 1.5)
    with pytest.raises(InputError, match="starts with masses that are those of no isotopes"):
        prepare_inputs(RunInput.read(source), [0.5])
    assert ratio_with(15.999, 2.0141, 2.0141) == (("O", "D", "D"), 1.0)
    (prepared,) = prepare_inputs(RunInput.read(source), [0.5])
    masses = [float(mass) for mass in re.search(r"<masses [^>]*>\s*\[(.*)\]", prepared.read_text())[1].split(",")]
    assert masses == pytest.approx([4 * 15.999, 4 * 2.0141, 4 * 2.0141], rel=1e-8)
    assert labels_and_ratio(RunInput.read(prepared)) == (("O", "D", "D"), pytest.approx(0.5, rel=1e-4))


def test_what_is_refused(tmp_path):
    source = write_input(tmp_path, atoms=3, labels="OHH")

    def with_text(old, new):
        source.write_text(INPUT.replace(old, new))
        return run("--prepare", source).stderr

    assert "writes no kinetic_cv" in with_text("kinetic_cv", "kinetic_md")
    assert "one bead" in with_text(f"nbeads='{BEADS}'", "nbeads='1'")
    assert "sets <masses> already" in with_text(
        "<velocities", "<masses mode='manual'> [ 1, 1, 1 ] </masses> <velocities"
    )
    assert "no <initialize>" in with_text("initialize", "beads")
    for arguments in ((), (source, "--prepare", source)):
        assert "either RUNS or --prepare" in run(*arguments).stderr
    uneven = "<masses mode='manual' units='dalton'> [ 15.9994, 1.00794, 2.0 ] </masses> <velocities"
    source.write_text(INPUT.replace("<velocities", uneven))
    assert "the masses of all atoms must be scaled alike" in run(source).stderr
    source.write_text(INPUT.replace("<velocities", "<masses mode='manual'> [ 1, 2 ] </masses> <velocities"))
    assert "2 masses for 3 atoms" in run(source).stderr
    source.write_text(INPUT.replace("<velocities", "<masses mode='manual'> many </masses> <velocities"))
    assert "no list of numbers" in run(source).stderr
    source.write_text(INPUT)
    assert "cannot read" in run(source).stderr
    hydrogens = write_input(tmp_path)
    write_rows(hydrogens, 1.0, rows=8)
    assert "has 7 rows after equilibration" in run(hydrogens).stderr
    two = prepare_inputs(RunInput.read(hydrogens), gauss_legendre_ratios(2)[0].tolist())
    for path, ratio in zip(two, gauss_legendre_ratios(2)[0], strict=True):
        write_rows(path, ratio)
    two[1].write_text(two[1].read_text().replace("> 300 </temperature>", "> 310 </temperature>"))
    assert re.search("300 K and .* 310 K", run(*two).stderr)


def test_rules_and_formula_units():
    assert fitting_rule(gauss_legendre_ratios(5)[0][::-1]) == "gauss-legendre"
    assert fitting_rule(np.array([1.0, 0.5])) == "trapezoidal"
    with pytest.raises(SamplingError, match=r"nodes of 2 runs are \[0.211325, 0.788675\]"):
        fitting_rule(np.array([0.2, 0.8]))
    assert formula_unit(["O", "H", "H"] * 32) == ("H2O", 32)
    assert formula_unit(["H"] * 3) == ("H", 3)
    assert formula_unit(["C"] * 2 + ["H"] * 6 + ["O"]) == ("C2H6O", 1)
