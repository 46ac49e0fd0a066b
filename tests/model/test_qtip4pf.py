"""The water potential q-TIP4P/F: its NumPy twin, known numbers, finite differences, symmetries, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import qtip4pf_twin as twin
from ase import Atoms
from ase.data import atomic_masses
from ase.units import Debye, _amu, _c, _e
from beadwise.model import Batch, BeadwiseError, PropertyError, StructureError, shipped_models
from beadwise.model.calculator import Calculator
from beadwise.model.errors import EvaluatorError
from beadwise.model.evaluators import BUILT_IN, load_evaluator
from beadwise.model.qtip4pf import PotentialError, QTip4pF
from beadwise.potentials.qtip4pf import ANGLE, ATOMIC_CHARGES, BOND_LENGTH, ewald_parameters
from beadwise.pyx.water import point_charges
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

ALL = QTip4pF.properties
SKEWED = np.array([[6.6, 0.0, 0.0], [1.9, 6.4, 0.0], [-1.4, 1.1, 6.9]])
MADELUNG_ROCK_SALT = 1.747564594633182190636
MASSES = {"O": atomic_masses[8], "H": atomic_masses[1], "D": 2.01410178}  # of ASE, natural oxygen and hydrogen, in u


def molecules(places, seed=0, noise=0.05):
    """Water molecules in random directions, their atoms a little displaced."""
    rng = np.random.default_rng(seed)
    half = ANGLE / 2
    shape = BOND_LENGTH * np.array([[0, 0, 0], [np.sin(half), 0, np.cos(half)], [-np.sin(half), 0, np.cos(half)]])
    turned = np.stack([Rotation.random(random_state=rng.integers(2**31)).apply(shape) for _ in places])
    positions = places[:, None] + turned
    return (positions + rng.normal(scale=noise, size=positions.shape)).reshape(-1, 3)


def water_atoms(positions, cell=None):
    return Atoms("OHH" * (len(positions) // 3), positions, cell=cell, pbc=cell is not None)


def crystal(cell=SKEWED, seed=0):
    """Eight molecules in a small skewed cell."""
    grid = np.stack(np.meshgrid(*[(0, 0.5)] * 3, indexing="ij"), -1).reshape(-1, 3)
    return water_atoms(molecules(grid @ cell, seed), cell)


def cluster(seed=0):
    grid = np.stack(np.meshgrid(*[(0, 3.2, 7.0)] * 3, indexing="ij"), -1).reshape(-1, 3)[::3]
    return water_atoms(molecules(grid, seed))


def answer(atoms, evaluator=None, want=ALL):
    response = (evaluator or QTip4pF(accuracy=1e-13)).evaluate(Batch.from_ase(atoms), want)
    return {name: response[name][0] for name in want}


def assert_agree(found, expected, tolerance):
    for name in expected:
        scale = np.abs(expected[name]).max()
        np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=tolerance * scale, err_msg=name)


@pytest.mark.parametrize("accuracy", [1e-5, 1e-7, 1e-12])
def test_small_cells_agree_with_the_twin(accuracy):
    atoms = crystal()
    found = answer(atoms, QTip4pF(accuracy=accuracy), ALL[:4])
    assert_agree(found, twin.evaluate(atoms.positions, SKEWED, 9.0, *ewald_parameters(accuracy, 9.0)), 1e-12)


def test_a_liquid_agrees_with_the_twin(liquid):
    found = answer(liquid, QTip4pF(), ALL[:4])
    expected = twin.evaluate(liquid.positions, liquid.cell.array, 9.0, *ewald_parameters(1e-7, 9.0))
    assert_agree(found, expected, 1e-12)


def test_clusters_agree_with_the_twin():
    atoms = cluster()
    assert_agree(answer(atoms, want=ALL[:4]), twin.evaluate(atoms.positions, None, 9.0, 0.0, 0.0, np.inf), 1e-12)


@pytest.mark.parametrize("cutoff", [6.0, 9.0, 14.0])
def test_other_splittings_of_the_sum_give_the_same(cutoff):
    atoms = crystal(seed=4)
    found = answer(atoms, QTip4pF(cutoff, accuracy=1e-14), ALL[:4])
    assert_agree(found, twin.evaluate(atoms.positions, SKEWED, cutoff, 0.9, 10.6, 8.5), 1e-9)


def test_the_default_accuracy_is_what_the_documentation_says(liquid):
    error = answer(liquid, QTip4pF())["forces"] - answer(liquid)["forces"]
    assert np.sqrt((error**2).mean()) < 5e-6 * np.sqrt((answer(liquid)["forces"] ** 2).mean())


@pytest.mark.parametrize("cutoff", [1.5, 4.0, 7.0])
def test_rock_salt_has_its_madelung_constant(cutoff):
    corners = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]], dtype=float)
    positions = np.concatenate([corners, corners + np.array([1, 0, 0])])[None]
    energy, forces, virial = np.zeros(1), np.zeros((1, 8, 3)), np.zeros((1, 3, 3))
    splitting, highest = ewald_parameters(1e-13, cutoff)
    cells = 2 * np.eye(3)[None]
    point_charges(
        np.repeat([1.0, -1.0], 4), positions, cells, True, 1.0, splitting, cutoff, highest, energy, forces, virial, 1
    )
    np.testing.assert_allclose(-energy[0] / 4, MADELUNG_ROCK_SALT, rtol=1e-11)
    np.testing.assert_allclose(virial[0], np.eye(3) * energy[0] / 3, atol=1e-10)
    np.testing.assert_allclose(forces, 0, atol=1e-11)


def derivative(function, step):
    """Central difference of fourth order at zero."""
    return (8 * (function(step) - function(-step)) - (function(2 * step) - function(-2 * step))) / (12 * step)


@pytest.mark.parametrize("make", [crystal, cluster])
def test_forces_and_born_charges_are_derivatives(make):
    atoms = make()
    found = answer(atoms)
    for atom, axis in ((0, 0), (1, 1), (5, 2), (6, 1), (14, 0)):

        def moved(step, name, atom=atom, axis=axis):
            trial = atoms.copy()
            trial.positions[atom, axis] += step
            return answer(trial)[name]

        slope = derivative(lambda step: moved(step, "energy"), 1e-3)
        np.testing.assert_allclose(found["forces"][atom, axis], -slope, rtol=1e-8, atol=1e-8)
        slope = derivative(lambda step: moved(step, "dipole"), 1e-2)
        np.testing.assert_allclose(found["born_charges"][atom, axis], slope, atol=1e-11)


@pytest.mark.parametrize("make", [crystal, cluster])
def test_the_virial_is_a_derivative(make):
    atoms = make(seed=2)
    virial = answer(atoms)["virial"]
    np.testing.assert_allclose(virial, virial.T, atol=1e-11)
    for i, j in ((0, 0), (1, 1), (2, 2), (0, 1), (2, 0), (1, 2)):

        def strained(step, i=i, j=j):
            trial, strain = atoms.copy(), np.eye(3)
            strain[i, j] += step
            trial.set_cell(atoms.cell.array @ strain.T)
            trial.positions = atoms.positions @ strain.T
            return answer(trial)["energy"]

        np.testing.assert_allclose(virial[i, j], -derivative(strained, 2e-4), rtol=1e-7, atol=1e-7)


def test_the_end_of_the_lennard_jones_potential_is_smooth():
    distances = np.linspace(7.8, 9.2, 281)
    pair = molecules(np.zeros((2, 3)), seed=3)
    pair[3:] += [20.0, 0, 0]
    far = pair.reshape(2, 3, 3)
    positions = np.stack([np.concatenate([far[0], far[1] + [r - 20.0, 0, 0]]) for r in distances])
    batch = Batch(np.array([8, 1, 1] * 2), positions, np.zeros((281, 3, 3)), np.zeros(3, bool))
    response = QTip4pF().evaluate(batch, ("energy", "forces"))
    along = response.forces[:, 3:, 0].sum(axis=1)
    slopes = np.gradient(response.energy, distances)
    np.testing.assert_allclose(along[1:-1], -slopes[1:-1], atol=3e-7)
    assert np.abs(np.diff(along)).max() < 1e-4


@pytest.mark.parametrize("operation", ["rotation", "inversion"])
def test_rotated_and_inverted(operation):
    matrix = -np.eye(3) if operation == "inversion" else Rotation.random(random_state=3).as_matrix()
    atoms, turned = crystal(), crystal()
    turned.set_cell(atoms.cell.array @ matrix.T)
    turned.positions = atoms.positions @ matrix.T
    before, after = answer(atoms), answer(turned)
    expected = {
        "energy": before["energy"],
        "forces": before["forces"] @ matrix.T,
        "virial": matrix @ before["virial"] @ matrix.T,
        "dipole": matrix @ before["dipole"],
    }
    assert_agree(after, expected, 1e-11)


def test_permuted():
    atoms = crystal()
    order = np.random.default_rng(5).permutation(8)
    swapped = np.concatenate([3 * m + np.array([0, 2, 1] if m % 2 else [0, 1, 2]) for m in order])
    before, after = answer(atoms), answer(atoms[swapped])
    expected = {name: before[name] for name in ("energy", "virial", "dipole")}
    assert_agree(after, expected | {"forces": before["forces"][swapped]}, 1e-11)


def test_translated_and_wrapped():
    atoms = crystal()
    moved = crystal()
    shifts = np.random.default_rng(1).integers(-3, 4, size=(len(atoms), 3))
    moved.positions = atoms.positions + [0.3, -11.2, 5.1] + shifts @ SKEWED
    assert_agree(answer(moved), answer(atoms), 1e-11)


def test_another_cell_of_the_same_lattice():
    atoms, other = crystal(), crystal()
    other.set_cell(np.array([[1, 0, 0], [-1, 1, 0], [1, 0, 1]]) @ SKEWED)
    assert_agree(answer(other), answer(atoms), 1e-11)


def test_a_supercell_is_so_many_cells():
    atoms = crystal()
    found, expected = answer(atoms.repeat((2, 1, 1))), answer(atoms)
    np.testing.assert_allclose(found["energy"], 2 * expected["energy"], rtol=1e-11)
    np.testing.assert_allclose(found["virial"], 2 * expected["virial"], atol=1e-10 * np.abs(expected["virial"]).max())
    np.testing.assert_allclose(found["forces"], np.tile(expected["forces"], (2, 1)), atol=1e-10)


def test_beads_and_threads_do_not_matter():
    beads = [crystal(seed=seed) for seed in range(5)]
    together = QTip4pF(threads=3).evaluate(Batch.from_ase(beads), ALL)
    for index, atoms in enumerate(beads):
        for name, value in answer(atoms, QTip4pF()).items():
            np.testing.assert_array_equal(together[name][index], value)


@pytest.fixture(scope="module")
def relaxed():
    """Positions of one molecule at its minimum, shape (3, 3)."""
    start = molecules(np.zeros((1, 3)), noise=0.02)

    def both(flat):
        found = answer(water_atoms(flat.reshape(3, 3)))
        return found["energy"], -found["forces"].ravel()

    return minimize(both, start.ravel(), jac=True, method="BFGS", options={"gtol": 1e-11}).x.reshape(3, 3)


@pytest.mark.parametrize(("hydrogen", "expected"), [("H", (1580.1, 3852.7, 3920.4)), ("D", (1153.5, 2785.0, 2876.3))])
def test_harmonic_frequencies_of_the_molecule(relaxed, hydrogen, expected):
    def forces(step, index):
        positions = relaxed.copy()
        positions.flat[index] += step
        return answer(water_atoms(positions))["forces"].ravel()

    hessian = np.array([-derivative(lambda step, k=k: forces(step, k), 2e-3) for k in range(9)])  # eV/Å²
    masses = np.repeat([MASSES["O"], MASSES[hydrogen], MASSES[hydrogen]], 3)
    weighted = (hessian + hessian.T) / 2 / np.sqrt(np.outer(masses, masses))
    angular = np.sqrt(np.linalg.eigvalsh(weighted)[-3:] * _e * 1e20 / _amu)
    np.testing.assert_allclose(angular / (2 * np.pi * _c * 100), expected, atol=0.1)


def test_charges_and_dipole_of_the_molecule(relaxed):
    np.testing.assert_allclose(ATOMIC_CHARGES, [-0.81915, 0.40958, 0.40958], atol=6e-6)
    found = answer(water_atoms(relaxed))
    np.testing.assert_allclose(found["energy"], 0, atol=1e-12)
    np.testing.assert_allclose(found["born_charges"], ATOMIC_CHARGES[:, None, None] * np.eye(3), atol=1e-15)
    length = 2 * ATOMIC_CHARGES[1] * BOND_LENGTH * np.cos(ANGLE / 2)
    np.testing.assert_allclose(np.linalg.norm(found["dipole"]), length, rtol=1e-8)
    assert length / Debye == pytest.approx(2.194, abs=1e-3)


def test_an_ase_calculator(liquid):
    liquid.calc = Calculator(QTip4pF())
    expected = answer(liquid, QTip4pF())
    np.testing.assert_allclose(liquid.get_potential_energy(), expected["energy"])
    np.testing.assert_allclose(liquid.get_stress(voigt=False), -expected["virial"] / liquid.get_volume(), atol=1e-12)
    np.testing.assert_allclose(liquid.get_dipole_moment(), expected["dipole"])
    charges = liquid.calc.get_property("born_effective_charges", liquid)
    np.testing.assert_allclose(charges, expected["born_charges"])


def test_only_what_is_wanted_is_answered(liquid):
    response = QTip4pF().evaluate(Batch.from_ase(liquid), ("dipole",))
    assert response.names == ("dipole",)
    np.testing.assert_array_equal(response.dipole[0], answer(liquid, QTip4pF())["dipole"])


def test_it_is_found_by_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    evaluator = load_evaluator("qtip4pf", 2)
    assert isinstance(evaluator, QTip4pF) and evaluator.threads == 2
    assert not set(BUILT_IN) & set(shipped_models())
    (tmp_path / "qtip4pf").write_text("a file of the user's own goes first")
    with pytest.raises(BeadwiseError, match="qtip4pf is not a readable model file"):
        load_evaluator("qtip4pf")
    with pytest.raises(EvaluatorError, match="qtip4pf"):
        load_evaluator("no_such_module:thing")


def with_atoms(symbols, pbc=True, cell=(8.0, 8.0, 8.0)):
    positions = molecules(np.array([[0, 0, 0], [4.0, 4.0, 4.0]]))
    return Atoms(symbols, np.resize(positions, (len(Atoms(symbols)), 3)), cell=cell, pbc=pbc)


def overlapping():
    atoms = with_atoms("OHHOHH")
    atoms.positions[3:] += atoms.positions[1] - atoms.positions[3] + [0.1, 0.1, 0.1]
    return atoms


def broken():
    atoms = with_atoms("OHHOHH")
    atoms.positions[5] += [2.5, 0, 0]
    return atoms


@pytest.mark.parametrize(
    ("atoms", "message"),
    [
        (with_atoms("OOHHHH"), "atoms 0 to 2 of 6 are O O H; .* allows only .* O H H"),
        (with_atoms("OHHHOH"), "atoms 3 to 5 of 6 are H O H"),
        (with_atoms("OHHOH"), "atoms 3 to 4 of 5 are O H;"),
        (with_atoms("OHHNHH"), "are N H H"),
        (with_atoms("OHHOHH", pbc=(True, True, False)), r"\[True, True, False\]; .* allows all three, or none"),
        (with_atoms("OHHOHH", cell=(8.0, 8.0, 3.0)), "is only 3 Å high .* needs at least 4.0 Å"),
        (with_atoms("OHHOHH", cell=(0.0, 0.0, 0.0)), "is only 0 Å high"),
        (overlapping(), r"atoms 1 and 3 of bead 0, .* 0\.\d+ Å apart; .* at least 0.4 Å"),
        (broken(), r"atoms 3 and 5 of bead 0 are \d\.\d+ Å apart; .* at most 2.0 Å"),
    ],
)
def test_structures_that_are_refused(atoms, message):
    with pytest.raises(StructureError, match=message):
        QTip4pF().evaluate(Batch.from_ase(atoms), ALL)


def test_properties_and_settings_that_are_refused(liquid):
    with pytest.raises(PropertyError, match="'polarizability' is not available; q-TIP4P/F has"):
        QTip4pF().evaluate(Batch.from_ase(liquid), ("polarizability",))
    for settings, message in (
        ({"cutoff": 0.5}, "cutoff .* 0.5 Å"),
        ({"cutoff": np.nan}, "cutoff .* nan Å"),
        ({"accuracy": 0.5}, "accuracy .* 0.5; allowed are"),
        ({"threads": 0}, "0 threads"),
    ):
        with pytest.raises(PotentialError, match=message):
            QTip4pF(**settings)
