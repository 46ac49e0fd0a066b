"""Heads of both parities and of λ up to 6: tensors, and pseudotensors, which a mirror turns against them."""

import itertools

import numpy as np
import pytest
import twin
from beadwise.pyx import tensor_head
from beadwise.pyx.coupling import coupling, gaunt_integrals, pairs, wigner_3j
from beadwise.pyx.kernel import Kernel
from beadwise.pyx.tensor_head import (
    DensityShape,
    TensorHead,
    feature_sizes,
    features,
    features_of_parts,
    head_from_features,
)
from scipy.spatial.transform import Rotation
from test_kernel import CUTOFF, Setup, structure, wigner

L_MAX = 6
HEADS = tuple((order, 1) for order in range(7)) + tuple((order, -1) for order in range(1, 7))
ROTATION = Rotation.random(random_state=3).as_matrix()
MIRROR = np.eye(3) - 2 * np.outer(ROTATION[0], ROTATION[0])
MOTIONS = {"rotation": ROTATION, "inversion": -np.eye(3), "mirror": MIRROR, "turned mirror": MIRROR @ ROTATION}
FROM_HARMONICS = np.eye(3)[[2, 0, 1]]  # x, y, z of m = 1, −1, 0


def triples(parity, largest=L_MAX):
    for order in range(largest + 1):
        yield from ((l1, l2, order) for l1, l2 in pairs(order, largest, parity))


@pytest.fixture(scope="module")
def setup():
    return Setup(radial=4, l_max=L_MAX, heads=HEADS)


def blocks(array):
    """The components of every head in turn, with λ and parity."""
    first = 0
    for order, parity in HEADS:
        yield order, parity, array[..., first : first + 2 * order + 1]
        first += 2 * order + 1


# --- couplings ---


@pytest.mark.parametrize("parity", [1, -1])
@pytest.mark.parametrize("motion", MOTIONS)
def test_couplings_rotate_as_a_tensor_or_a_pseudotensor(parity, motion):
    turn = [wigner(l, MOTIONS[motion]) for l in range(L_MAX + 1)]  # noqa: E741
    handed = np.linalg.det(MOTIONS[motion]) if parity == -1 else 1.0
    for l1, l2, order in triples(parity):
        own = coupling(l1, l2, order)
        turned = np.einsum("abc,xa,yb,zc->xyz", own, turn[l1], turn[l2], turn[order])
        np.testing.assert_allclose(turned, handed * own, atol=1e-11)


@pytest.mark.parametrize("parity", [1, -1])
def test_couplings_are_normalised_and_orthogonal(parity):
    for l1, l2, order in triples(parity):
        columns = coupling(l1, l2, order).reshape(-1, 2 * order + 1)
        np.testing.assert_allclose(columns.T @ columns, np.eye(2 * order + 1), atol=1e-13)


def test_odd_couplings_of_equal_momenta_are_antisymmetric_to_the_last_bit():
    for l1, l2, order in triples(-1):
        if l1 == l2:
            own = coupling(l1, l2, order)
            np.testing.assert_array_equal(own, -np.swapaxes(own, 0, 1))


def test_the_odd_coupling_of_vectors_is_the_vector_product():
    a, b = np.random.default_rng(0).normal(size=(2, 3))
    harmonics = [FROM_HARMONICS.T @ vector for vector in (a, b)]
    product = FROM_HARMONICS @ np.einsum("xyz,x,y->z", coupling(1, 1, 1), *harmonics)
    np.testing.assert_allclose(product, np.cross(a, b) / np.sqrt(2), rtol=1e-14)


def test_the_first_odd_coupling_that_is_not_zero_is_positive():
    for l1, l2, order in triples(-1):
        own = coupling(l1, l2, order)
        assert own[own != 0.0][0] > 0.0


def test_racahs_formula_gives_the_gaunt_integrals():
    """∫ Y_{l1 0} Y_{l2 0} Y_{λ 0} = (3j of zeros)² √((2 l1 + 1)(2 l2 + 1)(2 λ + 1)/4π) (DLMF 34.3.22)."""
    for l1, l2, order in triples(1):
        expected = wigner_3j(l1, l2, order, 0, 0) ** 2
        expected *= np.sqrt((2 * l1 + 1) * (2 * l2 + 1) * (2 * order + 1) / (4 * np.pi))
        np.testing.assert_allclose(gaunt_integrals(l1, l2, order)[l1, l2, order], expected, rtol=1e-11)


