"""``field-inside:MODEL``: a model's local polarizabilities in each other's field, through the doors of all models."""

from dataclasses import replace

import numpy as np
import pytest
from beadwise.driver.doors.molecular_order import unit_of
from beadwise.model import Batch, PropertyError, StructureError, save
from beadwise.model.errors import EvaluatorError
from beadwise.model.evaluators import files_of, load_evaluator, parts_of
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


def test_what_is_refused(model, tmp_path):
    dressed = load_evaluator(f"field-inside:{model}")
    assert "polarizability" in dressed.properties and "polarizability_derivatives" not in dressed.properties
    with pytest.raises(PropertyError, match="this model with a field inside has"):
        dressed.evaluate(Batch.from_ase(ATOMS), ("polarizability_derivatives",))
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
