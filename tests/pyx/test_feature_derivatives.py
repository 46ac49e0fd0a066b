"""Derivatives of the features of heads of any λ, which labels such as Born charges are fitted with."""

from dataclasses import replace

import numpy as np
import pytest
from beadwise.model import Batch
from beadwise.pyx.feature_derivatives import feature_derivatives
from beadwise.pyx.kernel import head_feature_gradients
from beadwise.pyx.tensor_head import feature_sizes, features, head_from_features
from kernel_calls import ATOMS, CHANNELS, KINDS, kernel, structures
from models import random_model, random_structure

CASES = [(0, 1), (1, 1), (2, 1), (1, -1), (2, -1)]


def structure_of(model, atoms):
    batch = Batch.from_ase(atoms)
    return model.species_indices(batch.numbers), batch.positions, batch.cells, batch.periodic


def whole(model, order, shape, atoms, parity, bytes_at_a_time):
    parts = list(feature_derivatives(model.kernel, order, shape, structure_of(model, atoms), parity, bytes_at_a_time))
    assert next(own.start for own, _ in parts) == 0 and parts[-1][0].stop == len(atoms)
    return len(parts), np.concatenate([derivatives for _, derivatives in parts])


@pytest.mark.parametrize(("order", "parity"), CASES)
@pytest.mark.parametrize(("groups", "l_max"), [((), 2), ((0, 0), 3)])
def test_they_are_differences_of_the_features(order, parity, groups, l_max):
    """Of padded channels, shared channels, an l_max below that of the density, and images of an atom itself."""
    model = random_model(heads=("energy",), radial=3, l_max=3, groups=groups)
    shape, atoms = replace(model.shape, l_max=l_max), random_structure(4, 1)

    def at(positions):
        moved = atoms.copy()
        moved.positions = positions
        density = model.density(Batch.from_ase(moved))[0][:, : shape.harmonics]
        return features(order, shape, density, model.species_indices(atoms.numbers), parity)

    _, received = whole(model, order, shape, atoms, parity, 2**24)
    assert received.shape == (3, 3, 2 * order + 1, 2 * sum(feature_sizes(order, shape, parity)))
    step = 1e-4
    for atom, axis in ((0, 2), (2, 0)):
        ends = []
        for sign in (1, -1):
            positions = atoms.positions.copy()
            positions[atom, axis] += sign * step
            ends.append(at(positions))
        np.testing.assert_allclose(received[atom, axis], (ends[0] - ends[1]) / (2 * step), atol=2e-6)
    np.testing.assert_allclose(received.sum(axis=0), 0, atol=1e-11)  # nothing changes if all atoms move together


def test_they_give_the_born_charges_of_a_head():
    """With weights they are what the reverse sweep of the kernel gives, in any number of blocks."""
    model = random_model(heads=("energy", "dipole"), l_max=3)
    atoms, shape = random_structure(1, 2), model.shape
    weights = np.random.default_rng(3).normal(size=2 * sum(feature_sizes(1, shape)))
    model = replace(model, heads={**model.heads, "dipole": head_from_features(1, shape, weights)})
    counts = []
    for size in (1, 2 * 8 * 9 * 2 * (8 + 3 * 64), 2**24):
        count, received = whole(model, 1, shape, atoms, 1, size)
        counts.append(count)
        components = received @ weights
        expected = model.evaluate(Batch.from_ase(atoms), ("born_charges",)).born_charges[0]
        scale = np.abs(expected).max()
        np.testing.assert_allclose(components[..., [2, 0, 1]] / scale, expected / scale, atol=1e-12)  # y, z, x
    assert counts == [6, 3, 1]


def arguments(**changed):
    block = (0, 1, False, np.ones((1, 3, 3)), np.zeros((KINDS, CHANNELS, CHANNELS)))
    head = (1, np.zeros(KINDS), np.zeros((KINDS, CHANNELS)), [block])
    gradients = np.zeros((2, 3, 3, KINDS, CHANNELS + CHANNELS**2))
    return structures(1) | {"head": head, "begin": 0, "gradients": gradients} | changed


def test_what_does_not_fit_is_refused():
    head_feature_gradients(kernel(), **arguments())
    assert head_feature_gradients(kernel(), **arguments(gradients=arguments()["gradients"][:0])) is None
    with pytest.raises(ValueError, match=r"begin is \d+; allowed are 0 to"):
        head_feature_gradients(kernel(), **arguments(begin=ATOMS - 1))
    with pytest.raises(ValueError, match="gradients has shape"):
        head_feature_gradients(kernel(), **arguments(gradients=np.zeros((2, 3, 3, 2, 5))))
    with pytest.raises(ValueError, match=f"gradients are of {ATOMS + 1} atoms; there are {ATOMS}"):
        shape = arguments()["gradients"].shape
        head_feature_gradients(kernel(), **arguments(gradients=np.zeros((ATOMS + 1, *shape[1:]))))
    order, offset, linear, blocks = arguments()["head"]
    same = (0, 0, True, np.ones((1, 1, 1)), blocks[0][4])
    with pytest.raises(ValueError, match="is symmetric"):
        head_feature_gradients(kernel(), **arguments(head=(order - 1, offset, linear, [same])))
