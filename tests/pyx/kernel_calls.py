"""Right arguments of every function of the compiled kernels, and arrays that are not quite right."""

import functools

import numpy as np
import twin
from beadwise.pyx.coupling import pairs
from beadwise.pyx.kernel import Kernel
from beadwise.pyx.water import flexible_water, point_charges

KINDS, RADIAL, L_MAX, NODES, CUTOFF = 2, 4, 2, 20, 3.0
CHANNELS, HARMONICS = KINDS * RADIAL, (L_MAX + 1) ** 2
BEADS, ATOMS, GRADIENTS, OUTPUTS = 2, 6, 2, 5  # outputs of heads of λ = 0, 1 and 0
FEATURES = -(-(CHANNELS + (L_MAX + 1) * CHANNELS * (CHANNELS + 1) // 2) // 8) * 8
ANGULAR = (BEADS, ATOMS, HARMONICS, CHANNELS)


def kernel_arguments():
    rng = np.random.default_rng(0)
    pair_table = np.ascontiguousarray(twin.random_table(rng, KINDS, NODES, 4, CUTOFF)[..., 0])
    layers = [(rng.normal(size=(KINDS, FEATURES, 8)), rng.normal(size=(KINDS, 8)))]
    return {
        "table": twin.random_table(rng, KINDS, NODES, RADIAL, CUTOFF),
        "pair_table": pair_table,
        "pair_cutoff": np.full((KINDS, KINDS), CUTOFF),
        "l_max": L_MAX,
        "cutoff": CUTOFF,
        "skin": 0.3,
        "groups": np.arange(KINDS, dtype=np.int32),
        "heads": [twin.random_head(rng, order, KINDS, CHANNELS, pairs(order, L_MAX)) for order in (0, 1, 0)],
        "network": (rng.normal(size=(KINDS, FEATURES)), layers, rng.normal(size=(KINDS, 8))),
    }


@functools.cache
def kernel():
    return Kernel(**kernel_arguments())


def structures(beads=BEADS):
    rng = np.random.default_rng(1)
    places = np.array([[0.0, 0, 0], [1.2, 0, 0], [0, 1.3, 0], [2.5, 2.5, 0.3], [3.7, 2.4, 0], [2.6, 3.8, 0]])
    return {
        "species": np.arange(ATOMS, dtype=np.int32) % KINDS,
        "positions": places + 0.05 * rng.normal(size=(beads, ATOMS, 3)),
        "cells": np.repeat(5.5 * np.eye(3)[None], beads, axis=0),
        "periodic": [True, True, True],
    }


def evaluate_arguments():
    return structures() | {
        "want_head": [True, True, True],
        "combinations": np.random.default_rng(2).normal(size=(BEADS, GRADIENTS, OUTPUTS)),
        "values": np.zeros((BEADS, ATOMS, OUTPUTS)),
        "gradients": np.zeros((BEADS, GRADIENTS, ATOMS, 3)),
        "strains": np.zeros((BEADS, GRADIENTS, 3, 3)),
        "closest_allowed": 0.1,
        "threads": 1,
        "density": np.zeros(ANGULAR),
        "part": 0,
        "parts": 1,
        "in_sum": False,
    }


def feature_arguments():
    features = KINDS * (CHANNELS + (L_MAX + 1) * CHANNELS**2)
    return structures(1) | {"gradients": np.zeros((3 * ATOMS, features)), "strains": np.zeros((9, features))}


def pull_back_arguments():
    adjoint = np.random.default_rng(3).normal(size=ANGULAR)
    written = {"gradients": np.zeros((BEADS, ATOMS, 3)), "strains": np.zeros((BEADS, 3, 3))}
    return structures() | {"adjoint": adjoint} | written | {"threads": 1}


def push_forward_arguments():
    rng = np.random.default_rng(4)
    direction = {"displacements": rng.normal(size=(BEADS, ATOMS, 3)), "strains": rng.normal(size=(BEADS, 3, 3))}
    return structures() | direction | {"tangent": np.zeros(ANGULAR), "threads": 1}


LAW = {
    "coulomb_constant": 14.4, "hydrogen_charge": 0.55, "site_weight": 0.13, "bond_depth": 5.0, "bond_exponent": 2.3,
    "bond_length": 0.94, "angle_stiffness": 3.8, "angle": 1.87, "well_depth": 0.008, "diameter": 3.16,
    "switch_width": 1.0, "cutoff": 5.0, "splitting": 0.6, "highest_wave": 4.0, "longest_bond": 2.0, "closest": 0.5,
    "lowest_cell": 2.0,
}  # fmt: skip


def water_arguments():
    molecules = np.array([[0.0, 0, 0], [0.95, 0, 0], [-0.24, 0.93, 0], [3.0, 3, 3], [3.95, 3, 3], [2.76, 3.93, 3]])
    return {
        "law": LAW,
        "positions": np.repeat(molecules[None], BEADS, axis=0),
        "cells": np.repeat(8.0 * np.eye(3)[None], BEADS, axis=0),
        "periodic": True,
        "energies": np.zeros(BEADS),
        "forces": np.zeros((BEADS, 6, 3)),
        "virials": np.zeros((BEADS, 3, 3)),
        "dipoles": np.zeros((BEADS, 3)),
        "threads": 1,
    }


def charge_arguments():
    charges = np.array([1.0, -1.0, 1.0, -1.0])
    positions = np.array([[0.0, 0, 0], [1.0, 0, 0], [0, 2.0, 0], [0, 0, 3.0]])
    return {
        "charges": charges,
        "positions": np.repeat(positions[None], BEADS, axis=0),
        "cells": np.repeat(6.0 * np.eye(3)[None], BEADS, axis=0),
        "periodic": True,
        "constant": 1.0,
        "splitting": 0.8,
        "cutoff": 5.0,
        "highest_wave": 5.0,
        "energies": np.zeros(BEADS),
        "forces": np.zeros((BEADS, 4, 3)),
        "virials": np.zeros((BEADS, 3, 3)),
        "threads": 1,
    }


CALLS = {
    "evaluate": (lambda **given: kernel().evaluate(**given), evaluate_arguments),
    "feature_gradients": (lambda **given: kernel().feature_gradients(**given), feature_arguments),
    "pull_back": (lambda **given: kernel().pull_back(**given), pull_back_arguments),
    "push_forward": (lambda **given: kernel().push_forward(**given), push_forward_arguments),
    "Kernel": (Kernel, kernel_arguments),
    "flexible_water": (flexible_water, water_arguments),
    "point_charges": (point_charges, charge_arguments),
}


def misfits(array, free=(), written=False, optional=False, layout=True):
    """Arrays that are not quite the right one, each with what is wrong with it."""
    for axis in range(array.ndim):
        if axis not in free:
            yield f"short in {axis}", np.delete(array, -1, axis)
            yield f"long in {axis}", np.concatenate([array, array.take([-1], axis)], axis)
            yield f"empty in {axis}", array.take([], axis)
    yield "too few axes", array[0].copy()
    yield "too many axes", array[None].copy()
    yield "no axes", array.ravel()[0]
    yield "single precision", array.astype(np.float32)
    yield "long integers", array.astype(np.int64)
    yield "objects", array.astype(object)
    yield "list", array.tolist()
    yield "other byte order", array.astype(array.dtype.newbyteorder())
    if layout:
        yield "Fortran's order" if array.ndim > 1 else "stride", strided(array)
        yield "unaligned", unaligned(array)
    if written:
        frozen = array.copy()
        frozen.flags.writeable = False
        yield "read-only", frozen
    if not optional:
        yield "None", None


def strided(array):
    return np.repeat(array, 2, axis=-1)[..., ::2]


def unaligned(array):
    bytes_ = np.zeros(array.nbytes + 1, dtype=np.uint8)[1:]
    return bytes_.view(array.dtype).reshape(array.shape)
