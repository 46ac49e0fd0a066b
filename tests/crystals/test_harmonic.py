"""The harmonic reference: free energies in closed form, minimum, Hessian, sum rule, files, and what is refused."""

import json

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.units import invcm, kB
from beadwise.driver.commands.crystals.harmonic import harmonic
from beadwise.driver.commands.group import OneLineErrors
from beadwise.inputs.quartic_crystal import STIFFNESS, QuarticCrystal, structure
from beadwise.model import Batch
from beadwise.model.baselines import LennardJones
from beadwise.model.crystals.hessian import hessian_of
from beadwise.model.crystals.minimum import minimum_of
from beadwise.model.crystals.reference import CrystalError, HarmonicReference
from beadwise.sampling import SamplingError, harmonic_free_energy
from beadwise.sampling.harmonic import harmonic_free_energy as of_module
from click.testing import CliRunner
from scipy.linalg import eigh

main = OneLineErrors(commands={"harmonic": harmonic})
QUARTIC = "beadwise.inputs.quartic_crystal:crystal"
ARGON = LennardJones(epsilon=0.0104, sigma=3.4, cutoff=8.5)


def run(*arguments):
    return CliRunner().invoke(main, ["harmonic", *map(str, arguments)])


def argon(rattle=0.1):
    atoms = bulk("Ar", "fcc", 5.25, cubic=True).repeat((2, 2, 2))
    atoms.rattle(rattle, seed=3)
    return atoms


def test_the_total_charge_of_a_structure_stays_to_the_minimum():
    seen = []

    class Argon:
        species, properties = ARGON.species, ARGON.properties

        def evaluate(self, batch, want):
            seen.append(batch.charge)
            return ARGON.evaluate(batch, want)

    atoms = argon(0.02)
    atoms.info["charge"] = 1.0
    assert minimum_of(Argon(), Batch.from_ase(atoms), floats=True).structure.charge == 1.0
    assert len(seen) > 10 and set(seen) == {1.0}


@pytest.fixture(scope="module")
def reference():
    """Argon at its minimum."""
    batch = Batch.from_ase(argon())
    minimum = minimum_of(ARGON, batch, floats=True)
    return HarmonicReference(
        batch.numbers, np.full(32, 39.95), minimum.structure.positions[0], batch.cells[0],
        minimum.hessian.symmetric(True), minimum.energy, True, "argon", "1",
    )  # fmt: skip


def twin(quanta, temperature, beads):
    """kT Σ_i Σ_k ln((βħ/P) √(ω_k² + ω_i²)), ω_k = (2P/βħ) sin(kπ/P), term by term."""
    thermal = kB * temperature
    total = 0.0
    for quantum in quanta:
        for k in range(beads):
            of_ring = 2 * beads * thermal * np.sin(k * np.pi / beads)
            total += thermal * np.log(np.sqrt(of_ring**2 + quantum**2) / (beads * thermal))
    return total


def test_free_energies_are_those_of_the_sums_and_of_the_table():
    quanta = np.array([20.0, 770.41, 3700.0]) * invcm
    for beads in (1, 2, 5, 8, 32, 33):
        for temperature in (50.0, 300.0, 1200.0):
            exact = twin(quanta, temperature, beads)
            assert harmonic_free_energy(quanta, temperature, beads) == pytest.approx(exact, rel=1e-10, abs=1e-13)
    unit = np.array([6 * kB * 300])  # βħω = 6, free energies in ħω
    found = [harmonic_free_energy(unit, 300, beads) / unit[0] for beads in (np.inf, 1, 8, 16)]
    assert found == pytest.approx([0.4995864, 0.2986266, 0.4884939, 0.4966875], abs=5e-8)
    assert harmonic_free_energy(unit, 300, 10**6) == pytest.approx(harmonic_free_energy(unit, 300), rel=1e-10)
    assert harmonic_free_energy is of_module


@pytest.mark.parametrize("arguments", [([0.1], 0.0), ([0.1, 0.0], 300.0), ([0.1], 300.0, 0), ([0.1], 300.0, 2.5)])
def test_free_energies_of_nothing_are_refused(arguments):
    with pytest.raises(SamplingError):
        harmonic_free_energy(*arguments)