def test_racahs_formula_gives_orthogonal_symbols():
    """Σ_{m1 m2} (2 λ + 1) (3j)² = 1 for every M (DLMF 34.3.16), also of odd sums."""
    for l1, l2, order in triples(-1):
        for m in range(-order, order + 1):
            inside = [m1 for m1 in range(-l1, l1 + 1) if abs(m - m1) <= l2]
            total = sum(wigner_3j(l1, l2, order, m1, m - m1) ** 2 for m1 in inside)
            assert (2 * order + 1) * total == pytest.approx(1.0, abs=1e-13)


@pytest.mark.parametrize("order", range(7))
def test_pairs_of_both_parities_are_all_that_couple(order):
    all_pairs = [
        (l1, l2) for l1, l2 in itertools.combinations_with_replacement(range(7), 2) if l2 - l1 <= order <= l1 + l2
    ]
    assert sorted(pairs(order, 6) + pairs(order, 6, -1)) == all_pairs
    assert all((l1 + l2 + order) % 2 == 1 for l1, l2 in pairs(order, 6, -1))


def test_what_does_not_couple_is_refused():
    with pytest.raises(ValueError, match=r"\(1, 1, 3\) do not couple"):
        coupling(1, 1, 3)
    with pytest.raises(ValueError, match="parity of 0; allowed are 1 and -1"):
        pairs(1, 2, 0)


# --- the kernel ---


@pytest.mark.parametrize("name", ["skewed", "slab", "molecule"])
def test_heads_agree_with_their_twins(setup, name):
    species, positions, cell, periodic = structure(name)
    setup.evaluate(species, positions, cell, periodic)
    density = twin.density(species, positions, cell, periodic, setup.table, CUTOFF, L_MAX)
    for head, (order, _, values) in zip(setup.heads, blocks(setup.values[0]), strict=True):
        expected = twin.head_values(head, species, density)
        if head is setup.heads[0]:  # to which pairs add
            for i, j, vector in twin.neighbour_vectors(positions, cell, periodic, CUTOFF):
                table = setup.pair_table[species[i], species[j]]
                expected[i] += 0.5 * twin.hermite(table, CUTOFF, np.linalg.norm(vector))[0]
        scale = np.abs(expected).max()
        np.testing.assert_allclose(values, expected, rtol=1e-12, atol=1e-12 * scale, err_msg=f"λ = {order}")


@pytest.mark.parametrize("name", ["skewed", "slab", "molecule"])
@pytest.mark.parametrize("motion", MOTIONS)
def test_heads_are_equivariant(setup, name, motion):
    species, positions, cell, periodic = structure(name)
    before = setup.evaluate(species, positions, cell, periodic).values[0].copy()
    matrix = MOTIONS[motion]
    after = setup.evaluate(species, positions @ matrix.T, cell @ matrix.T, periodic).values[0]
    for (order, parity, own), (_, _, moved) in zip(blocks(before), blocks(after), strict=True):
        handed = np.linalg.det(matrix) if parity == -1 else 1.0
        expected = handed * own @ wigner(order, matrix).T
        np.testing.assert_allclose(moved, expected, atol=1e-10 * np.abs(own).max(), err_msg=f"λ = {order}, {parity}")


def test_gradients_agree_with_finite_differences(setup):
    species, positions, cell, periodic = structure("skewed")
    setup.evaluate(species, positions, cell, periodic)
    gradients, strains = setup.gradients[0].copy(), setup.strains[0].copy()
    rng, step = np.random.default_rng(0), 1e-5
    direction, strain = rng.normal(size=positions.shape), rng.normal(size=(3, 3))
    for displaced, strained in ((direction, np.zeros((3, 3))), (np.zeros_like(direction), strain)):
        totals = []
        for sign in (1, -1):
            matrix = (np.eye(3) + sign * step * strained).T
            moved = (positions + sign * step * displaced) @ matrix
            totals.append(setup.totals(species, moved, cell @ matrix, periodic))
        numerical = (totals[0] - totals[1]) / (2 * step)
        analytic = np.einsum("cax,ax->c", gradients, displaced) + np.einsum("cxy,xy->c", strains, strained)
        for (order, parity, own), (_, _, expected) in zip(blocks(analytic), blocks(numerical), strict=True):
            scale = np.abs(expected).max()
            np.testing.assert_allclose(own, expected, atol=1e-6 * scale, err_msg=f"λ = {order}, {parity}")


