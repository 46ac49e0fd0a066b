"""What compiled code is given: whatever does not fit is refused by name, in this process, which must survive it."""

import functools
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from beadwise.pyx.json_numbers import json_array
from beadwise.pyx.kernel import Kernel
from kernel_calls import (
    ATOMS,
    BEADS,
    CALLS,
    FEATURES,
    KINDS,
    L_MAX,
    LAW,
    OUTPUTS,
    evaluate_arguments,
    feature_arguments,
    kernel,
    kernel_arguments,
    misfits,
)
from places import MODULES

# Axes whose length is up to the caller, so that another one makes other arguments wrong.
FREE = {
    "positions": (0, 1),
    "combinations": (1,),
    "table": (0, 1, 2, 4),
}
WRITTEN = ("values", "gradients", "strains", "density", "tangent", "energies", "forces", "virials", "dipoles")
OPTIONAL = {
    ("evaluate", "density"),
    ("flexible_water", "energies"),
    ("flexible_water", "dipoles"),
}


def array_cases():
    for call, (_, arguments) in CALLS.items():
        for name, value in arguments().items():
            if isinstance(value, np.ndarray):
                is_written = name in WRITTEN and (call, name) != ("push_forward", "strains")
                fixed = {"feature_gradients": (1,)}.get(call) if name == "positions" else None
                free = fixed or FREE.get(name, ())
                for label, wrong in misfits(value, free, is_written, (call, name) in OPTIONAL):
                    yield pytest.param(call, name, wrong, id=f"{call}-{name}-{label}")


OTHER_VALUES = [
    *[
        (call, name, value)
        for call in ("evaluate", "feature_gradients", "pull_back", "push_forward")
        for name, values in {
            "periodic": (None, True, [True, True], [True] * 4, np.ones((3, 1), bool), np.ones(3), ["a", "b", "c"]),
            "species": (np.array([0, 1, 0, 1, 0, KINDS], np.int32), np.array([0, 1, 0, 1, 0, -1], np.int32)),
        }.items()
        for value in values
    ],
    *[("evaluate", "want_head", value) for value in (None, True, [], [True] * 2, [True] * 4, np.ones((3, 1), bool))],
    ("evaluate", "want_head", [1.0, 0.0, 1.0]),
    *[
        (call, "threads", value)
        for call in ("evaluate", "pull_back", "push_forward", "flexible_water", "point_charges")
        for value in (None, 0, -1, 1.0, "2", 10**9, 10**30)
    ],
    *[("evaluate", "closest_allowed", value) for value in (None, np.nan, "1", [1.0])],
    *[("evaluate", "part", value) for value in (None, -1, 1, 0.0, 10**30)],
    *[("evaluate", "in_sum", value) for value in (None, 1.0, "yes")],
    *[("evaluate", "parts", value) for value in (None, 0, -1, 1.0, 2**31)],
    *[("Kernel", "l_max", value) for value in (None, -1, 7, 2.0)],
    *[("Kernel", "cutoff", value) for value in (None, 0.0, -1.0, np.inf, np.nan, "3")],
    *[("Kernel", "skin", value) for value in (None, -0.1, np.inf, np.nan)],
    *[("Kernel", "groups", np.array(value, np.int32)) for value in ([0, 2], [-1, 0], [1, 1])],
    *[("Kernel", "heads", value) for value in (None, [], 3)],
    *[("Kernel", "network", value) for value in (3, (), (None, None, None))],
    *[
        ("Kernel", "table", np.zeros(shape))
        for shape in ((0, 0, 20, 2, 4), (2, 1, 20, 2, 4), (2, 2, 1, 2, 4), (2, 2, 20, 2, 6), (2, 2, 20, 2, 0),
                      (2, 2, 20, 2, 20))
    ],
    *[("flexible_water", "law", value) for value in (None, {}, LAW | {"cutoff": None}, LAW | {"angle": np.nan})],
    *[("flexible_water", "law", LAW | {"splitting": value}) for value in (0.0, -1.0, 5.0, np.inf)],
    *[(call, "periodic", value) for call in ("flexible_water", "point_charges") for value in (None, [True] * 3, 2)],
    *[("flexible_water", "positions", np.zeros((BEADS, atoms, 3))) for atoms in (1, 5)],
    *[
        ("point_charges", name, value)
        for name in ("constant", "splitting", "cutoff", "highest_wave")
        for value in (None, np.nan, np.inf, "1")
    ],
    ("point_charges", "splitting", 0.0),
    ("point_charges", "positions", np.full((BEADS, 4, 3), np.nan)),
    ("point_charges", "cells", np.zeros((BEADS, 3, 3))),
]  # fmt: skip