def test_a_minimum_is_one_and_its_hessian_that_of_single_structures(reference):
    forces = ARGON.evaluate(reference.batch, ("forces",)).forces
    assert np.abs(forces).max() < 1e-6
    raw = hessian_of(ARGON, reference.batch, 1e-3)
    for place in (0, 40):
        np.testing.assert_allclose(raw.matrix[place], row_of_hessian(reference.batch, place), atol=1e-8)


def row_of_hessian(batch, place, distance=1e-3):
    forces = []
    for sign in (-1, 1):
        moved = batch.positions.copy()
        moved.reshape(-1)[place] += sign * distance
        forces.append(ARGON.evaluate(Batch(batch.numbers, moved, batch.cells, batch.periodic), ("forces",)).forces)
    return (forces[0] - forces[1]).ravel() / (2 * distance)


def test_the_sum_rule_and_symmetry_are_those_of_a_projector():
    matrix = np.random.default_rng(1).normal(size=(12, 12))
    raw = type(hessian_of(ARGON, Batch.from_ase(argon()), 0.1))(matrix)
    translations = np.kron(np.ones((4, 1)), np.eye(3)) / 2
    projector = np.eye(12) - translations @ translations.T
    np.testing.assert_allclose(raw.symmetric(True), projector @ (matrix + matrix.T) / 2 @ projector, atol=1e-14)
    np.testing.assert_allclose(raw.symmetric(False), (matrix + matrix.T) / 2)
    assert raw.asymmetry == pytest.approx(np.abs(matrix - matrix.T).max())
    assert raw.sum_rule == pytest.approx(np.abs(matrix @ translations * 2).max())


def test_modes_are_those_of_a_generalized_eigenproblem_and_translations_have_none(reference):
    masses = np.linspace(20, 60, 32)
    quanta = reference.with_masses(masses).quanta
    squares = eigh(reference.hessian, np.diag(np.repeat(masses, 3)), eigvals_only=True)
    np.testing.assert_allclose(squares[:3], 0, atol=1e-12)
    np.testing.assert_allclose(
        quanta**2, reference.quanta[0] ** 2 / reference_square(reference) * squares[3:], rtol=1e-8
    )
    assert len(quanta) == 93


def reference_square(reference):
    """Lowest eigenvalue for the masses of argon, which makes quanta of eigenvalues."""
    return eigh(reference.hessian, np.diag(np.repeat(reference.masses, 3)), eigvals_only=True)[3]


def test_turned_permuted_and_wrapped_crystals_have_the_same_modes(reference):
    angle = 0.3
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    order = np.random.default_rng(2).permutation(32)
    places = (reference.positions + np.array([3.0, 50.0, -7.0]))[order] @ turn.T
    batch = Batch(reference.numbers, places[None], (reference.cell @ turn.T)[None], np.ones(3, dtype=bool))
    again = HarmonicReference(
        batch.numbers, reference.masses, places, batch.cells[0], hessian_of(ARGON, batch, 1e-4).symmetric(True),
        reference.energy, True, "argon", "1",
    )  # fmt: skip
    plain = HarmonicReference(
        **{**vars_of(reference), "hessian": hessian_of(ARGON, reference.batch, 1e-4).symmetric(True)}
    )
    np.testing.assert_allclose(again.quanta, plain.quanta, rtol=1e-7)  # differences along other directions


def vars_of(reference):
    return {name: getattr(reference, name) for name in reference.__dataclass_fields__}


