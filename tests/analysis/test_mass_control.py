"""``beadwise mass-integration --harmonic``: a quartic crystal that is solved exactly, in files as i-PI writes them."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from ase.io import write
from beadwise.analysis.mass.control import ControlledKineticEnergy
from beadwise.analysis.mass.kinetic_energies import KineticEnergy
from beadwise.driver.commands.group import OneLineErrors
from beadwise.driver.commands.mass_integration import mass_integration
from beadwise.inputs.quartic_crystal import SIDE, STIFFNESS, sites, structure
from beadwise.model.crystals.reference import HarmonicReference
from beadwise.runs.input.outputs import ExtrasOutput
from beadwise.sampling import gauss_legendre_ratios
from click.testing import CliRunner
from quartic_rings import drawn, forces, frames_of_ase, free_energy
from rings import MASS

ATOMS, BEADS, SAMPLES = 8, 8, 300
RATIOS = gauss_legendre_ratios(3)[0]
INPUT = f"""<simulation>
  <output prefix='quartic'>
    <properties filename='out' stride='5'> [ step, kinetic_cv{{{{electronvolt}}}} ] </properties>
  </output>
  <ffsocket mode='unix' name='crystal'> <address> any </address> </ffsocket>
  <system>
    <initialize nbeads='{BEADS}'> <file mode='ase'> start.xyz </file> </initialize>
    <forces> <force forcefield='crystal'/> </forces>
    <ensemble> <temperature units='kelvin'> 300 </temperature> </ensemble>
    <motion mode='dynamics'>
      <dynamics mode='{{mode}}'> <timestep units='femtosecond'> 0.5 </timestep> </dynamics>
    </motion>
  </system>
