"""Pairs of atoms within a distance, against ASE's list and in cells where that one has no end."""

import numpy as np
import pytest
from ase.neighborlist import primitive_neighbor_list
from beadwise.pyx.pairs import pairs_within

ALL = np.array([True, True, True])
CELLS = {
    "cube": np.eye(3) * 6.0,
    "small": np.eye(3) * 1.3,
    "skewed": np.array([[5.0, 0, 0], [4.0, 5.0, 0], [-3.0, 2.0, 4.0]]),
    "flat": np.diag([9.0, 9.0, 1.1]),
    "left-handed": np.array([[0, 6.0, 0], [6.0, 0, 0], [0, 0, 6.0]]),
}


def ordered(first, second, vectors):
    rows = np.column_stack([first, second, np.round(vectors, 9) + 0.0])
    return rows[np.lexsort(rows.T[::-1])]


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("periodic", [[1, 1, 1], [1, 0, 1], [0, 0, 1], [0, 0, 0]])
def test_the_same_as_ase(name, periodic):
    rng = np.random.default_rng(3)
    cell, positions, periodic = CELLS[name], rng.uniform(-9, 9, (7, 3)), np.array(periodic, bool)
    found = pairs_within(positions, cell, periodic, 3.5)
    expected = primitive_neighbor_list("ijD", periodic, cell, positions, 3.5)
    np.testing.assert_allclose(ordered(*found), ordered(*expected), atol=1e-8)


@pytest.mark.parametrize(
    "cell", [np.eye(3) * 1e6, np.diag([4.0, 1e6, 1e6]), np.array([[90.0, 0, 0], [900.0, 90, 0], [0, 0, 90]])]
)
def test_cost_does_not_grow_with_the_volume(cell):
    positions = np.array([[0.0, 0, 0], [1.0, 0, 0], [cell[0, 0] + 2.0, 0, 0]])
    first, second, vectors = pairs_within(positions, cell, ALL, 3.0)
    assert {(0, 1), (1, 2), (0, 2)} <= set(zip(first.tolist(), second.tolist(), strict=True))
    assert (np.linalg.norm(vectors, axis=1) < 3.0).all()


def test_atoms_on_each_other_are_found_at_once():
    first, _, vectors = pairs_within(np.zeros((3000, 3)), np.eye(3) * 10.0, ALL, 3.0, 0.1)
    assert set(first.tolist()) == {0} and not vectors.any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cutoff": 0.0}, "cutoff is 0"),
        ({"cutoff": np.inf}, "finite"),
        ({"cell": np.zeros((3, 3))}, "span a volume"),
        ({"cell": np.eye(3) * 0.01}, "hundredth of the cutoff"),
        ({"positions": np.full((2, 3), np.nan)}, "finite"),
        ({"positions": np.full((2, 3), 1e300)}, "thousand million cells"),
        ({"positions": np.zeros((2, 3), np.float32)}, "float32"),
        ({"positions": np.zeros((2, 2))}, "shape"),
        ({"periodic": [True]}, "periodic"),
    ],
)
def test_arguments(change, message):
    given = {"positions": np.eye(3), "cell": np.eye(3) * 5, "periodic": ALL, "cutoff": 3.0}
    with pytest.raises((TypeError, ValueError), match=message):
        pairs_within(**{**given, **change})
    assert len(pairs_within(np.zeros((0, 3)), np.eye(3), ALL, 1.0)[0]) == 0
