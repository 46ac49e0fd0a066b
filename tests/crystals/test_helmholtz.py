"""Free energies along temperature: oscillators, exactly; files of runs at constant pressure and at constant volume."""

import json

import ase.io
import numpy as np
import pytest
from ase.units import Pascal, kB
from beadwise.driver.commands.crystals.gibbs import gibbs
from beadwise.driver.commands.crystals.harmonic import harmonic
from beadwise.driver.commands.group import OneLineErrors
from beadwise.inputs.quartic_crystal import structure
from beadwise.model.crystals.reference import HarmonicReference
from beadwise.sampling import SamplingError, harmonic_free_energy
from beadwise.sampling.temperature_integration import integrate_over_temperature
from click.testing import CliRunner

MODEL = "beadwise.inputs.quartic_crystal:crystal"
TEMPERATURES = np.array([220.0, 250.0, 280.0, 310.0])
QUANTA = np.array([0.02, 0.05, 0.1, 0.4])
ATOMS, PRESSURE, VOLUME, ROWS = 8, 100e6 * Pascal, 1728.0, 400
INPUT = """<simulation>
  <output prefix='{name}'>
    <properties filename='out' stride='10'> [ step, potential{{electronvolt}}{more} ] </properties>
  </output>
  <ffsocket mode='unix' name='driver'> <address> any </address> </ffsocket>
  <system>
    <initialize nbeads='{beads}'> <file mode='ase'> a.minimum.xyz </file> </initialize>
    <forces> <force forcefield='driver'/> </forces>
    <ensemble>
      <temperature units='kelvin'> {temperature} </temperature> <pressure units='megapascal'> 100 </pressure>
    </ensemble>
    <motion mode='dynamics'>
      <dynamics mode='{mode}'>
        <timestep units='femtosecond'> 1.0 </timestep>
        <barostat mode='isotropic'> <tau units='femtosecond'> 100 </tau> </barostat>
      </dynamics>
    </motion>
  </system>
</simulation>
"""
main = OneLineErrors(commands={"harmonic": harmonic, "gibbs": gibbs})


def run(*arguments):
    return CliRunner().invoke(main, list(map(str, arguments)))


def energy(temperature):
    """Mean energy of quantum oscillators in eV."""
    return float((QUANTA / 2 / np.tanh(QUANTA / (2 * kB * temperature))).sum())


def test_quantum_oscillators_exactly_and_the_error():
    exact = np.array([harmonic_free_energy(QUANTA, own) for own in TEMPERATURES])
    means = np.array([energy(own) for own in TEMPERATURES])
    errors = np.full(4, 1e-3)
    for start in (220.0, 280.0):
        found = integrate_over_temperature(TEMPERATURES[::-1], means[::-1], errors, start)
        known = exact - TEMPERATURES / start * exact[TEMPERATURES == start]
        assert found.differences == pytest.approx(known, abs=2e-6) and found.degree == 3
        assert found.differences[TEMPERATURES == start] == 0 == found.standard_errors[TEMPERATURES == start]
        assert (found.rule_changes < 1e-4).all()
    random = np.random.default_rng(3)
    drawn = np.array(
        [
            integrate_over_temperature(TEMPERATURES, means + 1e-3 * random.normal(size=4), errors, 280.0).differences
            for _ in range(400)
        ]
    )
    assert drawn.std(axis=0) == pytest.approx(found.standard_errors, rel=0.15)
    # of six temperatures a polynomial of degree 3 is fitted: the error is smaller than that of four
    many = np.linspace(220, 310, 6)
    fitted = integrate_over_temperature(many, [energy(own) for own in many], np.full(6, 1e-3), 220.0)
    four = integrate_over_temperature(TEMPERATURES, means, errors, 220.0)
    assert fitted.standard_errors[-1] < four.standard_errors[-1]
    assert fitted.differences[-1] == pytest.approx(four.differences[-1], abs=1e-5)
    for temperatures, start in (([200.0, 200.0], 200.0), ([200.0, 300.0], 250.0), ([200.0], 200.0)):
        with pytest.raises(SamplingError):
            integrate_over_temperature(temperatures, np.ones(len(temperatures)), np.ones(len(temperatures)), start)


