"""A PET that metatrain trained: the package's own calculator, finite differences, and the symmetries that it has."""

from __future__ import annotations

import pickle
from importlib.util import find_spec

import numpy as np
import pytest
from beadwise.errors import BeadwiseError
from beadwise.model.evaluators import load_evaluator

if find_spec("metatomic") is None or find_spec("mace") is None:
    pytest.skip("metatomic or mace-torch is not installed: pip install 'beadwise[metatomic,mace]'",
                allow_module_level=True)  # fmt: skip

from mace_files import mace_file
from test_mace import answer, difference, waters

FIELD = (0.05, -0.1, 0.2)
ENERGIES = ["energy", "forces", "virial"]


@pytest.fixture(scope="module")
def evaluator(pet):
    return load_evaluator(f"metatomic:{pet}")


def moved(atoms, atom, axis):
    def change(step):
        changed = atoms.copy()
        changed.positions[atom, axis] += step
        return changed

    return change


def strained(atoms, row, column, is_symmetric=True):
    def change(step):
        strain = np.zeros((3, 3))
        strain[row, column] = step
        strain = np.eye(3) + ((strain + strain.T) / 2 if is_symmetric else strain)
        changed = atoms.copy()
        changed.set_cell(changed.cell.array @ strain)
        changed.positions = atoms.positions @ strain
        return changed

    return change


def test_what_it_gives(evaluator, pet):
    assert evaluator.properties == (*ENERGIES, "dipole", "born_charges")
    assert evaluator.units == {"dipole": "e*angstrom"}  # as the file says
    by_name = load_evaluator(f"metatomic:{pet},dipole=mtt::dipole")
    assert np.array_equal(answer(by_name, waters(), ["dipole"]).dipole, answer(evaluator, waters(), ["dipole"]).dipole)
    with pytest.raises(BeadwiseError, match=r"dipole is 'mtt::dipol'; .*did you mean 'mtt::dipole'"):
        load_evaluator(f"metatomic:{pet},dipole=mtt::dipol")


@pytest.mark.parametrize("periodic", [True, False], ids=["periodic", "isolated"])
def test_its_own_calculator(evaluator, pet, periodic):
    from metatomic.torch import ModelOutput
    from metatomic_ase import MetatomicCalculator

    calculator = MetatomicCalculator(str(pet), device="cpu")
    frames = [waters(periodic, seed) for seed in (20, 21, 22)]
    found = answer(evaluator, frames)
    for bead, atoms in enumerate(frames):
        atoms.calc = calculator
        expected = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
        if periodic:
            expected["virial"] = -atoms.get_volume() * atoms.get_stress(voigt=False)
        asked = {"mtt::dipole": ModelOutput(sample_kind="system")}
        expected["dipole"] = calculator.run_model(atoms, asked)["mtt::dipole"].block().values.detach().numpy().ravel()
        for name, value in expected.items():
            np.testing.assert_allclose(found[name][bead], value, rtol=0, atol=1e-10 * np.abs(value).max(), err_msg=name)


def test_derivatives(evaluator):
    atoms = waters(seed=7)
    found = answer(evaluator, atoms)
    for atom, axis in ((0, 0), (5, 1), (10, 2)):
        change = moved(atoms, atom, axis)
        force, charges = -difference(evaluator, change, "energy"), difference(evaluator, change, "dipole")
        np.testing.assert_allclose(found.forces[0, atom, axis], force, rtol=0, atol=1e-7)
        np.testing.assert_allclose(found.born_charges[0, atom, axis], charges, rtol=0, atol=1e-7)
    for row, column in ((0, 0), (1, 2)):
        slope = difference(evaluator, strained(atoms, row, column), "energy")
        assert found.virial[0, row, column] == pytest.approx(-slope, abs=1e-6)


