"""Ions by name: against sums of their own, differences, symmetries, as a baseline of a fit, and what is refused."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from beadwise.model import Batch, Corrected, EvaluatorError, StructureError, load
from beadwise.model.electrostatics import COULOMB
from beadwise.model.evaluators import load_evaluator
from delta import ENERGIES, configuration, invoke
from models import random_model, random_structure
from scipy.special import erf
from test_fit import molecules

NAME = "ions:H=0.4,O=-0.8,width=0.7"
IONS = load_evaluator(NAME)


def answers(evaluator, atoms, want=ENERGIES):
    return evaluator.evaluate(Batch.from_ase(atoms), want)


def test_a_molecule_is_a_sum_over_pairs():
    atoms = random_structure(1, 2)
    atoms.pbc = False
    charges, expected = np.tile([-0.8, 0.4, 0.4], 2), 0.0
    for i in range(6):
        for j in range(i):
            distance = np.linalg.norm(atoms.positions[i] - atoms.positions[j])
            expected += COULOMB * charges[i] * charges[j] * erf(distance / (2 * 0.7)) / distance
    assert answers(IONS, atoms).energy[0] == pytest.approx(expected, rel=1e-9)


def test_a_crystal_has_madelungs_energy():
    """Narrow Gaussians are points; wide ones lack what erfc takes from each pair, which a sum over shells gives."""
    salt = bulk("NaCl", "rocksalt", a=5.0)
    points = -1.747564594633 * COULOMB / 2.5
    found = answers(load_evaluator("ions:Na=1,Cl=-1,width=0.1"), salt).energy[0]
    assert found == pytest.approx(points, rel=1e-9)
    wide = answers(load_evaluator("ions:Na=1,Cl=-1,width=0.6"), salt).energy[0]
    lacking = 0.0
    for place in np.ndindex(13, 13, 13):
        shell = np.array(place) - 6
        distance = 2.5 * np.linalg.norm(shell)
        if distance:
            sign = -1 if shell.sum() % 2 else 1
            lacking += sign * COULOMB * (1 - erf(distance / 1.2)) / distance  # half of two ions
    assert wide == pytest.approx(points - lacking, rel=1e-9)


@pytest.mark.parametrize("periodic", [(True, True, True), (True, True, False), (False, False, False)])
def test_forces_by_differences(periodic):
    atoms, step = random_structure(2, 2), 1e-4
    atoms.pbc = periodic
    found = answers(IONS, atoms).forces[0]
    for atom, axis in ((0, 0), (2, 1), (4, 2)):
        ends = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[atom, axis] += sign * step
            ends.append(answers(IONS, moved, ["energy"]).energy[0])
        assert -(ends[0] - ends[1]) / (2 * step) == pytest.approx(found[atom, axis], abs=1e-6)


def test_virial_by_differences():
    atoms, step = random_structure(2, 2), 1e-4
    found = answers(IONS, atoms).virial[0]
    for a, b in ((0, 0), (1, 2), (2, 0)):
        ends = []
        for sign in (1, -1):
            strained, strain = atoms.copy(), np.eye(3)
            strain[a, b] += sign * step
            strained.set_cell(atoms.cell.array @ strain.T, scale_atoms=True)
            ends.append(answers(IONS, strained, ["energy"]).energy[0])
        assert -(ends[0] - ends[1]) / (2 * step) == pytest.approx(found[a, b], abs=1e-6)


def test_symmetries():
    atoms = random_structure(3, 2)
    found = answers(IONS, atoms)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    for rotation in (turn, -turn):
        turned = atoms.copy()
        turned.set_cell(atoms.cell.array @ rotation.T)
        turned.positions = atoms.positions @ rotation.T
        other = answers(IONS, turned)
        assert other.energy[0] == pytest.approx(found.energy[0], abs=1e-10)
        assert np.abs(other.forces[0] - found.forces[0] @ rotation.T).max() < 1e-10
        assert np.abs(other.virial[0] - rotation @ found.virial[0] @ rotation.T).max() < 1e-10
    order = np.random.default_rng(1).permutation(len(atoms))
    moved = atoms[order]
    moved.positions[0] += atoms.cell.array[1] - 2 * atoms.cell.array[0]
    assert np.abs(answers(IONS, moved).forces[0] - found.forces[0][order]).max() < 1e-10
    assert answers(IONS, atoms.repeat((1, 2, 1))).energy[0] == pytest.approx(2 * found.energy[0], rel=1e-8)
    both = IONS.evaluate(Batch.from_ase([atoms, random_structure(4, 2)]), ENERGIES)
    for name in ENERGIES:
        np.testing.assert_allclose(both[name][0], found[name][0], atol=1e-8)


def test_a_fit_on_ions_gives_the_reference(tmp_path):
    truth = random_model(heads=["energy"])
    whole = Corrected(IONS, truth)
    for file, seeds in (("train.xyz", range(24)), ("valid.xyz", range(100, 102))):
        write(tmp_path / file, [labelled_by(whole, molecules(seed)) for seed in seeds], format="extxyz")
    result = invoke("fit", configuration(tmp_path, NAME))
    assert result.exit_code == 0, result.output
    fitted = load(tmp_path / "fitted.safetensors")
    assert isinstance(fitted, Corrected) and fitted.correction.baseline == NAME
    batch = Batch.from_ase([molecules(seed) for seed in range(200, 203)])
    found, expected, local = (one.evaluate(batch, ENERGIES) for one in (fitted, whole, truth))
    for name in ("forces", "virial"):
        tolerance = 1e-5 * np.abs(expected[name]).max()
        assert np.abs(expected[name] - local[name]).max() > 1000 * tolerance
        assert np.abs(found[name] - expected[name]).max() < tolerance, name


def labelled_by(evaluator, atoms):
    found = answers(evaluator, atoms)
    stress = -found.virial[0] / atoms.get_volume()
    atoms.calc = SinglePointCalculator(atoms, energy=found.energy[0], forces=found.forces[0], stress=stress)
    return atoms


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        ("", "''"),
        ("Xy=1", "Xy=1"),
        ("O=-2,O=1", "O=1"),
        ("O=two", "'two', which is no number"),
        ("O=nan", "charge of O in ions is nan"),
        ("width=1", "without a charge"),
        ("O=-2,width=0", "width of ions is 0 Å"),
        ("O=-2,width=1,width=2", "width=2"),
        ("O=-2,wide=1", "wide=1"),
    ],
)
def test_names_that_are_refused(rest, said):
    with pytest.raises(EvaluatorError, match=said) as error:
        load_evaluator(f"ions:{rest}")
    assert "\n" not in str(error.value)


def test_structures_that_are_refused():
    water = random_structure(2, 2)
    with pytest.raises(StructureError, match=r"add up to 1\.6 e"):
        answers(load_evaluator("ions:H=0.4,O=0"), water)
    with pytest.raises(StructureError, match="Na"):
        answers(IONS, Atoms("Na", cell=[5, 5, 5], pbc=True))
    water.pbc = (True, False, False)
    with pytest.raises(StructureError, match="periodic directions"):
        answers(IONS, water)
