"""A density turns with its molecule, whatever the weights, and has the electrons that it must have."""

import numpy as np
import pytest
from beadwise.errors import BeadwiseError
from beadwise.model import Batch
from beadwise.model.electron_density.basis import Functions
from beadwise.model.electron_density.grids import density_on
from beadwise.pyx.coupling import real_harmonics
from density_models import AT_MINIMUM, WATER, isolated, random_model, shaken, small_basis, whole_basis
from scipy.spatial.transform import Rotation


def turned_functions(basis, numbers, matrix):
    """How coefficients turn, block-diagonal, from harmonics in as many directions as needed."""
    functions = Functions(basis, numbers)
    found = np.zeros((functions.count,) * 2)
    directions = Rotation.random(40, random_state=3).apply([0, 0, 1.0])
    for number in basis.numbers:
        for order in set(basis.momenta(number)):
            before, after = (real_harmonics(own, order)[:, order**2 :] for own in (directions, directions @ matrix.T))
            own = np.linalg.lstsq(before, after, rcond=None)[0].T
            for place in functions.places(number, order).reshape(-1, 2 * order + 1):
                found[np.ix_(place, place)] = own
    return found


@pytest.mark.parametrize("is_improper", [False, True])
@pytest.mark.parametrize("metric", ["coulomb", "overlap"])
def test_coefficients_turn_with_the_molecule(metric, is_improper):
    """Up to l = 4, with the constraint, and with all that is made of them."""
    model, positions = random_model(whole_basis(), metric), shaken(2, seed=4)
    turn = Rotation.random(random_state=5).as_matrix() * (-1 if is_improper else 1)
    before, after = (model.constrained(isolated(WATER, own)) for own in (positions, positions @ turn.T + [1, 2, 3]))
    functions = turned_functions(model.basis, WATER, turn)
    expected = before.coefficients @ functions.T
    assert np.abs(after.coefficients - expected).max() < 1e-10 * np.abs(expected).max()
    np.testing.assert_allclose(after.dipoles, before.dipoles @ turn.T, atol=1e-10 * np.abs(before.dipoles).max())
    np.testing.assert_allclose(after.hartree_energies, before.hartree_energies, rtol=1e-11)


def test_charge_is_exact():
    """10 electrons to 1e-10, also where weights are random and the fitted ones are far off."""
    model = random_model()
    own = model.constrained(isolated(WATER, shaken(5)))
    assert np.abs(own.shifts).min() > 0.1
    assert np.abs(own.charges).max() < 1e-10
    ion = model.constrained(isolated(np.array([8, 1]), AT_MINIMUM[:2]))
    assert np.abs(ion.charges).max() < 1e-10  # neutral OH
    anion = Batch(np.array([8, 1]), AT_MINIMUM[None, :2], np.zeros((1, 3, 3)), np.zeros(3, dtype=bool), charge=-1.0)
    np.testing.assert_allclose(model.constrained(anion).charges, -1, atol=1e-10)
    charged = random_model()
    object.__setattr__(charged, "charge", -1.0)
    np.testing.assert_allclose(charged.constrained(isolated(np.array([8, 1]), AT_MINIMUM[:2])).charges, -1, atol=1e-10)


def test_the_constraint_is_the_nearest_density():
    """Any other change with the same charge is larger in the metric."""
    model = random_model(small_basis())
    batch = isolated(WATER, shaken(1))
    own = model.constrained(batch)
    change = own.coefficients[0] - model.fitted(batch)[0]
    metric, charges = own.metrics[0], own.functions.charges
    generator = np.random.default_rng(0)
    for _ in range(20):
        other = generator.normal(size=len(change))
        other -= charges * (charges @ other) / (charges @ charges)  # no charge
        assert (change + 0.1 * other) @ metric @ (change + 0.1 * other) > change @ metric @ change
        assert abs(change @ metric @ other) < 1e-9 * np.abs(change).max()


def test_atoms_in_another_order_and_beads_alone():
    model, positions = random_model(), shaken(3)
    own = model.constrained(isolated(WATER, positions))
    order = np.array([2, 0, 1])
    other = model.constrained(isolated(WATER[order], positions[:, order]))
    for number in model.basis.numbers:
        for momentum in set(model.basis.momenta(number)):
            first = own.coefficients[:, own.functions.places(number, momentum)]
            second = other.coefficients[:, other.functions.places(number, momentum)]
            first = first[:, ::-1] if number == 1 else first  # the two H atoms change places
            np.testing.assert_allclose(second, first, atol=1e-9)
    alone = np.concatenate([model.constrained(isolated(WATER, one)).coefficients for one in positions])
    np.testing.assert_allclose(alone, own.coefficients, atol=1e-11)


def test_no_bead_at_all():
    model = random_model(small_basis())
    answer = model.evaluate(isolated(WATER, np.zeros((0, 3, 3))), model.properties)
    assert answer.dipole.shape == (0, 3) and answer.electron_density.shape == (0, 18)
    assert answer.hartree_energy.shape == answer.density_charge.shape == answer.density_shift.shape == (0,)


def test_density_on_points_turns_too():
    model, turn = random_model(small_basis()), Rotation.random(random_state=1).as_matrix()
    points = np.random.default_rng(2).normal(size=(50, 3))
    values = []
    for matrix in (np.eye(3), -turn):
        own = model.constrained(isolated(WATER, AT_MINIMUM @ matrix.T))
        values.append(density_on(model.basis, WATER, AT_MINIMUM @ matrix.T, own.coefficients[0], points @ matrix.T))
    np.testing.assert_allclose(values[1], values[0], atol=1e-11 * np.abs(values[0]).max())


def test_structures_that_are_refused():
    model = random_model(small_basis())
    with pytest.raises(BeadwiseError, match="species C has no functions in this density; allowed are H, O"):
        model.constrained(isolated(np.array([6, 1]), AT_MINIMUM[:2]))
    with pytest.raises(BeadwiseError, match=r"an image is .* Å away; densities are of molecules"):
        model.constrained(Batch(WATER, AT_MINIMUM[None], 5 * np.eye(3)[None], np.ones(3, dtype=bool)))
    box = model.constrained(Batch(WATER, AT_MINIMUM[None], 25 * np.eye(3)[None], np.ones(3, dtype=bool)))
    free = model.constrained(isolated(WATER, AT_MINIMUM))
    np.testing.assert_array_equal(box.coefficients, free.coefficients)
    object.__setattr__(model, "charge", 10.0)
    with pytest.raises(BeadwiseError, match="has none left"):
        model.constrained(isolated(WATER, AT_MINIMUM))
