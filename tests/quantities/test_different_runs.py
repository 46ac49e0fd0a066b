"""Runs that are averaged together have samples of their own, whatever the size of the values."""

from types import SimpleNamespace

import numpy as np
import pytest
from beadwise.analysis.averages.make import check_different
from beadwise.analysis.averages.series import KeptSeries
from beadwise.errors import BeadwiseError

RUNS = [SimpleNamespace(run=SimpleNamespace(path=f"run{number}.xml")) for number in range(2)]


def kept(values, first=0):
    steps = first + np.arange(len(values))
    return KeptSeries(steps, values, np.zeros((len(values), 1, 0), dtype=np.float32), None)


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_rounding_is_told_from_noise(offset):
    """Beside how much values vary: near zero, as components of vectors, and around what is large, as energies."""
    generator = np.random.default_rng(0)
    ours, theirs = offset + generator.normal(size=(2, 50, 3, 2))
    ours[:, 1], theirs[:, 1] = np.nan, np.nan  # an atom that the model knows nothing of
    check_different(RUNS, [kept(ours), kept(theirs)])
    check_different(RUNS, [kept(ours), kept(ours, 50)])  # no step in common
    for again in (ours, ours + generator.normal(0, 1e-5, ours.shape)):
        with pytest.raises(BeadwiseError, match="hold the same samples"):
            check_different(RUNS, [kept(ours), kept(again[:40])])


def test_what_does_not_vary_says_nothing():
    """Of runs of different lengths; the same steps with the same numbers are one run given twice."""
    check_different(RUNS, [kept(np.ones((9, 1))), kept(np.ones((8, 1)))])