def test_a_command_from_structure_to_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    atoms = structure(8)
    atoms.rattle(0.05, seed=1)
    atoms.info["name"] = "SUPERCELL"  # no CELL(...) of i-PI
    ase.io.write("held.xyz", atoms, format="extxyz")
    result = run(
        "held.xyz", "--model", QUARTIC, "--held", "--temperature", "300,100", "--beads", 8,
        "--displacement", 1e-4, "--json", "held.json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "8 atoms, 8 x H" in result.output and "no translation is free" in result.output
    numbers = json.loads((tmp_path / "held.json").read_text())
    assert numbers["wavenumbers"] == pytest.approx([770.41] * 24, abs=0.03)  # ASE has another mass
    kept = HarmonicReference.load(tmp_path / "held.harmonic.npz")
    np.testing.assert_allclose(kept.hessian, STIFFNESS * np.eye(24), atol=1e-6)
    for row in numbers["free_energies"]:
        expected = [harmonic_free_energy(kept.quanta, row["temperature"], beads) for beads in (np.inf, 1, 8)]
        assert [row["quantum"], row["classical"], row["8_beads"]] == pytest.approx(expected)
    np.testing.assert_allclose(ase.io.read("held.minimum.xyz").positions, structure(8).positions, atol=1e-6)
    lines = (tmp_path / "held.FORCE_CONSTANTS").read_text().splitlines()
    assert lines[0] == "8 8" and lines[1] == "1 1" and len(lines) == 1 + 64 * 4
    assert [float(word) for word in lines[2].split()] == pytest.approx([STIFFNESS, 0, 0], abs=1e-6)
    assert ase.io.read("held.POSCAR", format="vasp").positions == pytest.approx(kept.positions)


def test_a_hydrogen_that_is_heavy_has_other_modes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    places = "".join(f"D {x:.6f} {y:.6f} {z:.6f}\n" for x, y, z in structure(8).positions)
    (tmp_path / "heavy.xyz").write_text(
        f"8\n# CELL(abcABC): 12 12 12 90 90 90 cell{{angstrom}} positions{{angstrom}}\n{places}"
    )
    result = run("heavy.xyz", "--model", QUARTIC, "--held", "--displacement", 1e-4, "--json", "-")
    assert json.loads(result.output)["wavenumbers"] == pytest.approx([770.41 / np.sqrt(1.99831)] * 24, abs=0.02)


def test_what_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ase.io.write("held.xyz", structure(8), format="extxyz")
    assert "moved as a whole" in run("held.xyz", "--model", QUARTIC).stderr
    assert "no structure" in run("absent.xyz", "--model", QUARTIC).stderr.replace("structure file", "no structure")
    assert "numbers above 0" in run("held.xyz", "--model", QUARTIC, "--temperature", "300,-1").stderr
    ase.io.write("free.xyz", Atoms("H", [[0, 0, 0]]), format="extxyz")
    slab = structure(8)
    slab.pbc = (True, True, False)
    ase.io.write("slab.xyz", slab, format="extxyz")
    assert "has pbc='T T F'; a crystal is periodic" in run("slab.xyz", "--model", QUARTIC).stderr
    assert "no cell" in run("free.xyz", "--model", QUARTIC).stderr
    ase.io.write("saddle.xyz", bulk("Ar", "sc", 3.3).repeat((3, 3, 3)), format="extxyz")
    saddle = run("saddle.xyz", "--model", "lennard-jones:epsilon=0.0104,sigma=3.4,cutoff=4.8")
    assert saddle.exit_code == 2 and "modes are unstable or free" in saddle.stderr and saddle.stderr.count("\n") == 1
    assert not (tmp_path / "saddle.harmonic.npz").exists()


def test_a_file_comes_back_and_damaged_ones_are_one_line(tmp_path, reference):
    path = tmp_path / "argon.harmonic.npz"
    reference.save(path)
    again = HarmonicReference.load(path)
    for name, value in vars_of(reference).items():
        assert np.array_equal(getattr(again, name), value), name
    content = path.read_bytes()
    for damaged in (b"", b"text", content[:200], content[:-100], content.replace(b"identity", b"Identity")):
        path.write_bytes(damaged)
        with pytest.raises(CrystalError, match="is no harmonic crystal"):
            HarmonicReference.load(path)
    np.savez(path, **{**vars_of(reference), "format": "another"})
    with pytest.raises(CrystalError, match="format 'another'"):
        HarmonicReference.load(path)
    np.savez(path, **{**vars_of(reference), "masses": np.ones(3), "format": "beadwise harmonic crystal 1"})
    with pytest.raises(CrystalError, match="masses of a harmonic crystal of 32 atoms has the shape"):
        HarmonicReference.load(path)


def test_quartic_is_its_own_derivative():
    places = structure(8).positions + np.random.default_rng(1).normal(scale=0.1, size=(8, 3))
    batch = Batch(np.ones(8), places[None], np.eye(3)[None] * 12, np.ones(3, dtype=bool))
    step = 1e-6
    both = []
    for sign in (1, -1):
        moved = places.copy()
        moved[2, 1] += sign * step
        both.append(
            QuarticCrystal()
            .evaluate(Batch(batch.numbers, moved[None], batch.cells, batch.periodic), ("energy",))
            .energy
        )
    force = QuarticCrystal().evaluate(batch, ("forces",)).forces[0, 2, 1]
    assert -(both[0] - both[1])[0] / (2 * step) == pytest.approx(force, rel=1e-7)
