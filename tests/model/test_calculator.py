"""The ASE calculator against finite differences and ASE's own conventions."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from beadwise.model import Batch, StructureError
from beadwise.model.calculator import Calculator
from toy import Toy, water


@pytest.fixture
def atoms() -> Atoms:
    structure = water()
    structure.calc = Calculator(Toy())
    return structure


def test_forces_are_the_derivative_of_the_energy(atoms):
    np.testing.assert_allclose(atoms.get_forces(), calculate_numerical_forces(atoms, 1e-4), atol=1e-7)


def test_stress_has_the_sign_and_order_of_ase(atoms):
    stress = atoms.get_stress()
    assert np.abs(stress).min() > 1e-5
    np.testing.assert_allclose(stress, calculate_numerical_stress(atoms, 1e-5), atol=1e-8)


def test_results_are_those_of_the_evaluator(atoms):
    direct = Toy().evaluate(Batch.from_ase(atoms), Toy().properties)
    assert atoms.get_potential_energy() == direct.energy[0]
    assert atoms.get_potential_energy(force_consistent=True) == direct.energy[0]
    np.testing.assert_array_equal(atoms.get_dipole_moment(), direct.dipole[0])
    np.testing.assert_array_equal(atoms.calc.results["polarizability"], direct.polarizability[0])


def test_born_charges_are_evaluated_only_when_asked_for(atoms):
    atoms.get_potential_energy()
    assert "born_charges" not in atoms.calc.evaluator.wants[-1]
    charges = atoms.calc.get_property("born_effective_charges", atoms)
    assert charges.shape == (6, 3, 3)
    step = 1e-4
    dipoles = []
    for sign in (1, -1):
        moved = atoms.copy()
        moved.positions[3, 1] += sign * step
        moved.calc = Calculator(Toy())
        dipoles.append(moved.get_dipole_moment())
    np.testing.assert_allclose(charges[3, 1], (dipoles[0] - dipoles[1]) / (2 * step), atol=1e-9)


def test_one_evaluation_serves_all_properties(atoms):
    atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress(), atoms.get_dipole_moment()
    assert len(atoms.calc.evaluator.wants) == 1
    atoms.positions[0, 0] += 0.1
    atoms.get_forces()
    assert len(atoms.calc.evaluator.wants) == 2


def test_another_total_charge_is_evaluated_anew(atoms):
    evaluator = atoms.calc.evaluator
    for count, charge in ((1, None), (2, 1.0), (2, 1.0), (3, -1.0), (4, None)):
        atoms.info = {} if charge is None else {"charge": charge}
        atoms.get_potential_energy()
        assert len(evaluator.wants) == count


def test_properties_follow_the_evaluator(atoms):
    calculator = Calculator(Toy(("energy", "forces")))
    assert calculator.implemented_properties == ["energy", "free_energy", "forces"]
    assert "stress" in Calculator(Toy()).implemented_properties
    with pytest.raises(PropertyNotImplementedError):
        calculator.get_property("dipole", atoms)


def test_a_molecule_has_no_stress():
    molecule = Atoms("OHH", positions=water().positions[:3], calculator=Calculator(Toy()))
    assert np.isfinite(molecule.get_potential_energy())
    with pytest.raises(PropertyNotImplementedError):
        molecule.get_stress()


def test_errors_of_the_evaluator_reach_the_user(atoms):
    atoms.positions[1] = atoms.positions[0] + 0.05
    with pytest.raises(StructureError, match="atoms 0 and 1"):
        atoms.get_potential_energy()