def test_atoms_may_stand_in_any_order(setup):
    species, positions, cell, periodic = structure("skewed")
    values = setup.evaluate(species, positions, cell, periodic).values[0].copy()
    order = np.random.default_rng(1).permutation(len(species))
    setup.evaluate(species[order], positions[order], cell, periodic)
    for (_, _, own), (_, _, expected) in zip(blocks(setup.values[0]), blocks(values[order]), strict=True):
        np.testing.assert_allclose(own, expected, atol=1e-10 * np.abs(expected).max())


def pseudovector(setup, positions):
    """The λ = 1 pseudotensor of a molecule in Cartesian components."""
    species = np.arange(len(positions), dtype=np.int32) % 2
    values = setup.evaluate(species, positions, np.zeros((3, 3)), (False, False, False)).values[0].sum(axis=0)
    return FROM_HARMONICS @ next(own for order, parity, own in blocks(values) if (order, parity) == (1, -1))


def antisymmetric(vector):
    """The antisymmetric 3×3 tensor whose product with another vector is the vector product."""
    return np.cross(vector, np.eye(3)).T


@pytest.mark.parametrize("motion", MOTIONS)
def test_the_antisymmetric_part_of_a_tensor_is_a_pseudovector(setup, motion):
    positions, matrix = structure("molecule")[1], MOTIONS[motion]
    before, after = (antisymmetric(pseudovector(setup, own)) for own in (positions, positions @ matrix.T))
    assert np.abs(before).max() > 0.1
    np.testing.assert_allclose(after, matrix @ before @ matrix.T, atol=1e-10 * np.abs(before).max())


def test_a_pseudovector_of_a_flat_molecule_is_normal_to_it(setup):
    positions = structure("molecule")[1] * [1, 1, 0] + np.arange(7)[:, None] * [0.8, 0.0, 0.0]
    found = pseudovector(setup, positions)
    assert abs(found[2]) > 1e-3
    np.testing.assert_allclose(found[:2], 0.0, atol=1e-10 * abs(found[2]))


# --- features ---

SHAPE = DensityShape(2, 3, L_MAX)


def random_solution(order, parity, shape=SHAPE):
    size = shape.species * sum(feature_sizes(order, shape, parity))
    return np.random.default_rng(order).normal(size=size)


@pytest.fixture(scope="module")
def density():
    """Density of a few atoms and their species, with the calls that make it for heads of `SHAPE`."""
    species, positions, cell, _ = structure("skewed")
    rng = np.random.default_rng(5)
    table = np.zeros((2, 2, 300, 2, 4))
    table[..., :3] = twin.random_table(rng, 2, 300, 3, CUTOFF)
    found = np.zeros((1, len(species), SHAPE.harmonics, 8))

    def values(head):
        own = np.zeros((1, len(species), 2 * head.order + 1))
        Kernel(
            table, np.zeros((2, 2, 300, 2)), np.zeros((2, 2)), L_MAX, CUTOFF, 0.3, np.arange(2, dtype=np.int32),
            [head.kernel_form()],
        ).evaluate(
            species, positions[None].copy(), cell[None].copy(), [True] * 3, [True], np.zeros((1, 0, own.shape[2])), own,
            np.zeros((1, 0, len(species), 3)), np.zeros((1, 0, 3, 3)), 0.0, 1, found,
        )  # fmt: skip
        return own[0]

    values(head_from_features(0, SHAPE, random_solution(0, 1)))
    return found[0][..., SHAPE.padded_places], species, values


