"""The kernel in single precision beside double, where models do not reach: l ≤ 1, densities; and what it refuses."""

import numpy as np
import pytest
import twin
from beadwise.pyx.coupling import pairs
from beadwise.pyx.kernel import Kernel, has_single
from kernel_calls import BEADS, KINDS, evaluate_arguments, kernel_arguments

pytestmark = pytest.mark.skipif(not has_single(), reason="this processor has no single precision")
RADIAL, CUTOFF = 8, 3.0
CHANNELS = KINDS * RADIAL


def arguments(l_max):
    rng = np.random.default_rng(0)
    features = CHANNELS + (l_max + 1) * CHANNELS * (CHANNELS + 1) // 2
    padded = -(-features // 8) * 8
    layers = [(0.1 * rng.normal(size=(KINDS, padded, 8)), rng.normal(size=(KINDS, 8)))]
    heads = [twin.random_head(rng, order, KINDS, CHANNELS, pairs(order, l_max)) for order in range(l_max + 1)]
    return kernel_arguments() | {
        "table": twin.random_table(rng, KINDS, 20, RADIAL, CUTOFF),
        "l_max": l_max,
        "heads": heads,
        "network": (rng.normal(size=(KINDS, padded)), layers, rng.normal(size=(KINDS, 8))),
    }


def answers(l_max, **precision):
    outputs, rng = (l_max + 1) ** 2, np.random.default_rng(2)
    given = evaluate_arguments()
    atoms = given["positions"].shape[1]
    written = {
        "values": np.zeros((BEADS, atoms, outputs)),
        "gradients": np.zeros((BEADS, 2, atoms, 3)),
        "strains": np.zeros((BEADS, 2, 3, 3)),
        "density": np.zeros((BEADS, atoms, (l_max + 1) ** 2, CHANNELS)),
    }
    given |= {"want_head": [True] * (l_max + 1), "combinations": rng.normal(size=(BEADS, 2, outputs))} | written
    assert Kernel(**arguments(l_max), **precision).evaluate(**given) is None
    return written


@pytest.mark.parametrize("l_max", [0, 1, 4])
def test_answers_are_those_of_double_precision(l_max):
    found, expected = answers(l_max, single=True), answers(l_max)
    for name, own in expected.items():
        assert 0 < abs(found[name] - own).max() < 2e-5 * abs(own).max(), name


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"single": 1.5}, TypeError, "single is 1.5"),
        ({"single": True}, ValueError, "single is True; it needs 8 or 16 radial functions per species"),
    ],
)
def test_refused(changed, error, message):
    """Four radial functions do not fill a register."""
    with pytest.raises(error, match=message):
        Kernel(**kernel_arguments(), **changed)