def answer(call):
    """All that a call with the right arguments gives."""
    function, arguments = CALLS[call]
    given = arguments()
    if call == "Kernel":
        return [function(**given).neighbour_lists_built]
    return [function(**given)] + [given[name] for name in given if name in WRITTEN]


@functools.cache
def first_answer(call):
    return answer(call)


def refuse(call, name, wrong, message=None):
    function, arguments = CALLS[call]
    expected = first_answer(call)
    with pytest.raises((ValueError, TypeError), match=message or rf"\b{name}\b"):
        function(**(arguments() | {name: wrong}))
    for own, again in zip(expected, answer(call), strict=True):  # nothing is locked or broken
        np.testing.assert_equal(again, own)


@pytest.mark.parametrize(("call", "name", "wrong"), list(array_cases()))
def test_arrays_that_do_not_fit_are_refused_by_name(call, name, wrong):
    refuse(call, name, wrong)


@pytest.mark.parametrize(("call", "name", "wrong"), OTHER_VALUES)
def test_values_that_are_not_allowed_are_refused_by_name(call, name, wrong):
    refuse(call, name, wrong)


def changed(entries, path, value):
    """Nested tuples with one entry replaced."""
    entries = list(entries)
    entries[path[0]] = value if len(path) == 1 else changed(entries[path[0]], path[1:], value)
    return entries


def entry(entries, path):
    return functools.reduce(lambda inner, place: inner[place], path, entries)


HEAD_ARRAYS = {
    "offset of head 1": (1, 1),
    "linear of head 1": (1, 2),
    "coupling of block 0 of head 1": (1, 3, 0, 3),
    "weights of block 1 of head 1": (1, 3, 1, 4),
}
NETWORK_ARRAYS = {
    "skip of network": (0,),
    "weights of layer 0 of network": (1, 0, 0),
    "bias of layer 0 of network": (1, 0, 1),
    "final of network": (2,),
}


def nested_cases():
    for argument, arrays in (("heads", HEAD_ARRAYS), ("network", NETWORK_ARRAYS)):
        for name, path in arrays.items():
            copied = name.startswith(("coupling", "weights of block"))  # whatever lies in memory
            free = (2,) if name.startswith("weights of layer") else ()
            for label, wrong in misfits(entry(kernel_arguments()[argument], path), free, layout=not copied):
                if not (copied and label == "other byte order"):
                    yield pytest.param(argument, path, wrong, name, id=f"{name}-{label}")


@pytest.mark.parametrize(("argument", "path", "wrong", "name"), list(nested_cases()))
def test_arrays_of_heads_and_networks_that_do_not_fit_are_refused_by_name(argument, path, wrong, name):
    refuse("Kernel", argument, changed(kernel_arguments()[argument], path, wrong), name)


@pytest.mark.parametrize(
    ("path", "wrong", "message"),
    [
        *[((1,), head, "head 1 is not a tuple") for head in (None, 3, (0,))],
        *[((1, 0), order, "lambda of head 1") for order in (None, -1, L_MAX + 1, 1.0)],
        *[((1, 3), blocks, "blocks of head 1") for blocks in (None, 3)],
        ((1, 3, 0), (0, 1), "block 0 of head 1"),
        *[((1, 3, 0, 0), l1, "l1 of block 0 of head 1") for l1 in (None, -1, L_MAX + 1, 0.0)],
        *[((1, 3, 0, 1), l2, "l2 of block 0 of head 1") for l2 in (None, 2, -1, 1.0)],  # of l1 = 0 with λ = 1
        ((1, 3, 0, 2), True, "symmetric of block 0 of head 1"),
        ((0, 3, 1, 3), np.arange(9.0).reshape(3, 3, 1), "coupling of block 1 of head 0"),  # of a scalar
    ],
)
def test_entries_of_heads_that_are_not_allowed_are_refused_by_name(path, wrong, message):
    refuse("Kernel", "heads", changed(kernel_arguments()["heads"], path, wrong), message)


