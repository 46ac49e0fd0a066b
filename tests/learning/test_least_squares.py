"""Normal equations are those of all rows, whichever way these come."""

import numpy as np
import pytest
from beadwise.learning.fitting import least_squares
from beadwise.learning.fitting.least_squares import NormalEquations, sum_of


@pytest.mark.parametrize("most", [1, 7, 10_000])
@pytest.mark.parametrize("mirrored", [5, 1024])
def test_rows_that_wait_are_counted_once(monkeypatch, most, mirrored):
    monkeypatch.setattr(least_squares, "WAITING_ROWS", most)
    monkeypatch.setattr(least_squares, "MIRRORED", mirrored)
    rng = np.random.default_rng(1)
    rows, targets = rng.normal(size=(60, 12)), rng.normal(size=(60, 2))
    equations = NormalEquations(12, 2)
    for part in np.array_split(np.arange(60), 23):
        equations.add(rows[part], targets[part])
        if part[0] % 5 == 0:  # looked at on the way
            assert equations.matrix.shape == (12, 12)
    np.testing.assert_allclose(equations.matrix, rows.T @ rows, atol=1e-12)
    np.testing.assert_allclose(equations.right, rows.T @ targets, atol=1e-12)
    assert equations.rows == 60
    whole = sum_of([equations, equations])
    whole.add(rows[:1], targets[:1])
    np.testing.assert_allclose(whole.matrix, 2 * rows.T @ rows + np.outer(rows[0], rows[0]), atol=1e-12)
    np.testing.assert_allclose(equations.matrix, rows.T @ rows, atol=1e-12)


def test_one_pass_over_the_matrix_serves_many_frames(monkeypatch):
    """With many features a pass over the matrix costs far more than the rows of one frame."""
    passes = []
    original = least_squares.dsyrk

    def counted(*arguments, **options):
        passes.append(arguments[1].shape[1])
        return original(*arguments, **options)

    monkeypatch.setattr(least_squares, "dsyrk", counted)
    equations = NormalEquations(50)
    for seed in range(1000):
        equations.add(np.random.default_rng(seed).normal(size=(3, 50)), np.zeros(3))
    assert equations.matrix[0, 0] > 0
    assert len(passes) == 6 and sum(passes) == 3000
