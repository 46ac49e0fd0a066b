"""A Hamiltonian turns as its orbitals do, whatever its weights: counts of levels, rotations, inversion, images."""

import numpy as np
import pytest
from orbital_models import RICH, SMALL, benzene, isolated, random_model, shaken, turned_orbitals
from scipy.spatial.transform import Rotation


def distinct(levels):
    """How many levels there are, and how many of them are pairs, to 1e-9 of their range."""
    apart = np.diff(levels) > 1e-9 * np.ptp(levels)
    ends = np.flatnonzero(np.concatenate([[True], apart, [True]]))
    return len(ends) - 1, int((np.diff(ends) == 2).sum())


@pytest.mark.parametrize(
    ("distortion", "counts"), [({}, (20, 10)), ({"kekule": 0.03}, (20, 10)), ({"quinoid": 0.02}, (30, 0))]
)
def test_levels_of_benzene(distortion, counts):
    """D6h and D3h keep ten pairs among 30 valence orbitals, D2h none (group theory of the orbitals of a ring)."""
    levels = np.linalg.eigvalsh(random_model().matrices(isolated(*benzene(**distortion))))[0]
    assert distinct(levels) == counts


def test_the_pi_block_is_circulant():
    numbers, positions = benzene()
    matrix = random_model().matrices(isolated(numbers, positions))[0]
    carbons = 4 * np.arange(6)
    block = matrix[carbons[:, None] + 2, carbons + 2]  # p orbitals are y, z, x
    others = np.setdiff1d(np.arange(30), carbons + 2)
    assert np.abs(matrix[np.ix_(carbons + 2, others)]).max() < 1e-12
    first = block[0]
    np.testing.assert_allclose(block, [np.roll(first, shift) for shift in range(6)], atol=1e-12)
    assert np.abs(first[[1, 2]] - first[[5, 4]]).max() < 1e-12
    waves = first[0] + 2 * first[1] * np.cos(k := np.arange(6) * np.pi / 3) + 2 * first[2] * np.cos(2 * k)
    waves = waves + first[3] * np.cos(3 * k)
    np.testing.assert_allclose(np.linalg.eigvalsh(block), np.sort(waves), atol=1e-12)


@pytest.mark.parametrize("is_improper", [False, True])
@pytest.mark.parametrize("basis", [SMALL, RICH], ids=["s and p", "up to d"])
def test_matrices_turn_as_orbitals(basis, is_improper):
    numbers, positions = benzene()
    numbers, positions = numbers[[0, 1, 6, 7]], shaken(positions[[0, 1, 6, 7]], 2)
    model = random_model(basis, (numbers, positions[0]))
    turn = Rotation.random(random_state=5).as_matrix() * (-1 if is_improper else 1)
    before, after = (model.matrices(isolated(numbers, own)) for own in (positions, positions @ turn.T + 3.0))
    orbitals = turned_orbitals(basis, numbers, turn)
    assert np.abs(after - orbitals @ before @ orbitals.T).max() < 1e-10 * np.abs(before).max()
    assert np.abs(before - before.swapaxes(1, 2)).max() < 1e-12


def test_atoms_in_another_order():
    numbers, positions = benzene()
    positions, model = shaken(positions, 1)[0], random_model()
    order = np.random.default_rng(2).permutation(12)
    before, after = (
        model.matrices(isolated(numbers, positions)),
        model.matrices(isolated(numbers[order], positions[order])),
    )
    firsts = model.basis.first_orbitals(numbers)
    places = np.concatenate([np.arange(firsts[atom], firsts[atom + 1]) for atom in order])
    np.testing.assert_allclose(after, before[:, places[:, None], places], atol=1e-11)


def test_beads_are_answered_alone():
    numbers, positions = benzene()
    frames, model = shaken(positions, 5), random_model()
    together = model.matrices(isolated(numbers, frames))
    alone = np.concatenate([model.matrices(isolated(numbers, own)) for own in frames])
    np.testing.assert_allclose(together, alone, atol=1e-12)


@pytest.mark.parametrize("basis", [SMALL, RICH], ids=["s and p", "up to d"])
def test_adjoint_by_finite_differences(basis):
    numbers, positions = benzene()
    numbers, positions = numbers[[0, 1, 6, 7]], shaken(positions[[0, 1, 6, 7]], 1)[0]
    model = random_model(basis, (numbers, positions))
    size = int(basis.first_orbitals(numbers)[-1])
    adjoint = np.random.default_rng(0).normal(size=(size, size))
    adjoint = adjoint + adjoint.T
    found = model.pull_back(isolated(numbers, positions), adjoint[None])[0]
    step = 1e-5
    displaced = positions + step * np.array([-1.0, 1.0])[:, None, None, None] * np.eye(12).reshape(12, 4, 3)
    values = (model.matrices(isolated(numbers, displaced.reshape(-1, 4, 3))) * adjoint).sum(axis=(1, 2)).reshape(2, 12)
    differences = ((values[1] - values[0]) / (2 * step)).reshape(4, 3)
    assert np.abs(found - differences).max() < 1e-6 * np.abs(differences).max()
    assert np.abs(found.sum(axis=0)).max() < 1e-10 * np.abs(found).max()
