"""Compiled sums of products of equivariant factors, and functions of pairs, against sums by NumPy and differences."""

import numpy as np
import pytest
from beadwise.pyx.coupled_sums import CoupledSums, pair_functions, pair_functions_pull_back
from beadwise.pyx.coupling import coupling, real_harmonics

LEFT, RIGHT = ((0, 4), (1, 8), (2, 4), (2, 4)), (2, 4)
GROUPS = ((1, 3, 0, 5), (0, 2, 20, 2), (4, 1, 30, 1))
PATHS = ((0, 0, 1), (0, 1, 1), (0, 2, 1), (0, 3, 2), (1, 0, 0), (1, 3, 2), (2, 2, 2))
SIZE = 40
CENTRE, ROW = np.array([2, 0, 2, 0, 0], np.int32), np.array([1, 1, 0, 2, 0], np.int32)
TURNED = np.array([0, 1, 1, 0, 0], bool)


def weights():
    generator = np.random.default_rng(1)
    return [generator.normal(size=(GROUPS[g][1], LEFT[place][1], RIGHT[1])) for g, place, _ in PATHS]


def sums(**changed):
    paths = [(*path, own) for path, own in zip(PATHS, weights(), strict=True)]
    return CoupledSums(
        *({"left": LEFT, "right": RIGHT, "groups": GROUPS, "paths": paths, "size": SIZE} | changed).values()
    )


def factors():
    generator = np.random.default_rng(2)
    width = sum((2 * order + 1) * channels for order, channels in LEFT)
    return generator.normal(size=(2, 3, width)), generator.normal(size=(2, 3, 9 * RIGHT[1]))


def expected(left, right):
    """Pair by pair and path by path."""
    found = np.zeros((2, len(CENTRE), SIZE))
    begins = np.cumsum([0, *((2 * order + 1) * channels for order, channels in LEFT)])
    for (group, place, l2), own in zip(PATHS, weights(), strict=True):
        order, outputs, begin, stride = GROUPS[group]
        a = left[:, CENTRE, begins[place] : begins[place + 1]].reshape(2, len(CENTRE), -1, LEFT[place][1])
        b = right[:, ROW].reshape(2, len(ROW), 9, RIGHT[1])[:, :, l2 * l2 : (l2 + 1) ** 2]
        b = b * np.where(TURNED, (-1.0) ** l2, 1.0)[:, None, None]
        made = np.einsum("xyM,okn,bpxk,bpyn->bpMo", coupling(LEFT[place][0], l2, order), own, a, b)
        places = begin + stride * np.arange(2 * order + 1)[:, None] + np.arange(outputs)
        found[:, :, places] += made
    return found


@pytest.mark.parametrize("threads", [1, 2])
def test_sums(threads):
    left, right = factors()
    out = np.ones((2, len(CENTRE), SIZE))
    sums().add(left, right, CENTRE, ROW, TURNED, out, threads)
    np.testing.assert_allclose(out - 1, expected(left, right), atol=1e-12)


@pytest.mark.parametrize("threads", [1, 2])
def test_adjoints(threads):
    """Sums are linear in either factor: ⟨adjoint, sums(da, b)⟩ = ⟨of_left, da⟩."""
    left, right = factors()
    adjoint = np.random.default_rng(3).normal(size=(2, len(CENTRE), SIZE))
    of_left, of_right = np.zeros_like(left), np.zeros_like(right)
    sums().add_adjoints(left, right, CENTRE, ROW, TURNED, adjoint, of_left, of_right, threads)
    for place in np.random.default_rng(4).integers(0, left.size, 30):
        one = np.zeros(left.size)
        one[place] = 1.0
        assert of_left.flat[place] == pytest.approx(
            (adjoint * expected(one.reshape(left.shape), right)).sum(), abs=1e-11
        )
    for place in range(0, right.size, 7):
        one = np.zeros(right.size)
        one[place] = 1.0
        assert of_right.flat[place] == pytest.approx(
            (adjoint * expected(left, one.reshape(right.shape))).sum(), abs=1e-11
        )


