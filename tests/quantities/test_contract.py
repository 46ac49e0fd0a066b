"""What every quantity promises, whether it is built in or not: one test for all that are registered."""

import json

import numpy as np
import pytest
from beadwise.driver.doors.extras import encode_extras
from beadwise.learning.data import labels
from beadwise.model import Batch, load, save
from beadwise.model.members import Members, single_member
from beadwise.properties import quantities as registry
from beadwise.properties.forms import PSEUDOVECTOR, SYMMETRIC_TENSOR, TENSOR, cartesian_vector, harmonics, values
from beadwise.properties.quantities import BUILT_IN, QuantityError, properties, quantities, register, registered
from beadwise.pyx.coupling import real_harmonics
from beadwise.pyx.tensor_head import feature_sizes, head_from_features
from beadwise.quantity import Form, HeadSettings, Irrep, Quantity, Unit
from beadwise.runs.units import from_atomic, to_atomic
from models import random_curves, random_model, random_structure
from own_quantities import LEVELS, QUADRUPOLE
from scipy.spatial.transform import Rotation

FURTHER = (
    QUADRUPOLE,
    LEVELS,
    Quantity("hyperfine_tensor", TENSOR, Unit(energy=1), per="atom"),
    Quantity("magnetic_moment", PSEUDOVECTOR, Unit(charge=1, length=1)),
    Quantity("hexadecapole", harmonics(4), Unit(charge=1, length=4), per="molecule"),
    Quantity("quadrupole", SYMMETRIC_TENSOR, Unit(charge=1, length=2), is_molecular=True),
    Quantity("level_curvature", harmonics(2, parity=-1), Unit(energy=1, length=-2)),
)
EVERY = (*BUILT_IN, *registry.FURTHER, *FURTHER)
MEMBERS = 3
UNIT = {"repeating_unit": "OHH"}
ATOMS = [random_structure(0), random_structure(1)]
IMPROPER = {
    "rotation": Rotation.from_rotvec([0.4, -1.1, 0.7]).as_matrix(),
    "inversion": -np.eye(3),
    "mirror": np.diag([1.0, 1.0, -1.0]),
    "turned mirror": Rotation.from_rotvec([1.0, 0.2, -0.5]).as_matrix() @ np.diag([-1.0, 1.0, 1.0]),
}


@pytest.fixture(autouse=True)
def known():
    with registered(*FURTHER):
        yield


def model_of(quantity: Quantity, local_field: bool = True):
    """A model with the energy and one quantity, and members that differ in both."""
    names = [head.name for own in {quantity.name, "energy"} for head in quantities()[own].heads]
    model = random_model(heads=names, l_max=4, metadata=UNIT)
    rng = np.random.default_rng(4)

    def deviation(head):
        size = model.shape.species * sum(feature_sizes(head.order, head.shape, head.parity))
        return head_from_features(head.order, head.shape, rng.normal(0, 0.002, size), head.parity)

    model.members = Members(
        {name: tuple(deviation(head) for _ in range(MEMBERS)) for name, head in model.heads.items()}
    )
    model.local_field = local_field
    return model


def batch_of(atoms) -> Batch:
    return Batch.from_ase(atoms)


def answer(model, atoms, *want):
    return model.evaluate(batch_of(atoms), want)


def turned(atoms, matrix):
    """Structures whose positions and cells a matrix has turned."""
    copies = [one.copy() for one in atoms]
    for one in copies:
        one.set_cell(one.cell @ matrix.T)
        one.positions = one.positions @ matrix.T
    return copies