def test_symmetries(evaluator):
    """Order, place and images of atoms change nothing; turned structures have other energies, as PET learns that."""
    atoms = waters(seed=3)
    order = np.random.default_rng(0).permutation(len(atoms))
    shifted = atoms.copy()
    shifted.positions += [3.1, -40.7, 0.2]
    shifted.positions[3] += shifted.cell.array[1]
    before, other, permuted = (answer(evaluator, one) for one in (atoms, shifted, atoms[order]))
    for name in before.names:
        value, of_atoms = before[name][0], name in ("forces", "born_charges")
        np.testing.assert_allclose(other[name][0], value, rtol=0, atol=1e-10 * max(1, np.abs(value).max()))
        expected = value[order] if of_atoms else value
        np.testing.assert_allclose(permuted[name][0], expected, rtol=0, atol=1e-10 * max(1, np.abs(value).max()))
    np.testing.assert_allclose(before.forces.sum(axis=1), 0, atol=1e-10)
    turned = atoms.copy()
    turned.rotate(50, [1, 2, 3], rotate_cell=True)
    difference_of_turned = np.abs(answer(evaluator, turned, ["energy"]).energy - before.energy)
    assert 1e-9 < difference_of_turned < 1.0


def test_beads_in_one_forward(evaluator, pet):
    frames = [waters(seed=seed) for seed in range(4)]
    whole = answer(evaluator, frames)
    alone = answer(load_evaluator(f"metatomic:{pet},chunk=1"), frames)
    for name in whole.names:
        np.testing.assert_allclose(whole[name], alone[name], rtol=0, atol=1e-10 * np.abs(whole[name]).max())


def test_forces_by_itself(pet):
    direct = load_evaluator(f"metatomic:{pet},forces=direct")
    assert "virial" not in direct.properties
    found = answer(direct, waters(), ["energy", "forces"])
    np.testing.assert_allclose(found.forces.sum(axis=1), 0, atol=1e-10)
    assert np.abs(found.forces).max() > 1e-3


@pytest.fixture(scope="module", params=["metatomic", "mace"])
def with_both(request, tmp_path_factory):
    """A file with an energy and a dipole, of each package."""
    if request.param == "metatomic":
        return load_evaluator(f"metatomic:{request.getfixturevalue('pet')}")
    return load_evaluator(f"mace:{mace_file(tmp_path_factory.mktemp('mace') / 'both.model', 'EnergyDipolesMACE')}")


def test_in_a_field(with_both):
    """U − E·μ and its derivatives, in one sweep back; the strain may turn."""
    atoms = waters(seed=9)
    driven, plain = with_both.in_field(FIELD), answer(with_both, atoms)
    found = answer(driven, atoms)
    np.testing.assert_allclose(found.energy, plain.energy - plain.dipole @ FIELD, rtol=1e-12)
    np.testing.assert_allclose(found.forces, plain.forces + plain.born_charges @ FIELD, rtol=0, atol=1e-10)
    np.testing.assert_allclose(found.dipole, plain.dipole, rtol=1e-12)
    for row, column in ((0, 0), (1, 2), (2, 1)):
        slope = difference(driven, strained(atoms, row, column, is_symmetric=False), "energy")
        assert found.virial[0, row, column] == pytest.approx(-slope, abs=1e-6)
    copied = pickle.loads(pickle.dumps(driven))
    assert np.array_equal(answer(copied, atoms, ["energy"]).energy, answer(driven, atoms, ["energy"]).energy)


def test_direct_forces_in_a_field(pet):
    direct, atoms = load_evaluator(f"metatomic:{pet},forces=direct"), waters(seed=9)
    plain = answer(direct, atoms, ["forces", "born_charges"])
    found = answer(direct.in_field(FIELD), atoms, ["forces"])
    np.testing.assert_allclose(found.forces, plain.forces + plain.born_charges @ FIELD, rtol=0, atol=1e-10)


def test_a_field_without_a_dipole(tmp_path):
    for kind, words in (("MACE", "has no dipole"), ("AtomicDipolesMACE", "property 'energy' is not available")):
        own = load_evaluator(f"mace:{mace_file(tmp_path / kind, kind)}")
        with pytest.raises(BeadwiseError, match=words):
            own.in_field(FIELD)
