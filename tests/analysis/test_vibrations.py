"""Harmonic vibrations: known frequencies, intensities by differences along modes, longitudinal modes, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from beadwise.analysis.vibrations.derivatives import VibrationError, derivatives, moved
from beadwise.analysis.vibrations.harmonic import KM_PER_MOL, non_analytical, normal_modes, optical_permittivity
from beadwise.analysis.vibrations.make import VibrationRequest, make
from beadwise.driver.commands.group import main
from beadwise.model import Batch, Response
from beadwise.model.crystals.minimum import minimum_of
from beadwise.model.evaluators import load_evaluator
from click.testing import CliRunner
from scipy import constants
from toy import Toy

REFERENCE = {  # in cm⁻¹, of q-TIP4P/F: shared reference of the project
    "H2O": (1580.1, 3852.7, 3920.4),
    "D2O": (1153.5, 2785.0, 2876.3),
}


def water(heavy=False) -> Atoms:
    atoms = Atoms("OHH", [[0, 0, 0], [0.96, 0.02, 0], [-0.25, 0.93, 0.03]])
    if heavy:
        atoms.set_masses([15.9949, 2.0141, 2.0141])
    return atoms


@pytest.mark.parametrize("name", REFERENCE)
def test_frequencies_of_a_molecule_of_water(name):
    atoms, evaluator = water(name == "D2O"), load_evaluator("qtip4pf")
    at = minimum_of(evaluator, Batch.from_ase(atoms), True)
    batch = at.structure
    modes = normal_modes(derivatives(evaluator, batch, at.hessian), atoms.get_masses(), batch.positions[0], False)
    np.testing.assert_allclose(modes.wavenumbers, REFERENCE[name], rtol=4e-4)  # masses of isotopes and of the element
    assert modes.raman is None and (modes.infrared > 0).all() and not len(modes.negative)
    norms = np.einsum("mia,i,nia->mn", modes.displacements, atoms.get_masses(), modes.displacements)
    np.testing.assert_allclose(norms, np.eye(3), atol=1e-10)


def test_intensities_are_those_of_differences_along_modes():
    """∂μ/∂Q and ∂α/∂Q by moving along each mode; the invariants of the polarizability by hand."""
    evaluator, atoms = load_evaluator("water"), water()
    batch = minimum_of(evaluator, Batch.from_ase(atoms), True).structure
    modes = normal_modes(derivatives(evaluator, batch), atoms.get_masses(), batch.positions[0], False)
    step = 1e-3
    for place, mode in enumerate(modes.displacements):
        shifted = moved(batch, batch.positions[0] + step * np.array([1, -1])[:, None, None] * mode)
        found = evaluator.evaluate(shifted, ("dipole", "polarizability"))
        dipole = (found.dipole[0] - found.dipole[1]) / (2 * step)
        a = (found.polarizability[0] - found.polarizability[1]) / (2 * step)
        assert modes.infrared[place] == pytest.approx(KM_PER_MOL * dipole @ dipole, rel=1e-4)
        mean = np.trace(a) / 3
        anisotropy = ((a[0, 0] - a[1, 1]) ** 2 + (a[1, 1] - a[2, 2]) ** 2 + (a[2, 2] - a[0, 0]) ** 2) / 2 + 3 * (
            a[0, 1] ** 2 + a[1, 2] ** 2 + a[0, 2] ** 2
        )
        assert modes.raman[place] == pytest.approx(45 * mean**2 + 7 * anisotropy, rel=1e-4)
        ratio = 3 * anisotropy / (45 * mean**2 + 4 * anisotropy)
        assert modes.depolarisation[place] == pytest.approx(ratio, rel=1e-4)


def test_units():
    """1 (D/Å)²/u is 42.2561 km/mol: the usual number of quantum chemistry."""
    debye = 1e-21 / constants.c / constants.e / constants.angstrom  # in e Å
    assert KM_PER_MOL * debye**2 == pytest.approx(42.2561, rel=1e-5)


def test_derivatives_of_a_model_and_differences_are_the_same():
    atoms = water()
    batch = Batch.from_ase(atoms)
    without = Toy(("energy", "forces", "virial", "dipole", "polarizability"))
    found, other = derivatives(Toy(), batch), derivatives(without, batch)
    np.testing.assert_allclose(found.born_charges, other.born_charges, atol=1e-8)
    np.testing.assert_allclose(found.raman_tensors, other.raman_tensors, atol=2e-3)
    with pytest.raises(VibrationError, match="forces are needed"):
        derivatives(Toy(("dipole",)), batch)


class Crystal:
    """Ions of a rock-salt cell, each held by a spring, with charges of ± Z*."""

    species = (11, 17)
    properties = ("energy", "forces", "dipole", "born_charges", "polarizability")
    stiffness, charge, volume_factor = 3.0, 1.1, 0.1

    def __init__(self, atoms: Atoms):
        self.home = atoms.positions.copy()
        self.volume = atoms.get_volume()

    def evaluate(self, batch: Batch, want) -> Response:
        away = batch.positions - self.home
        relative = away - away.mean(axis=1, keepdims=True)
        signs = np.where(batch.numbers == 11, 1.0, -1.0)[:, None]
        arrays = {
            "energy": 0.5 * self.stiffness * np.square(relative).sum(axis=(1, 2)),
            "forces": -self.stiffness * relative,
            "dipole": self.charge * (signs * batch.positions).sum(axis=1),
            "born_charges": np.tile(self.charge * signs[:, :, None] * np.eye(3), (batch.beads, 1, 1, 1)),
            "polarizability": np.tile(self.volume_factor * self.volume * np.eye(3), (batch.beads, 1, 1)),
        }
        return Response(**{name: arrays[name] for name in want})


def test_longitudinal_modes_of_an_ionic_crystal(tmp_path):
    """ω_LO² − ω_TO² = Z*² e²/(ε0 ε∞ V μ), and a transverse pair stays (Born and Huang, section 7)."""
    atoms = bulk("NaCl", "rocksalt", a=5.6)
    crystal, masses = Crystal(atoms), atoms.get_masses()
    reduced = masses.prod() / masses.sum() * constants.atomic_mass
    found = derivatives(crystal, Batch.from_ase(atoms))
    permittivity = optical_permittivity(found.polarizability, atoms.get_volume())
    assert permittivity[0, 0] == pytest.approx(1 + 4 * np.pi * 0.1)
    direction = np.array([1.0, 2.0, -0.5]) / np.linalg.norm([1.0, 2.0, -0.5])
    added = non_analytical(found, atoms.get_volume(), permittivity, direction)
    transverse = normal_modes(found, masses, atoms.positions, True).wavenumbers
    both = normal_modes(found, masses, atoms.positions, True, added).wavenumbers
    np.testing.assert_allclose(both[:2], transverse[:2], rtol=1e-9)
    squares = np.square(2 * np.pi * constants.c * 100 * np.array([both[2], transverse[2]]))
    volume = atoms.get_volume() * constants.angstrom**3
    expected = (crystal.charge * constants.e) ** 2 / (constants.epsilon_0 * permittivity[0, 0] * volume * reduced)
    assert squares[0] - squares[1] == pytest.approx(expected, rel=1e-6)
    report = make(crystal, atoms, VibrationRequest("crystal", tmp_path / "nacl"))
    assert sum(line.startswith("longitudinal along") for line in report.lines) == 3
    assert "LO along z (cm^-1)" in (tmp_path / "nacl.csv").read_text()
    fixed = make(crystal, atoms, VibrationRequest("crystal", tmp_path / "n", permittivity=9.0))
    assert fixed.numbers["longitudinal"]["x"][2] < report.numbers["longitudinal"]["x"][2]


def test_rotations_of_a_linear_molecule_are_two():
    atoms = Atoms("OHH", [[0, 0, 0], [0.96, 0, 0], [-0.96, 0, 0]])
    evaluator, batch = load_evaluator("qtip4pf"), Batch.from_ase(atoms)
    modes = normal_modes(derivatives(evaluator, batch), atoms.get_masses(), batch.positions[0], False)
    assert len(modes.wavenumbers) == 4 and len(modes.negative) == 2  # it wants to bend


def test_what_has_no_vibrations_or_no_longitudinal_modes_is_refused(tmp_path):
    own, salt = Toy(("energy", "forces")), bulk("NaCl", "rocksalt", a=5.6)
    for atoms, permittivity, message in (
        (Atoms("O"), None, "1 atom, which does not vibrate"),
        (bulk("Ar", a=5.3), None, "1 atom, which does not vibrate"),
        (water(), 1.8, "the optical permittivity 1.8 is for longitudinal modes of crystals"),
        (salt, 2.3, "which need Born charges; 'toy' has energy, forces"),
    ):
        with pytest.raises(VibrationError, match=message):
            make(own, atoms, VibrationRequest("toy", tmp_path / "v", permittivity=permittivity))
    assert not list(tmp_path.iterdir())


def test_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ase.io.write("water.xyz", water())
    found = CliRunner().invoke(main, ["vibrations", "water.xyz", "--model", "water", "--json", "found.json"])
    assert found.exit_code == 0, found.output
    assert "infrared (km/mol)" in found.output and "warning" not in found.output
    numbers = json.loads(Path("found.json").read_text())
    assert len(numbers["modes"]["wavenumber (cm^-1)"]) == 3 and Path("water.vibrations.png").stat().st_size > 5000
    found = CliRunner().invoke(main, ["vibrations", "water.xyz", "--model", "qtip4pf", "--as-it-is", "--output", "w"])
    assert found.exit_code == 0 and "no minimum was looked for" in found.output
    atoms = molecule("H2O", cell=[9, 9, 9], pbc=[True, True, False])
    ase.io.write("slab.xyz", atoms)
    found = CliRunner().invoke(main, ["vibrations", "slab.xyz", "--model", "water"])
    assert found.exit_code == 2 and "a molecule without a cell, or a crystal, is needed" in found.output


def test_an_xyz_file_of_ipi_has_its_cell_and_its_units(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    atoms = water()
    atoms.set_cell([15.0, 15.0, 15.0])
    atoms.pbc = True
    ase.io.write("ours.xyz", atoms)
    bohr = constants.angstrom / constants.physical_constants["Bohr radius"][0]
    lines = [f"{s} {x:.12f} {y:.12f} {z:.12f}" for s, (x, y, z) in zip("OHH", atoms.positions * bohr, strict=True)]
    cell = f"# CELL(abcABC): {3 * f'{15 * bohr:.8f} '}90 90 90  positions{{atomic_unit}}  cell{{atomic_unit}}"
    Path("ipi.xyz").write_text("\n".join(["3", cell, *lines]) + "\n")
    modes = []
    for name in ("ours", "ipi"):
        command = ["vibrations", f"{name}.xyz", "--model", "qtip4pf", "--as-it-is", "--json", f"{name}.json"]
        found = CliRunner().invoke(main, command)
        assert found.exit_code == 0, found.output
        modes.append(json.loads(Path(f"{name}.json").read_text())["modes"]["wavenumber (cm^-1)"])
    np.testing.assert_allclose(modes[1], modes[0], rtol=1e-4, atol=0.5)
