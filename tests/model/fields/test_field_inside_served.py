"""``field-inside:MODEL``: a model's local polarizabilities in each other's field, through the doors of all models."""

from dataclasses import replace

import numpy as np
import pytest
from beadwise.driver.doors.molecular_order import unit_of
from beadwise.model import Batch, PropertyError, StructureError, save
from beadwise.model.electric_field import VOLUME_OF_RESPONSE
from beadwise.model.errors import EvaluatorError
from beadwise.model.evaluators import files_of, in_field, load_evaluator, parts_of
from beadwise.model.field_inside import DipoleInteraction, FieldInside, undressed
from models import random_model
from toy import water

WANT = ("energy", "forces", "dipole", "polarizability", "molecular_polarizability", "molecular_position")
ATOMS = water()


@pytest.fixture
def model(tmp_path):
    model = random_model(1, numbers=(1, 8), metadata={"repeating_unit": "OHH"})
    heads = dict(model.heads)
    own = heads["polarizability_isotropic"]
    heads["polarizability_isotropic"] = replace(own, offset=np.array([0.3, 1.0]))
    save(replace(model, heads=heads), tmp_path / "local.safetensors")
    return tmp_path / "local.safetensors"


def test_the_order_of_atoms_is_checked_as_for_the_model(model):
    assert unit_of(load_evaluator(f"field-inside:{model}")) == unit_of(load_evaluator(str(model))) == (8, 1, 1)


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("damping", ["", "damping=1.5,"])
def test_polarizability_is_that_of_molecules_which_see_each_other(model, periodic, damping):
    name = f"field-inside:{damping}{model}"
    plain, dressed = load_evaluator(str(model)), load_evaluator(name)
    atoms = ATOMS.copy()
    atoms.pbc = periodic
    batch = Batch.from_ase([atoms, atoms])
    batch.positions[1] += 0.02 * np.random.default_rng(0).normal(size=batch.positions[1].shape)
    before, after = (one.evaluate(batch, WANT) for one in (plain, dressed))
    for own in set(WANT) - {"polarizability"}:
        np.testing.assert_array_equal(after[own], before[own])
    for bead in range(2):
        interaction = DipoleInteraction(
            before.molecular_position[bead], batch.cells[bead], periodic, 1.5 if damping else 0.0, 1e-12
        )
        inside = FieldInside(interaction, before.molecular_polarizability[bead])
        np.testing.assert_allclose(after.polarizability[bead], inside.polarizability, rtol=2e-5, atol=2e-5)
        local = undressed(interaction, inside.parts)
        np.testing.assert_allclose(local, before.molecular_polarizability[bead], atol=1e-10)
    assert np.abs(after.polarizability - before.polarizability).max() > 1e-3
    assert parts_of(name) == [str(model)] and str(files_of(name)[0]) == str(model)


def test_in_a_field_to_first_order(model):
    dressed, batch = load_evaluator(f"field-inside:{model}"), Batch.from_ase(ATOMS)
    field = (0.1, 0.0, -0.2)
    driven = dressed.in_field(field).evaluate(batch, ("energy", "polarizability"))
    bare = dressed.evaluate(batch, ("energy", "dipole", "polarizability"))
    np.testing.assert_allclose(driven.energy, bare.energy - bare.dipole @ field, atol=1e-12)
    np.testing.assert_array_equal(driven.polarizability, bare.polarizability)


def answer(evaluator, atoms, name):
    return evaluator.evaluate(Batch.from_ase(atoms), (name,))[name][0]


def differences(evaluator, name, atom, axis, size=2e-3):
    """∂/∂r by differences of fourth order."""

    def moved(step):
        trial = ATOMS.copy()
        trial.positions[atom, axis] += step
        return answer(evaluator, trial, name)

    near, far = (moved(step) - moved(-step) for step in (size, 2 * size))
    return (8 * near - far) / (12 * size)


@pytest.mark.parametrize("damping", ["", "damping=1.5,"])
def test_derivatives_of_the_polarizability(model, damping):
    """Through local values, which change with all atoms, and centres of mass, which move with theirs."""
    dressed = load_evaluator(f"field-inside:{damping}{model}")
    found = answer(dressed, ATOMS, "polarizability_derivatives")
    assert np.abs(found).max() > 0.1
    for atom, axis in ((0, 0), (4, 1), (5, 2)):
        np.testing.assert_allclose(found[atom, axis], differences(dressed, "polarizability", atom, axis), atol=2e-6)
    np.testing.assert_allclose(found.sum(axis=0), 0.0, atol=1e-8)
    two = Batch.from_ase([ATOMS, ATOMS])
    two.positions[1] += 0.02 * np.random.default_rng(0).normal(size=two.positions[1].shape)
    both = dressed.evaluate(two, ("polarizability", "polarizability_derivatives"))
    np.testing.assert_allclose(both.polarizability_derivatives[0], found, atol=1e-9)
    assert np.abs(both.polarizability_derivatives[1] - found).max() > 1e-3