</simulation>
"""
main = OneLineErrors(commands={"mass-integration": mass_integration})


def run(*arguments):
    return CliRunner().invoke(main, ["mass-integration", *map(str, arguments)])


def reference(atoms=ATOMS, side=SIDE, mass=MASS):
    return HarmonicReference(
        np.ones(atoms, dtype=np.int32), np.full(atoms, mass), sites(atoms), np.eye(3) * side,
        STIFFNESS * np.eye(3 * atoms), 0.0, False, "quartic", "none",
    )  # fmt: skip


def write_frames(source, ratio, moved=0.0):
    """What i-PI would write of positions and forces."""
    random = np.random.default_rng(round(1000 * ratio))
    rings = drawn(SAMPLES * ATOMS * 3, BEADS, MASS / ratio**2, random).reshape(SAMPLES, ATOMS, 3, BEADS)
    own = sites(ATOMS)
    own[0, 0] += moved
    for name, values in (("positions", rings), ("forces", forces(rings))):
        files = ExtrasOutput(f"{source.stem}.{name}", (), 5).files(BEADS)
        for bead, file in enumerate(files):
            text = frames_of_ase(values[..., bead], own, np.eye(3) * SIDE, name, bead)
            source.with_name(f"{file}.extxyz").write_text(text)


@pytest.fixture
def prepared(tmp_path, monkeypatch):
    """Inputs of three masses beside a crystal and its input."""
    monkeypatch.chdir(tmp_path)
    write("start.xyz", structure(ATOMS), format="extxyz")
    reference().save(tmp_path / "quartic.harmonic.npz")
    (tmp_path / "quartic.xml").write_text(INPUT.format(mode="nvt"))
    done = run("--prepare", "quartic.xml", "--ratios", 3, "--harmonic", "quartic.harmonic.npz")
    assert done.exit_code == 0, done.output
    return [tmp_path / name for name in done.output.split()]


def test_a_quartic_crystal(prepared):
    for source, ratio in zip(prepared, RATIOS, strict=True):
        assert source.read_text().count('stride="5" format="ase"') == 2
        write_frames(source, ratio)
    done = run(*prepared, "--harmonic", "quartic.harmonic.npz", "--skip", 0, "--json", "found.json")
    assert done.exit_code == 0, done.output
    numbers = json.loads(prepared[0].with_name("found.json").read_text())
    beads = 64  # of the quartic crystal enough, as the harmonic part has infinitely many
    exact = 3 * ATOMS * (free_energy(beads) - free_energy(1))
    harmonic = 3 * ATOMS * (free_energy(2 * beads, quartic=0.0) - free_energy(1, quartic=0.0))
    assert numbers["harmonic_difference"] == pytest.approx(harmonic, rel=2e-3)
    quantum, classical = (free_energy(one) - free_energy(one, quartic=0.0) for one in (BEADS, 1))
    rest_of_few = 3 * ATOMS * (quantum - classical)
    error = numbers["standard_error"]
    assert numbers["anharmonic_difference"] == pytest.approx(rest_of_few, abs=4 * error)
    assert numbers["difference"] == pytest.approx(numbers["harmonic_difference"] + numbers["anharmonic_difference"])
    # half the error of so few beads is that of the harmonic crystal, which is not there any more
    plain = 3 * ATOMS * (free_energy(BEADS) - free_energy(1))
    assert abs(numbers["difference"] - exact) < 0.65 * abs(plain - exact)
    for one in numbers["runs"]:
        assert one["standard_error"] < 0.7 * one["plain_standard_error"]
        shift = one["kinetic_energy"] - one["plain_kinetic_energy"]
        assert abs(shift) < 4 * np.hypot(one["standard_error"], one["plain_standard_error"])
    assert "harmonic crystal quartic.harmonic.npz as control variate" in done.output
    assert re.search(r"anharmonic \S+ ± \S+ meV per H", done.output) and "warning" not in done.output
    assert list(prepared[0].parent.glob("*mass_integration.png"))


def test_what_is_refused(prepared, tmp_path):
    source, file = prepared[2], "quartic.harmonic.npz"

    def message(*arguments):
        result = run(*arguments)
        assert result.exit_code == 2 and result.stderr.splitlines()[-1].startswith("Error"), result.output
        return result.stderr.splitlines()[-1]

    assert "no file 'none.harmonic.npz'" in message(source, "--harmonic", "none.harmonic.npz")
    assert "--element for those of one isotope" in message(source, "--harmonic", file, "--element", "H=D")
    write_frames(source, RATIOS[2], moved=3.0)
    assert re.search(r"atom 0, H, on average .* it left its site", message(source, "--harmonic", file))
    text = source.read_text()
    source.write_text(text.replace(" forces{ase} ", " velocities{ase} "))
    assert "does not write the forces of all its beads" in message(source, "--harmonic", file)
    source.write_text(text)
    for name, other, expected in (
        ("atoms", reference(27), "8 atoms; the harmonic crystal has 27"),
        ("cell", reference(side=12.5), "but the harmonic crystal has"),
        ("masses", reference(mass=2 * MASS), "the same isotopes are needed"),
    ):
        other.save(tmp_path / f"{name}.harmonic.npz")
        assert expected in message(source, "--harmonic", f"{name}.harmonic.npz")
        assert expected in message("--prepare", "quartic.xml", "--ratios", 1, "--harmonic", f"{name}.harmonic.npz")
    (tmp_path / "npt.xml").write_text(INPUT.format(mode="npt"))
    assert "is not at constant volume" in message("--prepare", "npt.xml", "--harmonic", file)
    for name, indices in (("fixatoms", "[ 0, 1 ]"), ("fixatoms_dof", "[ 3 ]")):
        held = INPUT.format(mode="nvt").replace("'dynamics'>", f"'dynamics'> <{name}> {indices} </{name}>")
        (tmp_path / "held.xml").write_text(held)
        assert f"holds atoms by <{name}>" in message("--prepare", "held.xml", "--harmonic", file)
    write_frames(source, RATIOS[2])
    for path in tmp_path.glob(f"{source.stem}.forces_*"):
        path.write_text(re.sub(r"Step: +", "Step: 1000", path.read_text()))
    assert "no step with positions and forces" in message(source, "--harmonic", file)


def test_samples_that_are_not_of_the_temperature_are_warned_of():
    def means(mean, error):
        one = KineticEnergy(mean, error, 100, 0.5)
        return ControlledKineticEnergy(1.0, one, one, one).warning(Path("run.xml"))

    assert not means(0.39, 0.1)
    assert "0.41 ± 0.1 eV: the run has not forgotten its beginning" in means(0.41, 0.1)
