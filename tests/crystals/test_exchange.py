"""One isotope in place of another by integration over its mass: traps, exactly; what is prepared and refused."""

import json
import re

import numpy as np
import pytest
from beadwise.analysis.mass.elements import Exchange
from beadwise.analysis.mass.masses import DALTON, labels_and_masses
from beadwise.driver.commands.group import OneLineErrors
from beadwise.driver.commands.mass_integration import mass_integration
from beadwise.runs.input.elements import InputError
from beadwise.runs.input.run_input import RunInput
from beadwise.sampling import gauss_legendre_ratios, integrate_over_mass
from beadwise.sampling.mass_integration import fitting_rule
from click.testing import CliRunner
from ipi.utils.units import Elements
from rings import THERMAL_ENERGY, modes_of_ring, reduced_square

BEADS, HYDROGENS, STIFFNESS = 8, 4, 2.2
MASS = Elements.mass("H")
RANGE = np.log(Elements.mass("D") / MASS)
INPUT = f"""<simulation>
  <output prefix='trap'>
    <properties filename='out' stride='2'>
      [ step, kinetic_cv(H){{electronvolt}}, kinetic_cv{{electronvolt}} ]
    </properties>
  </output>
  <ffsocket mode='unix' name='trap'> <address> trap </address> </ffsocket>
  <system>
    <initialize nbeads='{BEADS}'> <file mode='xyz'> start.xyz </file> </initialize>
    <forces> <force forcefield='trap'/> </forces>
    <ensemble> <temperature units='kelvin'> 300 </temperature> </ensemble>
    <motion mode='dynamics'>
      <dynamics mode='nvt'> <timestep units='femtosecond'> 0.5 </timestep> </dynamics>
    </motion>
  </system>
</simulation>
"""
HEADER = "# column   1     --> step : The step.\n# column   2     --> kinetic_cv(H){electronvolt} : Of H.\n"
main = OneLineErrors(commands={"mass-integration": mass_integration})


def run(*arguments):
    return CliRunner().invoke(main, ["mass-integration", *map(str, arguments)])


def square_of(mass):
    return reduced_square(STIFFNESS) * MASS / mass


def kinetic_energy(mass):
    """Exact mean of all hydrogens, of ring polymers."""
    square = square_of(mass)
    return 1.5 * HYDROGENS * THERMAL_ENERGY * (square / (modes_of_ring(BEADS) + square)).sum()


