"""A field to second order: U − E·μ − ½ E·α·E and all its derivatives, by finite differences."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from ase import units
from beadwise.driver.commands.group import main
from beadwise.model import Batch, PropertyError
from beadwise.model import model as model_module
from beadwise.model.errors import EvaluatorError
from beadwise.model.evaluators import in_field
from beadwise.model.qtip4pf import QTip4pF
from click.testing import CliRunner
from models import random_model, random_structure
from scipy.spatial.transform import Rotation
from test_qtip4pf import derivative

FIELD = np.array([0.31, -0.17, 0.52])  # V/Å
TO_RESPONSE = units.Hartree * units.Bohr
WANT = ("energy", "forces", "virial", "dipole", "polarizability", "born_charges", "polarizability_derivatives")


def made(local_field):
    model = random_model(1, l_max=3)
    return replace(model, local_field=local_field)


@pytest.fixture(params=[True, False], ids=["Clausius-Mossotti", "sums"])
def model(request):
    return made(request.param)


ATOMS = random_structure(1)


def answer(model, atoms=ATOMS, want=WANT):
    response = model.evaluate(Batch.from_ase(atoms), want)
    return {name: response[name][0] for name in response.names}


def test_against_what_it_is_made_of(model):
    bare, found = answer(model), answer(model.in_field(FIELD, 2))
    alpha, slopes = bare["polarizability"] / TO_RESPONSE, bare["polarizability_derivatives"] / TO_RESPONSE
    assert abs(FIELD @ alpha @ FIELD) > 1e-3
    expected = {
        "energy": bare["energy"] - bare["dipole"] @ FIELD - FIELD @ alpha @ FIELD / 2,
        "dipole": bare["dipole"] + alpha @ FIELD,
        "forces": bare["forces"] + bare["born_charges"] @ FIELD + (slopes @ FIELD) @ FIELD / 2,
        "born_charges": bare["born_charges"] + slopes @ FIELD,
        "polarizability": bare["polarizability"],
        "polarizability_derivatives": bare["polarizability_derivatives"],
    }
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=1e-10)
        np.testing.assert_allclose(answer(model.in_field(FIELD, 2), want=(name,))[name], value, atol=1e-10)


def test_dipole_and_polarizability_are_derivatives_by_the_field(model):
    def energy(step, axis):
        return answer(model.in_field(FIELD + step * np.eye(3)[axis], 2), want=("energy",))["energy"]

    def dipole(step, axis):
        return answer(model.in_field(FIELD + step * np.eye(3)[axis], 2), want=("dipole",))["dipole"]

    found = answer(model.in_field(FIELD, 2))
    for axis in range(3):
        assert found["dipole"][axis] == pytest.approx(-derivative(lambda h, a=axis: energy(h, a), 1e-3), rel=1e-7)
        slope = derivative(lambda h, a=axis: dipole(h, a), 1e-3) * TO_RESPONSE
        np.testing.assert_allclose(found["polarizability"][axis], slope, rtol=1e-7, atol=1e-7)


def test_forces_are_derivatives(model):
    driven = model.in_field(FIELD, 2)
    found = answer(driven)
    for atom, axis in ((0, 0), (1, 1), (4, 2)):

        def moved(step, name, atom=atom, axis=axis):
            trial = ATOMS.copy()
            trial.positions[atom, axis] += step
            return answer(driven, trial, (name,))[name]

        slope = -derivative(lambda h: moved(h, "energy"), 2e-4)
        assert found["forces"][atom, axis] == pytest.approx(slope, abs=1e-6 * np.abs(found["forces"]).max())
        slope = derivative(lambda h: moved(h, "dipole"), 2e-4)
        np.testing.assert_allclose(found["born_charges"][atom, axis], slope, atol=1e-6)


def test_the_virial_is_the_strain_derivative(model):
    driven = model.in_field(FIELD, 2)
    virial = answer(driven)["virial"]
    for i, j in np.ndindex(3, 3):

        def strained(step, i=i, j=j):
            trial, strain = ATOMS.copy(), np.eye(3)
            strain[i, j] += step
            trial.set_cell(ATOMS.cell.array @ strain.T)
            trial.positions = ATOMS.positions @ strain.T
            return answer(driven, trial, ("energy",))["energy"]

        assert virial[i, j] == pytest.approx(-derivative(strained, 5e-5), abs=1e-6 * np.abs(virial).max())


def test_parts_of_the_atoms_and_turning(model):
    driven = model.in_field(FIELD, 2)
    batch, whole = Batch.from_ase(ATOMS), answer(driven)
    sums = [
        np.sum(both, axis=0) for both in zip(*(driven.evaluate_part(batch, WANT, n, 2) for n in (0, 1)), strict=True)
    ]
    shared = driven.assemble(batch, WANT, sums)
    matrix = Rotation.random(random_state=5).as_matrix()
    turned = ATOMS.copy()
    turned.set_cell(ATOMS.cell.array @ matrix.T)
    turned.positions = ATOMS.positions @ matrix.T
    after = answer(model.in_field(matrix @ FIELD, 2), turned)
    for name in WANT:
        np.testing.assert_allclose(shared[name][0], whole[name], atol=1e-12 * max(1, np.abs(whole[name]).max()))
    np.testing.assert_allclose(after["energy"], whole["energy"], atol=1e-10)
    np.testing.assert_allclose(after["forces"], whole["forces"] @ matrix.T, atol=1e-10)
    np.testing.assert_allclose(after["dipole"], matrix @ whole["dipole"], atol=1e-10)


def test_no_field_is_none_and_first_order_is_what_it_was(model):
    for driven, same in ((model.in_field((0, 0, 0), 2), model), (model.in_field(FIELD), model.in_field(FIELD, 1))):
        for name, value in answer(driven).items():
            np.testing.assert_array_equal(value, answer(same)[name])


def test_what_is_refused(model):
    with pytest.raises(PropertyError, match="allowed are 1 and 2"):
        model.in_field(FIELD, 3)
    with pytest.raises(PropertyError, match="the model has no polarizability"):
        heads = {name: head for name, head in model.heads.items() if "polarizability" not in name}
        replace(model, heads=heads).in_field(FIELD, 2)
    with pytest.raises(EvaluatorError, match="to second order"):
        in_field(QTip4pF(), FIELD, "qtip4pf", 2)
    assert "molecular_dipole" not in model.in_field(FIELD, 2).properties
    result = CliRunner().invoke(main, ["serve", "water", "--unix", "x", "--field-order", "2"])
    assert result.exit_code == 2 and "--field-order 2 without --field" in result.output


def test_what_acts_on_atoms_is_evaluated_by_one_model_that_is_not_made_again(monkeypatch):
    """Nor does it warn beside the model itself, nor is it sent to other processes."""
    driven = made(True).in_field(FIELD, 2)
    made_so_far = []
    monkeypatch.setattr(model_module, "check_model", lambda one: made_so_far.append(one))
    found = [answer(driven, want=("forces",))["forces"] for _ in range(3)]
    assert len(made_so_far) == 1
    np.testing.assert_array_equal(found[2], found[0])
    assert driven.additive.kernel is driven.kernel and driven.additive._has_warned
    copy = pickle.loads(pickle.dumps(driven))
    assert "additive" not in vars(copy)
    np.testing.assert_allclose(answer(copy, want=("forces",))["forces"], found[0], atol=1e-12)
