"""Scalars that are wanted in sum alone are evaluated once for all atoms: the sums are those of the atoms."""

import kernel_calls
import numpy as np
import pytest
import twin
from beadwise.pyx.coupling import pairs
from beadwise.pyx.kernel import Kernel
from equivariant_twin import random_layer
from kernel_calls import ATOMS, BEADS, CHANNELS, KINDS, L_MAX

ORDERS = (0, 1, 0, 0, 0, 0)
OUTPUTS = sum(2 * order + 1 for order in ORDERS)
WANTED = [True, True, True, False, True, True]


def answer(kernel, in_sum, differentiated=(0,), threads=1, part=0, parts=1):
    """Values, gradients and strains, where some outputs are differentiated."""
    arguments = kernel_calls.evaluate_arguments() | {"want_head": WANTED, "threads": threads, "density": None}
    combinations = np.zeros((BEADS, 1, OUTPUTS))
    combinations[..., list(differentiated)] = 1.0
    written = {"values": np.zeros((BEADS, ATOMS, OUTPUTS)), "gradients": np.zeros((BEADS, 1, ATOMS, 3))}
    arguments |= written | {"combinations": combinations, "strains": np.zeros((BEADS, 1, 3, 3))}
    assert kernel.evaluate(**arguments | {"part": part, "parts": parts, "in_sum": in_sum}) is None
    return arguments["values"], arguments["gradients"], arguments["strains"]


@pytest.fixture(scope="module", params=["linear", "network", "equivariant"])
def kernel(request):
    rng = np.random.default_rng(5)
    heads = [twin.random_head(rng, order, KINDS, CHANNELS, pairs(order, L_MAX)) for order in ORDERS]
    changed = {"heads": heads} | ({} if request.param == "network" else {"network": None})
    if request.param == "equivariant":  # adds to scalars that are wanted in sum, to others, and to a vector
        sizes = {"channels": 8, "l_max": L_MAX, "widths": (16, 8), "scalars": (0, 2, 4), "tensors": (1,)}
        changed["equivariant"] = [random_layer(rng, KINDS, CHANNELS, **sizes)], None
    return Kernel(**kernel_calls.kernel_arguments() | changed)


@pytest.mark.parametrize("differentiated", [(), (0,), (4,)])
@pytest.mark.parametrize("threads", [1, 3])
def test_sums_are_those_of_atoms(kernel, differentiated, threads):
    of_atoms, *of_derivatives = answer(kernel, False, differentiated)
    values, *derivatives = answer(kernel, True, differentiated, threads)
    np.testing.assert_allclose(values.sum(axis=1), of_atoms.sum(axis=1), rtol=1e-11, atol=1e-11)
    assert not values[..., 5].any()  # not wanted
    for own, expected in zip(derivatives, of_derivatives, strict=True):
        np.testing.assert_allclose(own, expected, rtol=1e-10, atol=1e-10)


def test_scalars_stand_at_one_atom_and_tensors_at_all(kernel):
    of_atoms, values = answer(kernel, False)[0], answer(kernel, True)[0]
    assert np.count_nonzero(values[..., 7]) == BEADS and np.count_nonzero(of_atoms[..., 7]) == BEADS * ATOMS
    np.testing.assert_array_equal(values[..., 1:4], of_atoms[..., 1:4])
    np.testing.assert_array_equal(values[..., 0], of_atoms[..., 0])  # that is differentiated


def test_parts_add_up(kernel):
    whole = answer(kernel, True)[0].sum(axis=1)
    parts = sum(answer(kernel, True, part=part, parts=5)[0].sum(axis=1) for part in range(5))
    np.testing.assert_allclose(parts, whole, rtol=1e-11, atol=1e-11)