def free_energy(mass):
    """Exact, of all hydrogens, but for what does not depend on the mass; a ring polymer's A is of βħω_i alone."""
    # kT Σ_k ln((1/P) √((βħω_k)² + (βħω)²)), three coordinates for each atom
    return 1.5 * HYDROGENS * THERMAL_ENERGY * np.log(modes_of_ring(BEADS) + square_of(mass)).sum()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    atoms = "".join(f"{label} 0 0 0\n" for label in "OHH" * (HYDROGENS // 2))
    (tmp_path / "start.xyz").write_text(f"{HYDROGENS * 3 // 2}\n# CELL(abcABC): 50 50 50 90 90 90\n{atoms}")
    (tmp_path / "trap.xml").write_text(INPUT)
    return tmp_path


def test_exact_kinetic_energies_give_the_exact_difference(folder):
    done = run("--prepare", "trap.xml", "--element", "H=D", "--ratios", 3)
    assert done.exit_code == 0, done.output
    inputs = done.output.split()
    assert len(inputs) == 3 and re.fullmatch(r"trap_H1\.\d{4}\.xml", inputs[0])
    random = np.random.default_rng(1)
    for name in inputs:
        labels, masses = labels_and_masses(RunInput.read(folder / name))
        assert set(labels) == {"O", "H"}
        (mass,) = set(masses[np.array(labels) == "H"].tolist())
        assert masses[0] / DALTON == pytest.approx(15.9994, rel=1e-3)
        noise = random.normal(scale=0.01, size=400)
        rows = kinetic_energy(mass) + noise - noise[40:].mean()
        text = "".join(f"{2 * n:12d} {row:16.10e}\n" for n, row in enumerate(rows))
        (folder / f"{name.removesuffix('.xml')}.out").write_text(HEADER + text)
    done = run(*inputs, "--element", "H=D", "--json", "found.json")
    assert done.exit_code == 0, done.output
    numbers = json.loads((folder / "found.json").read_text())
    exact = free_energy(Elements.mass("D")) - free_energy(MASS)
    assert numbers["difference"] == pytest.approx(exact, rel=1e-5)
    modes = modes_of_ring(BEADS)[1:]
    ratio = np.prod((modes + square_of(MASS)) / (modes + square_of(MASS) / np.exp(RANGE)))
    scaled = -HYDROGENS * THERMAL_ENERGY * 1.5 * (np.log(ratio) + RANGE)  # as `beadwise isotopes` has it
    assert exact == pytest.approx(scaled, rel=1e-9)
    assert numbers["standard_error"] == pytest.approx(RANGE * 0.01 / np.sqrt(360) / np.sqrt(3), rel=0.35)
    assert numbers["substituted"] == HYDROGENS and numbers["beads"] == BEADS
    assert "4 H -> D, 8 beads, 300 K" in done.output and "A(D) - A(H) = " in done.output
    assert "those of 2 runs are" in run(*inputs[:2], "--element", "H=D").stderr
    assert numbers["warnings"] == [] and numbers["made_by"] == "beadwise mass-integration --element"
    assert "must be scaled alike" in run(*inputs).stderr
    unused = run(*inputs, "--element", "H=D", "--output", "found")
    assert unused.exit_code == 2 and "--output has no use" in unused.stderr
    start, text = (folder / "start.xyz").read_text(), (folder / inputs[1]).read_text()
    (folder / "swapped.xyz").write_text(start.replace("O 0 0 0\nH 0 0 0", "H 0 0 0\nO 0 0 0", 1))
    masses = re.search(r"\[ ([\d., ]+) \] </masses>", text)[1].split(", ")
    swapped = text.replace(", ".join(masses), ", ".join([masses[1], masses[0], *masses[2:]]))
    (folder / inputs[1]).write_text(swapped.replace("start.xyz", "swapped.xyz"))
    assert "different atoms, or in a different order" in run(*inputs, "--element", "H=D").stderr
    (folder / inputs[1]).write_text(text.replace(", ".join(masses), ", ".join(["18.0", *masses[1:]])))
    assert "gives atom 0, O, another mass than its label" in run(*inputs, "--element", "H=D").stderr


def test_two_mass_integrations_and_one_over_the_element_agree():
    """A(D2O) − A(H2O) of traps: over all masses of each, with the classical difference between, or over H's alone."""
    ratios = gauss_legendre_ratios(8)[0]

    def quantum(hydrogen):
        """A_q − A_cl of two waters, the oxygens among them."""
        masses = [hydrogen] * HYDROGENS + [Elements.mass("O")] * (HYDROGENS // 2)
        energies = [sum(kinetic_energy(mass / ratio**2) for mass in masses) / HYDROGENS for ratio in ratios]
        errors = np.zeros(len(ratios))
        return integrate_over_mass(ratios, np.array(energies), len(masses), 300.0, errors, fitting_rule(ratios))

    classical = -1.5 * HYDROGENS * THERMAL_ENERGY * RANGE
    by_masses = quantum(Elements.mass("D")).difference - quantum(MASS).difference + classical
    by_element = free_energy(Elements.mass("D")) - free_energy(MASS)  # as of the command, see above
    assert by_masses == pytest.approx(by_element, rel=2e-5)


def test_what_is_refused(folder):
    def message(old, new, element="H=D"):
        (folder / "trap.xml").write_text(INPUT.replace(old, new))
        result = run("--prepare", "trap.xml", "--element", element)
        assert result.exit_code == 2 and result.stderr.count("\n") == 1, result.output
        return result.stderr

    assert "writes no kinetic_cv(H)" in message("kinetic_cv(H)", "potential")
    assert "has one bead" in message(f"nbeads='{BEADS}'", "nbeads='1'")
    assert "has no N; it has H, O" in message("", "", "N=N15") if "N15" in Elements.mass_list else True
    set_already = "<masses mode='manual'> [ 1 ] </masses> </initialize>"
    assert "has no <initialize>, or sets <masses> there" in message("</initialize>", set_already)
    for text in ("H", "H=H", "H=O", "=D", "Q=D"):
        with pytest.raises(InputError, match="no two isotopes"):
            Exchange.of(text)


def test_a_driven_run_is_refused(folder):
    """i-PI leaves the force of a field out of the kinetic energy."""
    (name,) = run("--prepare", "trap.xml", "--element", "H=D", "--ratios", 1).output.split()
    driven = (folder / name).read_text()
    body = re.search(r"<dynamics.*</dynamics>", driven, re.DOTALL)
    assert body is not None
    field = "<efield> <amp> [ 0, 0, 0.001 ] </amp> </efield>"
    inner = re.sub(r"<dynamics[^>]*>", "<driven_dynamics mode='eda-nve'>", body[0]).replace("</dynamics>", "")
    driven = driven.replace(body[0], f"{inner} {field} </driven_dynamics>")
    driven = driven.replace('mode="dynamics"', 'mode="driven_dynamics"')
    (folder / name).write_text(driven)
    done = run(name, "--element", "H=D")
    assert done.exit_code == 2 and "is driven by the field (0, 0, 0.0514" in done.stderr, done.stderr
