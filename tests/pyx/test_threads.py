"""One structure on several threads: parts by listed neighbours, and workspaces that are kept between evaluations."""

import kernel_calls
import numpy as np
import pytest
from beadwise.pyx.kernel import Kernel


def answer(kernel, beads=1, threads=1, **changed):
    """Values, gradients and strains of some beads."""
    arguments = kernel_calls.evaluate_arguments() | changed | {"threads": threads}
    atoms = len(arguments["species"])
    for name in ("positions", "cells", "combinations"):
        arguments[name] = np.ascontiguousarray(arguments[name][:beads])
    arguments["values"] = np.zeros((beads, atoms, kernel_calls.OUTPUTS))
    arguments["gradients"] = np.zeros((beads, kernel_calls.GRADIENTS, atoms, 3))
    arguments["strains"] = np.zeros((beads, kernel_calls.GRADIENTS, 3, 3))
    arguments["density"] = None
    overlap = kernel.evaluate(**arguments)
    return overlap, arguments["values"], arguments["gradients"], arguments["strains"]


def uneven(copies):
    """So many dense molecules at one end of a long cell, and as many lone atoms behind them."""
    places = kernel_calls.structures(1)["positions"][0]
    dense = np.concatenate([places + np.array([0, 0, 5.5 * copy]) for copy in range(copies)])
    lone = np.array([[2.0, 2.0, 5.5 * copies + 4.0 * atom] for atom in range(len(dense))])
    positions = np.concatenate([dense, lone])[None]
    height = 5.5 * copies + 4.0 * len(dense) + 4.0
    return {
        "species": np.arange(positions.shape[1], dtype=np.int32) % kernel_calls.KINDS,
        "positions": positions,
        "cells": np.diag([5.5, 5.5, height])[None],
    }


@pytest.mark.parametrize("threads", [2, 3, 7, 40])
def test_threads_share_one_bead_and_answers_stay(threads):
    structure = uneven(4)
    one = answer(Kernel(**kernel_calls.kernel_arguments()), **structure)
    shared = answer(Kernel(**kernel_calls.kernel_arguments()), threads=threads, **structure)
    assert one[0] is None and shared[0] is None
    np.testing.assert_array_equal(shared[1], one[1])  # of each atom
    for several, alone in zip(shared[2:], one[2:], strict=True):
        np.testing.assert_allclose(several, alone, rtol=0, atol=1e-12 * np.abs(alone).max())


@pytest.mark.parametrize("threads", [1, 2])  # whose sums have one order only
def test_what_is_kept_of_another_structure_changes_no_bit(threads):
    kernel = Kernel(**kernel_calls.kernel_arguments())
    small, large = {}, uneven(5)
    for structure in (large, small, large, small):
        again = answer(kernel, threads=threads, **structure)
        fresh = answer(Kernel(**kernel_calls.kernel_arguments()), threads=threads, **structure)
        for kept, new in zip(again[1:], fresh[1:], strict=True):
            np.testing.assert_array_equal(kept, new)


def test_more_threads_and_fewer_than_before():
    kernel, expected = Kernel(**kernel_calls.kernel_arguments()), answer(Kernel(**kernel_calls.kernel_arguments()), 2)
    for threads in (2, 5, 1, 3):
        for found, own in zip(answer(kernel, 2, threads)[1:], expected[1:], strict=True):
            np.testing.assert_allclose(found, own, rtol=0, atol=1e-12 * np.abs(own).max())


@pytest.mark.parametrize("threads", [1, 2])
def test_atoms_that_are_too_close_leave_nothing_behind(threads):
    kernel, structure = Kernel(**kernel_calls.kernel_arguments()), kernel_calls.structures(1)
    expected = answer(Kernel(**kernel_calls.kernel_arguments()), threads=threads)
    positions = structure["positions"].copy()
    positions[0, 1] = positions[0, 0] + [0.05, 0, 0]
    answer(kernel, threads=threads)
    bead, *atoms, distance = answer(kernel, threads=threads, positions=positions)[0]
    assert bead == 0 and sorted(atoms) == [0, 1] and distance == pytest.approx(0.05)
    for found, own in zip(answer(kernel, threads=threads)[1:], expected[1:], strict=True):
        np.testing.assert_array_equal(found, own)