def write_run(name, temperature, mode="npt", beads=1, more=", volume{angstrom3}", rows=ROWS):
    """Classical oscillators of three coordinates for each atom, which push at the volume."""
    random = np.random.default_rng(int(temperature))
    with open(f"{name}.xml", "w") as file:
        file.write(INPUT.format(name=name, temperature=temperature, mode=mode, beads=beads, more=more))
    noise = random.normal(scale=0.02, size=rows)
    potential = 1.5 * ATOMS * kB * temperature + noise - noise.mean()
    header = "# column   1     --> step : The step.\n# column   2     --> potential{electronvolt} : V.\n"
    columns = [10 * np.arange(rows), potential]
    if "volume" in more:
        header += "# column   3     --> volume{angstrom3} : The volume.\n"
        columns.append(np.full(rows, VOLUME))
    with open(f"{name}.out", "w") as file:
        rows_of_file = (" ".join(f"{own:16.10e}" for own in row) for row in zip(*columns, strict=True))
        file.write(header + "\n".join(rows_of_file) + "\n")


def test_files_of_runs_at_several_temperatures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ase.io.write("a.xyz", structure(ATOMS), format="extxyz")
    assert run("harmonic", "a.xyz", "--model", MODEL, "--held").exit_code == 0
    quanta = HarmonicReference.load(tmp_path / "a.harmonic.npz").quanta
    exact = np.array([harmonic_free_energy(quanta, own, 1) for own in TEMPERATURES])
    names = [f"t{own:g}" for own in TEMPERATURES]
    words = ("gibbs", *(f"{name}.xml" for name in names), "--helmholtz", "--harmonic", "a.harmonic.npz", "--skip", 0)
    for mode, work in (("npt", PRESSURE * VOLUME), ("nvt", 0.0)):
        for name, temperature in zip(names, TEMPERATURES, strict=True):
            write_run(name, temperature, mode)
        done = run(*words, "--json", "found.json", "--from", 250)
        assert done.exit_code == 0, done.output
        numbers = json.loads((tmp_path / "found.json").read_text())
        known = exact + work - TEMPERATURES / 250 * (exact[1] + work)
        assert numbers["integration"]["differences"] == pytest.approx(known, abs=1e-5)
        assert numbers["free_energy"] == ("G" if mode == "npt" else "A") and numbers["warnings"] == []
        assert numbers["enthalpy_errors"] == pytest.approx(np.full(4, 1e-3), rel=0.5)
        assert "T0 = 250 K" in done.output and "(220 K) = 0.880000" in done.output

    def message(*others, **changes):
        write_run("t310", 310.0, **changes)
        result = run(*words, *others)
        assert result.exit_code == 2 and result.stderr.count("\n") == 1, result.output
        return result.stderr

    assert "all but the temperature must be the same" in message(mode="npt")
    assert "at least 16 are needed" in message(mode="nvt", rows=12)
    assert "245 K among them" in message("--from", 245, mode="nvt")
    assert "does not write kinetic_cv" in message(mode="nvt", beads=4)
    with monkeypatch.context() as held:
        moves = INPUT.replace("</dynamics>", "</dynamics> <fixatoms> [0] </fixatoms>")
        held.setattr(__import__(__name__), "INPUT", moves)
        assert "holds atoms by <fixatoms>" in message(mode="nvt")
    deuterium = f"</file> <masses mode='manual' units='dalton'> [{','.join(['2.014'] * ATOMS)}] </masses>"
    monkeypatch.setattr(__import__(__name__), "INPUT", INPUT.replace("</file>", deuterium))
    assert "atom 0 of 't310.xml' has 1.998" in message(mode="nvt", beads=4)  # and of classical nuclei
    assert "does not write volume" in message(mode="npt", more="")
    write_run("t310", 310.0, "npt", more="")
    assert "does not write volume" in run(*words).stderr
    assert "--from is for --helmholtz" in run("gibbs", "t220.xml", "--harmonic", "a.harmonic.npz", "--from", 3).stderr
