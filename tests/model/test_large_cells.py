"""Few atoms in large, flat and skewed cells, and atoms that are far away: the right answer, or one line, at once."""

import numpy as np
import pytest
from beadwise.model import Batch, StructureError
from beadwise.model.baselines import LennardJones
from beadwise.model.evaluators import load_evaluator
from beadwise.model.qtip4pf import QTip4pF
from models import random_model

PERIODIC = np.ones(3, bool)
WATER = np.array([[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]]) + 1.0
FEW = np.array([[4.0 * i, 0.3 * i, 0.0] for i in range(10)])
CELLS = [np.eye(3) * 1e6, np.diag([90.0, 1e5, 1e5]), np.array([[50.0, 0, 0], [400.0, 50, 0], [0, 0, 50]])]


def batch(numbers, positions, cell):
    return Batch(np.array(numbers), positions[None], cell[None], PERIODIC)


@pytest.mark.parametrize("cell", CELLS)
def test_lennard_jones_in_large_cells(cell):
    potential = LennardJones(0.0104, 3.4, 8.5)
    want = ("energy", "forces", "virial")
    given, small = (potential.evaluate(batch([18] * 10, FEW, own), want) for own in (cell, np.diag([100.0, 50, 50])))
    for name in want:
        np.testing.assert_allclose(given[name], small[name], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_one_water_molecule_in_large_cells(cell):
    alone = QTip4pF().evaluate(Batch([8, 1, 1], WATER[None], np.zeros((1, 3, 3)), ~PERIODIC), ("energy", "forces"))
    given = QTip4pF().evaluate(batch([8, 1, 1], WATER, cell), ("energy", "forces"))
    # images are far, but where the cell is 50 or 90 Å high they are dipoles in a row
    np.testing.assert_allclose(given.energy, alone.energy, atol=2e-4)
    np.testing.assert_allclose(given.forces, alone.forces, atol=2e-4)


def test_sparse_and_dense_splitting_are_one_sum():
    """A pair of molecules where the splitting changes with the volume, against sums that are converged far more."""
    rng = np.random.default_rng(1)
    positions = np.concatenate([WATER, WATER + np.array([3.0, 0.4, 0.2])]) + rng.normal(0, 0.02, (6, 3))
    for edge in (15.0, 23.0, 24.0, 40.0, 90.0):
        own = batch([8, 1, 1] * 2, positions, np.array([[edge, 0, 0], [3.0, edge, 0], [1.0, -2.0, edge]]))
        want = ("energy", "forces", "virial")
        usual, sharp = (QTip4pF(accuracy=accuracy).evaluate(own, want) for accuracy in (1e-7, 1e-13))
        for name in want:
            np.testing.assert_allclose(usual[name], sharp[name], atol=5e-6)  # as in dense cells


@pytest.mark.parametrize("name", ["harmonic:k=1", "lennard-jones:epsilon=0.01,sigma=3,cutoff=8", "qtip4pf", "water"])
@pytest.mark.parametrize("place", [2.0**31 * 10, 1e300, 1e8, np.nan, np.inf])
def test_atoms_that_are_too_far_away(name, place):
    evaluator = load_evaluator(name)
    positions = WATER.copy()
    positions[1, 2] = place
    with pytest.raises(StructureError, match="position of atom 1"):
        evaluator.evaluate(batch([8, 1, 1], positions, np.eye(3) * 10), ("energy",))
    with np.errstate(all="ignore"), pytest.raises(StructureError, match="cell of bead 0"):
        evaluator.evaluate(batch([8, 1, 1], WATER, np.eye(3) * place), ("energy",))


@pytest.mark.parametrize("evaluator", [LennardJones(0.01, 3.0, 8.0), random_model(heads=["energy"])])
def test_atoms_on_each_other(evaluator):
    with pytest.raises(StructureError, match=r"apart|each other"):
        evaluator.evaluate(batch([1] * 3000, np.zeros((3000, 3)), np.eye(3) * 10), ("energy",))


def test_cells_that_are_far_too_low():
    with pytest.raises(StructureError, match="hundredth of the cutoff"):
        LennardJones(0.01, 3.0, 8.0).evaluate(batch([1], np.zeros((1, 3)), np.diag([0.01, 9, 9])), ("energy",))