@pytest.mark.parametrize("l_max", [0, 1, 4, 6])
def test_functions_of_pairs(l_max):
    generator = np.random.default_rng(5)
    vectors, radial = generator.normal(size=(7, 3)), generator.normal(size=(7, 8))
    found = pair_functions(vectors, radial, l_max, 1)
    harmonics = real_harmonics(vectors / np.linalg.norm(vectors, axis=1)[:, None], l_max)
    np.testing.assert_allclose(found, harmonics[:, :, None] * radial[:, None], atol=1e-12)
    np.testing.assert_array_equal(found, pair_functions(vectors, radial, l_max, 3))


@pytest.mark.parametrize("l_max", [0, 3, 6])
def test_adjoint_of_vectors(l_max):
    """R_n = c_n r² by differences."""
    generator = np.random.default_rng(6)
    vectors, constants = generator.normal(size=(5, 3)), generator.normal(size=4)
    adjoint = generator.normal(size=(5, (l_max + 1) ** 2, 4))

    def total(own):
        return (adjoint * pair_functions(own, (own**2).sum(axis=1)[:, None] * constants, l_max, 1)).sum(axis=(1, 2))

    distance = np.linalg.norm(vectors, axis=1)[:, None]
    found = pair_functions_pull_back(vectors, distance**2 * constants, 2 * distance * constants, l_max, adjoint, 2)
    for axis in range(3):
        step = 1e-5 * np.eye(3)[axis]
        np.testing.assert_allclose(found[:, axis], (total(vectors + step) - total(vectors - step)) / 2e-5, atol=1e-7)


def one_path(group, place, l2, shape):
    return [(group, place, l2, np.zeros(shape))]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"left": ((0, 3),)}, "channels of left is 3; it must be a multiple of 4"),
        ({"left": ((7, 4),)}, "order of left is 7; allowed are 0 to 6"),
        ({"right": (2, 5)}, "channels of right is 5"),
        ({"right": (7, 4)}, "order of right is 7"),
        ({"groups": ((7, 1, 0, 1),)}, "order of a group is 7"),
        ({"groups": ((1, 1, 38, 1),)}, "group 0 ends behind the 40 numbers"),
        ({"groups": ((1, 3, 0, 2),)}, "stride is 2"),
        ({"paths": one_path(0, 9, 0, (3, 4, 4))}, "part of a path is 9"),
        ({"paths": one_path(0, 0, 3, (3, 4, 4))}, "order of a path is 3; allowed are 0 to 2"),
        ({"paths": one_path(0, 0, 1, (2, 4, 4))}, "weights has shape"),
        ({"paths": one_path(0, 0, 2, (3, 4, 4))}, "do not couple"),
    ],
)
def test_what_cannot_be_summed(change, message):
    with pytest.raises(ValueError, match=message):
        sums(**change)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (0, np.zeros((2, 3, 4)), "left has shape"),
        (1, np.zeros((1, 3, 36)), "right has shape"),
        (2, np.array([0, 0, 0, 0, 3], np.int32), "centre has 3 at 4; allowed are 0 to 2"),
        (3, np.array([0, 0, 0, 0, -1], np.int32), "row has -1 at 4"),
        (4, np.zeros(4, bool), "is_turned has shape"),
        (5, np.zeros((2, 5, 39)), "out has shape"),
        (6, 0, "threads is 0"),
    ],
)
def test_arguments_that_do_not_fit(place, value, message):
    left, right = factors()
    arguments = [left, right, CENTRE, ROW, TURNED, np.zeros((2, 5, SIZE)), 1]
    arguments[place] = value
    with pytest.raises(ValueError, match=message):
        sums().add(*arguments)


def test_functions_of_odd_channels_are_refused():
    with pytest.raises(ValueError, match="must be a multiple of 4"):
        pair_functions(np.ones((2, 3)), np.ones((2, 3)), 1, 1)