@pytest.mark.parametrize("outputs", [0, 4, 12])
def test_layers_that_are_not_padded_are_refused(outputs):
    layers = [(np.zeros((KINDS, FEATURES, outputs)), np.zeros((KINDS, outputs)))]
    refuse("Kernel", "network", changed(kernel_arguments()["network"], (1,), layers), "weights of layer 0 of network")


def test_a_scalar_block_without_couplings_gives_nothing():
    arguments = kernel_arguments()
    without = changed(arguments["heads"], (2, 3), [])
    zero = [(l1, l2, True, 0.0 * coupling, weights) for l1, l2, _, coupling, weights in arguments["heads"][2][3]]
    answers = []
    for heads in (without, changed(arguments["heads"], (2, 3), zero)):
        given = evaluate_arguments() | {"combinations": np.zeros((BEADS, 0, OUTPUTS))}
        given |= {"gradients": np.zeros((BEADS, 0, ATOMS, 3)), "strains": np.zeros((BEADS, 0, 3, 3))}
        Kernel(**(arguments | {"heads": heads})).evaluate(**given)
        answers.append(given["values"])
    np.testing.assert_array_equal(*answers)


@pytest.mark.parametrize("call", ["evaluate", "feature_gradients", "pull_back", "push_forward"])
@pytest.mark.parametrize(
    ("name", "value"),
    [("positions", value) for value in (np.nan, np.inf, 1e300)] + [("cells", value) for value in (0.0, np.nan, 0.01)],
)
def test_numbers_that_no_list_can_be_made_of_are_refused(call, name, value):
    wrong = CALLS[call][1]()[name]
    wrong[-1, 1] = value
    if value == 0.01:
        wrong[-1] = value * np.eye(3)
    refuse(call, name, wrong)


@pytest.mark.parametrize("call", ["evaluate", "pull_back", "push_forward"])
@pytest.mark.parametrize(("beads", "atoms"), [(0, 3), (2, 0), (0, 0)])
def test_no_atoms_and_no_beads_are_allowed(call, beads, atoms):
    function, arguments = CALLS[call]
    given = arguments()
    given["species"] = given["species"][:atoms]
    for name, value in given.items():
        if isinstance(value, np.ndarray) and name != "species":
            given[name] = np.zeros([beads, *(atoms if size == ATOMS else size for size in value.shape[1:])])
    assert function(**given) is None


def test_no_atoms_have_feature_gradients():
    given = feature_arguments()
    given |= {"species": given["species"][:0], "positions": np.zeros((1, 0, 3)), "gradients": given["gradients"][:0]}
    assert kernel().feature_gradients(**given) is None


@pytest.mark.parametrize("wrong", [None, 3.0, np.zeros((1, 2, 3)), np.zeros(3, complex), ["a"], np.array([None])])
def test_what_is_not_an_array_of_numbers_is_not_written_as_json(wrong):
    with pytest.raises((TypeError, ValueError), match=r"array .* cannot be written"):
        json_array(wrong)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits memory as Linux does")
@pytest.mark.parametrize("threads", [1, 2])
def test_too_little_memory_is_an_exception(threads):
    """More than a million neighbours of an atom in a cell of 0.05 Å, and no memory for what belongs to them."""
    program = f"""
        import resource
        import numpy as np
        import kernel_calls as here
        kernel, given = here.Kernel(**here.kernel_arguments()), here.evaluate_arguments() | {{"threads": {threads}}}
        kernel.evaluate(**given)
        values = given["values"].copy()
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, -1))
        try:
            kernel.evaluate(**given | {{"cells": np.repeat(0.05 * np.eye(3)[None], here.BEADS, axis=0)}})
        except MemoryError:
            kernel.evaluate(**given | {{"values": (again := np.zeros_like(values))}})
            np.testing.assert_allclose(again, values, rtol=1e-12)
            print("refused")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=Path(__file__).parent,
        env={**os.environ, "PYTHONPATH": MODULES},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "refused\n"), done.stderr