@pytest.mark.parametrize(("order", "parity"), HEADS)
def test_weighted_features_are_the_head(density, order, parity):
    coefficients, species, values = density
    solution = random_solution(order, parity)
    head = head_from_features(order, SHAPE, solution, parity)
    assert head.parity == parity
    by_features = features(order, SHAPE, coefficients, species, parity) @ solution
    expected = values(head)
    np.testing.assert_allclose(by_features, expected.sum(axis=0), atol=1e-12 * np.abs(expected).max() * len(species))
    for (l1, l2), weights in zip(head.pairs, head.weights, strict=True):
        if l1 == l2:
            np.testing.assert_array_equal(weights, parity * np.swapaxes(weights, 1, 2))


@pytest.mark.parametrize(("order", "parity"), HEADS)
@pytest.mark.parametrize(("at_a_time", "many"), [(512, 600), (512, 0), (2, 600)])
def test_features_of_parts_are_those_of_their_atoms(density, order, parity, at_a_time, many, monkeypatch):
    monkeypatch.setattr(tensor_head, "ATOMS_AT_A_TIME", at_a_time)
    monkeypatch.setattr(tensor_head, "MANY_PRODUCTS", many)
    coefficients, species, values = density
    part = np.array([2, 0, 2, -1, 2, 0, 2])  # none in 1
    solution = random_solution(order, parity)
    found = features_of_parts(order, SHAPE, coefficients, species, part, 4, parity)
    assert found.shape == (4, 2 * order + 1, len(solution))
    of_atoms = values(head_from_features(order, SHAPE, solution, parity))
    expected = [of_atoms[part == own].sum(axis=0) for own in range(4)]
    np.testing.assert_allclose(found @ solution, expected, atol=1e-11 * np.abs(of_atoms).max())
    assert not found[[1, 3]].any()


@pytest.mark.parametrize("parity", [1, -1])
def test_no_atoms_have_no_features(parity):
    none = np.zeros((0, SHAPE.harmonics, SHAPE.channels)), np.zeros(0, dtype=int)
    size = SHAPE.species * sum(feature_sizes(2, SHAPE, parity))
    np.testing.assert_array_equal(features(2, SHAPE, *none, parity), np.zeros((5, size)))
    assert features_of_parts(2, SHAPE, *none, np.zeros(0, dtype=int), 0, parity).shape == (0, 5, size)


def test_there_is_no_pseudoscalar():
    assert feature_sizes(0, SHAPE, -1) == [0, 0]
    density = np.zeros((3, SHAPE.harmonics, SHAPE.channels))
    assert features(0, SHAPE, density, np.zeros(3, dtype=int), -1).shape == (1, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"density": np.zeros((7, SHAPE.harmonics, 5))}, "density has shape"),
        ({"part": np.zeros(6, dtype=int)}, "part has shape"),
        ({"part": np.full(7, 3)}, "parts 3 to 3; allowed are -1 to 2"),
        ({"part": np.full(7, -2)}, "parts -2 to -2"),
        ({"parity": 2}, "parity of 2"),
    ],
)
def test_features_of_what_does_not_fit_are_refused(density, changes, message):
    given = {"density": density[0], "species": density[1], "part": np.zeros(7, dtype=int), "parts": 3}
    with pytest.raises(ValueError, match=message):
        features_of_parts(1, SHAPE, **(given | changes))


@pytest.mark.parametrize(
    ("order", "changes", "message"),
    [
        (1, {"linear": np.ones((2, 6))}, "neither offset nor linear part"),
        (1, {"offset": np.ones(2)}, "neither offset nor linear part"),
        (0, {}, "λ = 0 head of parity -1"),
        (1, {"parity": 0}, "parity of 0"),
        (1, {"weights": np.zeros((1, 2, 6, 6))}, "weights of the λ = 1 head"),
    ],
)
def test_a_pseudotensor_without_sense_is_refused(order, changes, message):
    weights = np.zeros((len(pairs(order, L_MAX, -1)), 2, 6, 6))
    given = {"offset": np.zeros(2), "linear": np.zeros((2, 6)), "weights": weights, "parity": -1}
    with pytest.raises(ValueError, match=message):
        TensorHead(order, SHAPE, **(given | changes))