def test_in_a_field_to_second_order(model):
    """U − E·μ − ½ E·α·E, and everything that follows from it, by differences."""
    field = np.array([0.31, -0.17, 0.52])
    dressed = load_evaluator(f"field-inside:damping=1.5,{model}")
    driven = in_field(dressed, field, "model", 2)
    want = ("energy", "forces", "virial", "dipole", "polarizability", "born_charges", "polarizability_derivatives")
    batch = Batch.from_ase(ATOMS)
    bare, found = dressed.evaluate(batch, want), driven.evaluate(batch, want)
    induced = bare.polarizability[0] @ field / VOLUME_OF_RESPONSE
    np.testing.assert_allclose(found.energy, bare.energy - bare.dipole @ field - induced @ field / 2, atol=1e-9)
    np.testing.assert_allclose(found.dipole[0], bare.dipole[0] + induced, atol=1e-9)
    for name in want:
        np.testing.assert_allclose(driven.evaluate(batch, (name,))[name], found[name], atol=1e-9)
    for atom, axis in ((0, 1), (5, 2)):
        assert found.forces[0, atom, axis] == pytest.approx(-differences(driven, "energy", atom, axis), abs=2e-6)
        np.testing.assert_allclose(
            found.born_charges[0, atom, axis], differences(driven, "dipole", atom, axis), atol=2e-6
        )

    def strained(step, a=0, b=1):
        strain, trial = np.eye(3), ATOMS.copy()
        strain[a, b] += step
        trial.set_cell(ATOMS.cell.array @ strain.T)
        trial.positions = ATOMS.positions @ strain.T
        return answer(driven, trial, "energy")

    near, far = (strained(step) - strained(-step) for step in (5e-4, 1e-3))
    assert found.virial[0, 0, 1] == pytest.approx(-(8 * near - far) / (12 * 5e-4), abs=2e-5)


def test_what_is_refused(model, tmp_path):
    dressed = load_evaluator(f"field-inside:{model}")
    assert "polarizability" in dressed.properties and "polarizability_members" not in dressed.properties
    with pytest.raises(PropertyError, match="this model with a field inside has"):
        dressed.evaluate(Batch.from_ase(ATOMS), ("polarizability_members",))
    slab = ATOMS.copy()
    slab.pbc = (True, True, False)
    with pytest.raises(StructureError, match="needs all three, or none"):
        dressed.evaluate(Batch.from_ase(slab), ("polarizability",))
    save(random_model(1), tmp_path / "atoms.safetensors")
    with pytest.raises(EvaluatorError, match="needs molecular_polarizability"):
        load_evaluator(f"field-inside:{tmp_path / 'atoms.safetensors'}")
    for setting, message in (("damping=x,", "a length in Å is needed"), ("damping=-1,", "allowed are finite lengths")):
        with pytest.raises(EvaluatorError, match=message):
            load_evaluator(f"field-inside:{setting}{model}")


def test_a_model_of_local_values_is_served_in_that_field_alone(model, tmp_path):
    """Its sum would be a wrong polarizability in silence."""
    plain = load_evaluator(str(model))
    local = replace(plain, metadata={**plain.metadata, "field_inside": {"damping": 1.5}})
    save(local, tmp_path / "marked.safetensors")
    marked = load_evaluator(str(tmp_path / "marked.safetensors"))
    assert {name for name in plain.properties if name not in marked.properties} == {
        "polarizability",
        "polarizability_derivatives",
    }
    batch = Batch.from_ase(ATOMS)
    with pytest.raises(PropertyError, match="property 'polarizability' is not available"):
        marked.evaluate(batch, ("polarizability",))
    found = load_evaluator(f"field-inside:{tmp_path / 'marked.safetensors'}")
    given = load_evaluator(f"field-inside:damping=1.5,{model}")
    np.testing.assert_array_equal(
        found.evaluate(batch, ("polarizability",)).polarizability,
        given.evaluate(batch, ("polarizability",)).polarizability,
    )
    with pytest.raises(EvaluatorError, match="damping=1 Å, but the model was fitted with"):
        load_evaluator(f"field-inside:damping=1,{tmp_path / 'marked.safetensors'}")
    for record, message in (
        ({"damping": "much"}, "a length in Å is needed"),
        ({"dampng": 1.5}, "allowed is a table such as"),
        (1.5, "field_inside in the metadata is 1.5; allowed is a table such as"),
    ):
        save(replace(plain, metadata={**plain.metadata, "field_inside": record}), tmp_path / "wrong.safetensors")
        with pytest.raises(EvaluatorError, match=message):
            load_evaluator(f"field-inside:{tmp_path / 'wrong.safetensors'}")


def test_screened_values_are_not_dressed_once_more(model, tmp_path):
    """Without a map of the cell only the metadata can say that polarizabilities are local."""
    plain = replace(load_evaluator(str(model)), local_field=False)
    save(plain, tmp_path / "screened.safetensors")
    with pytest.raises(EvaluatorError, match="have no field_inside"):
        load_evaluator(f"field-inside:{tmp_path / 'screened.safetensors'}")
    save(replace(plain, metadata={**plain.metadata, "field_inside": {}}), tmp_path / "local.safetensors")
    assert load_evaluator(f"field-inside:{tmp_path / 'local.safetensors'}").damping == 0
