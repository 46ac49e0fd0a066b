"""Compiled Hamiltonians against their twin by NumPy, and their gradients."""

from dataclasses import replace

import numpy as np
import pytest
from beadwise.model.orbitals import served_blocks
from numpy_blocks import gradient, matrices
from orbital_models import RICH, SMALL, benzene, isolated, random_model, shaken, with_random_weights

NUMBERS, POSITIONS = (own[[0, 6, 1, 7, 2]] for own in benzene())


def model_of(name, molecule=(NUMBERS, POSITIONS)):
    sizes = {"l_max": 3, "channels": 5, "products": 4} if name == "more channels" else {}
    model = random_model(RICH if name == "up to d" else SMALL, molecule, **sizes)
    if name == "pairs alone":
        return with_random_weights(replace(model, surroundings={}, few=0), isolated(*molecule))
    return model


@pytest.mark.parametrize("name", ["s and p", "up to d", "more channels", "pairs alone"])
def test_the_twin(name):
    model, batch = model_of(name), isolated(NUMBERS, shaken(POSITIONS, 3))
    expected = matrices(model, batch)
    assert np.abs(model.matrices(batch) - expected).max() < 1e-12 * np.abs(expected).max()
    adjoints = np.random.default_rng(5).normal(size=expected.shape)  # need not be symmetric
    expected = gradient(model, batch, adjoints)
    assert np.abs(model.pull_back(batch, adjoints) - expected).max() < 1e-10 * np.abs(expected).max()


@pytest.mark.parametrize("name", ["s and p", "pairs alone"])
def test_gradients_by_differences(name):
    model, positions, step = model_of(name), shaken(POSITIONS, 1)[0], 1e-5
    size = int(model.basis.first_orbitals(NUMBERS)[-1])
    adjoint = np.random.default_rng(6).normal(size=(1, size, size))
    moved = positions + step * np.array([-1.0, 1.0])[:, None, None, None] * np.eye(15).reshape(15, 5, 3)
    values = (model.matrices(isolated(NUMBERS, moved.reshape(-1, 5, 3))) * adjoint).sum(axis=(1, 2)).reshape(2, 5, 3)
    expected = (values[1] - values[0]) / (2 * step)
    found = model.pull_back(isolated(NUMBERS, positions), adjoint)[0]
    assert np.abs(found - expected).max() < 1e-6 * np.abs(expected).max()


def test_pieces_and_threads(monkeypatch):
    model, batch = model_of("s and p"), isolated(NUMBERS, shaken(POSITIONS, 5))
    adjoints = np.random.default_rng(7).normal(size=(5, *model.matrices(batch).shape[1:]))
    whole = model.matrices(batch), model.pull_back(batch, adjoints)
    threaded = replace(model, density=replace(model.density, threads=3))
    np.testing.assert_array_equal(threaded.matrices(batch), whole[0])
    np.testing.assert_allclose(threaded.pull_back(batch, adjoints), whole[1], rtol=0, atol=1e-12)
    monkeypatch.setattr(served_blocks, "PAIRS_AT_A_TIME", 20)  # two beads
    np.testing.assert_allclose(model.matrices(batch), whole[0], rtol=0, atol=1e-13)
    np.testing.assert_allclose(model.pull_back(batch, adjoints), whole[1], rtol=0, atol=1e-12)


def test_single_atoms_and_molecules_in_turn():
    model = model_of("s and p")
    alone = isolated(np.array([6]), np.zeros((2, 1, 3)))
    whole = isolated(NUMBERS, POSITIONS)
    for batch in (alone, whole, alone):
        np.testing.assert_allclose(model.matrices(batch), matrices(model, batch), rtol=0, atol=1e-12)
    assert not model.pull_back(alone, np.ones((2, 4, 4))).any()


def test_adjoints_of_another_shape_are_refused():
    model, batch = model_of("s and p"), isolated(NUMBERS, POSITIONS)
    with pytest.raises(ValueError, match=r"adjoints have shape \(1, 20, 20\); \(1, .* is needed"):
        model.pull_back(batch, np.zeros((1, 20, 20)))


def test_far_atoms_have_no_block_in_common():
    model = model_of("s and p")
    far = isolated(np.array([6, 1]), np.array([[0.0, 0, 0], [0.0, 0, 6.5]]))
    assert not model.matrices(far)[0, 4, :4].any() and not model.pull_back(far, np.ones((1, 5, 5))).any()