def turned_values(form: Form, values: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Values of a form after a matrix has turned everything, from how real harmonics turn."""
    points = np.random.default_rng(5).normal(size=(60, 3))
    points /= np.linalg.norm(points, axis=1)[:, None]
    components, first = form.components(values).copy(), 0
    for irrep in form.irreps:
        place = slice(irrep.order**2, (irrep.order + 1) ** 2)
        before = real_harmonics(points, irrep.order)[:, place]
        after = real_harmonics(points @ matrix.T, irrep.order)[:, place]
        turn = np.linalg.lstsq(before, after, rcond=None)[0]
        sign = np.linalg.det(matrix) if irrep.parity < 0 else 1.0
        for _ in range(irrep.count):
            own = slice(first, first + 2 * irrep.order + 1)
            components[..., own] = sign * components[..., own] @ turn
            first = own.stop
    return form.cartesian(components)


def close(received, expected, tolerance=1e-10):
    np.testing.assert_allclose(received, expected, rtol=0, atol=tolerance * max(np.abs(expected).max(), 1e-3))


@pytest.mark.parametrize("quantity", EVERY, ids=lambda own: own.name)
@pytest.mark.parametrize("turn", IMPROPER)
def test_turns_as_it_says(quantity, turn):
    model, matrix = model_of(quantity), IMPROPER[turn]
    before, after = answer(model, ATOMS, quantity.name), answer(model, turned(ATOMS, matrix), quantity.name)
    assert np.abs(before[quantity.name]).max() > 1e-6
    close(
        after[quantity.name], turned_values(model.layout.quantities[quantity.name].form, before[quantity.name], matrix)
    )


@pytest.mark.parametrize("turn", IMPROPER)
def test_antisymmetric_part_of_a_tensor(turn):
    model, matrix = model_of(quantities()["shielding"]), IMPROPER[turn]
    before, after = (
        answer(model, ATOMS, "shielding").shielding,
        answer(model, turned(ATOMS, matrix), "shielding").shielding,
    )
    antisymmetric = before - before.swapaxes(-1, -2)
    assert np.abs(antisymmetric).max() > 1e-5
    close(after - after.swapaxes(-1, -2), matrix @ antisymmetric @ matrix.T)


@pytest.mark.parametrize("quantity", EVERY, ids=lambda own: own.name)
def test_permutation_translation_and_images(quantity):
    model = model_of(quantity)
    expected = answer(model, ATOMS, quantity.name)[quantity.name]
    shifted = [one.copy() for one in ATOMS]
    for one in shifted:
        one.positions += [0.3, -1.7, 2.2]
        one.positions[::2] += one.cell.array[0]
    close(answer(model, shifted, quantity.name)[quantity.name], expected)
    order = [*range(3, len(ATOMS[0])), 0, 1, 2]  # molecule by molecule
    received = answer(model, [one[order] for one in ATOMS], quantity.name)[quantity.name]
    if quantity.per != "cell":
        expected = np.roll(expected, -3 if quantity.per == "atom" else -1, axis=1)
    close(received, expected)


@pytest.mark.parametrize("quantity", [own for own in EVERY if own.derivative], ids=lambda own: own.name)
@pytest.mark.parametrize("local_field", [True, False])
def test_derivative_by_finite_differences(quantity, local_field):
    model, step = model_of(quantity, local_field), 1e-5
    derivative = answer(model, ATOMS[:1], quantity.derivative)[quantity.derivative][0]
    sign = -1 if quantity.name == "energy" else 1
    for atom, axis in [(0, 0), (4, 2)]:
        sides = []
        for direction in (1, -1):
            moved = ATOMS[0].copy()
            moved.positions[atom, axis] += direction * step
            sides.append(answer(model, [moved], quantity.name)[quantity.name][0])
        expected = sign * (sides[0] - sides[1]) / (2 * step)
        np.testing.assert_allclose(
            derivative[atom, axis], expected, rtol=1e-6, atol=1e-8 * np.abs(derivative).max() + 1e-10
        )


@pytest.mark.parametrize("quantity", EVERY, ids=lambda own: own.name)
def test_parts_add_up(quantity):
    model, batch = model_of(quantity), batch_of(ATOMS)
    want = [name for name in model.properties if name != "envelope_distance"]
    whole = model.evaluate(batch, want)
    parts = [model.evaluate_part(batch, want, part, 3) for part in range(3)]
    together = model.assemble(batch, want, [sum(arrays) for arrays in zip(*parts, strict=True)])
    for name in want:
        close(together[name], whole[name], 1e-12)


@pytest.mark.parametrize("quantity", EVERY, ids=lambda own: own.name)
def test_members_are_models_of_their_own(quantity):
    model = model_of(quantity)
    response = answer(model, ATOMS, f"committee_{quantity.name}", f"{quantity.name}_uncertainty")
    own = np.stack(
        [answer(single_member(model, k), ATOMS, quantity.name)[quantity.name] for k in range(MEMBERS)], axis=1
    )
    close(response[f"committee_{quantity.name}"], own)
    spread = response[f"{quantity.name}_uncertainty"]
    assert (spread > 0).all() and spread.shape == own.std(axis=1).shape[: spread.ndim]


@pytest.mark.parametrize("quantity", EVERY, ids=lambda own: own.name)
def test_there_and_back(quantity, tmp_path):
    """Files keep every bit; extras come back in beadwise's units; molecules add up."""
    model = model_of(quantity)
    save(model, tmp_path / "model.safetensors")
    again = load(tmp_path / "model.safetensors")
    want = [name for name in model.properties if properties()[name].kind not in ("alarm", "position")]
    response = answer(model, ATOMS, *want)
    for name, array in ((name, answer(again, ATOMS, *want)[name]) for name in want):
        np.testing.assert_array_equal(array, response[name])
        np.testing.assert_allclose(from_atomic(name, to_atomic(name, array)), array, rtol=1e-15)
    for bead, text in enumerate(encode_extras(response, want)):
        told = json.loads(text)
        assert set(told) == {properties()[name].key for name in want} - {""}
        for name in want:
            if properties()[name].key:
                read = np.array(told[properties()[name].key]).reshape(response[name][bead].shape)
                np.testing.assert_allclose(from_atomic(name, read), response[name][bead], rtol=1e-15)
    if quantity.is_molecular:
        additive = model_of(quantity, local_field=False)
        parts = answer(additive, ATOMS, quantity.name, f"molecular_{quantity.name}")
        close(parts[f"molecular_{quantity.name}"].sum(axis=1), parts[quantity.name])


@pytest.mark.parametrize("quantity", EVERY, ids=lambda own: own.name)
def test_components_and_cartesian_form_are_inverse(quantity):
    components = np.random.default_rng(1).normal(size=(4, quantity.components))
    form = random_curves(2).form if quantity.form.is_open else quantity.form
    cartesian = form.cartesian(components)
    assert cartesian.shape == (4, *form.shape)
    np.testing.assert_allclose(form.components(cartesian), components, rtol=1e-12)
    if quantity.name != "energy":
        np.testing.assert_allclose((cartesian**2).sum(), (components**2).sum(), rtol=1e-12)  # orthonormal
    assert form.independent_values(cartesian).shape == (4, len(form.axes))
    assert quantity.form.independent_values(cartesian).shape == (4, len(form.axes))
    assert labels()[quantity.label].quantity is quantity


TAKEN = [
    (Quantity("dipole", values(2), Unit()), "'dipole' of the quantity 'dipole' is the name of something else"),
    (Quantity("forces", values(2), Unit()), "'forces' of the quantity 'forces' is the name"),
    (Quantity("names", values(2), Unit()), "'names' of the quantity 'names' is the name"),
    (Quantity("molecular_dipole", values(2), Unit()), "'molecular_dipole' of .* is the name"),
    (Quantity("own", values(2), Unit(), extras="BEC"), "'BEC' of the quantity 'own' is the key of extras"),
    (Quantity("own", values(2), Unit(), extras="same", member_extras="same"), "'same' of .* is the key of extras"),
    (Quantity("own", values(2), Unit(), extras="raw"), "'raw' of .* is the key of extras"),
    (Quantity("own", values(2), Unit(), label="stress"), "'stress' of .* is the label"),
    (Quantity("own", values(2), Unit(), label="positions"), "'positions' of .* is the label"),
    (Quantity("own", values(2), Unit(), ase="free_energy"), "'free_energy' of .* is the name in ASE"),
    (Quantity("polarizability_isotropic", values(1), Unit()), "'polarizability_isotropic' of .* is the head"),
    (Quantity("density", values(2), Unit()), "'density' is a section of a fit"),
    ("dipole", "'dipole' is no quantity"),
]


@pytest.mark.parametrize(("wrong", "said"), TAKEN, ids=lambda one: getattr(one, "name", None))
def test_names_that_are_taken(wrong, said):
    before = dict(quantities())
    with pytest.raises(QuantityError, match=said):
        register(wrong)
    assert dict(quantities()) == before


def test_what_is_no_quantity_is_refused():
    for arguments, said in [
        (("Own", values(2), Unit()), "lower case"),
        (("own", values(2), Unit(), "pair"), "allowed are cell, atom, molecule"),
        (("own", Form((Irrep(1),), (2,), np.asarray, np.asarray), Unit()), "of 3 components"),
        (("own", Form((Irrep(1),), (3,), cartesian_vector, np.asarray), Unit()), "must be the inverse"),
        (("own", Form((Irrep(1), Irrep(1)), (6,), np.asarray, np.asarray), Unit()), "each needs a name of its own"),
    ]:
        with pytest.raises(ValueError, match=said):
            Quantity(*arguments)
    with pytest.raises(ValueError, match="made from HeadSettings"):
        Quantity("own", values(2), Unit(), settings=HeadSettings)
    for order, parity, count in [(7, 1, 1), (1, 2, 1), (1, 1, 0), (0, -1, 1)]:
        with pytest.raises(ValueError, match="λ"):
            Irrep(order, parity, count)
    with pytest.raises(ValueError, match="2 labels of axes for a form of 3"):
        Form((Irrep(1),), (3,), np.asarray, np.asarray, ("x", "y"))
    assert Form((Irrep(1),), (3,), np.asarray, np.asarray).axes == ("0", "1", "2")
