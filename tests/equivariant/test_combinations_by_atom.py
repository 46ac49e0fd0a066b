"""Gradients of Σ_i c_i·(outputs of atom i), each atom with a combination of its own, for every kind of model."""

import numpy as np
import pytest
from beadwise.model import Batch
from beadwise.model.checks import CLOSEST_ALLOWED
from equivariant_models import random_equivariant_model
from models import HEADS, random_model, random_structure

ATOMS = random_structure(1)
MODELS = {
    "heads": lambda: random_model(1),
    "network": lambda: random_model(1, hidden=(8,)),
    "equivariant": lambda: random_equivariant_model(1, heads=HEADS),
    "messages": lambda: random_equivariant_model(1, heads=HEADS, message=True),
}


def evaluated(model, atoms, combinations, part=0, parts=1):
    batch, count, outputs = Batch.from_ase(atoms), len(atoms), model.layout.outputs
    values, channels = np.zeros((1, count, outputs)), combinations.shape[1]
    gradients, strains = np.zeros((1, channels, count, 3)), np.zeros((1, channels, 3, 3))
    model.kernel.evaluate(
        model.species_indices(batch.numbers), batch.positions, batch.cells, batch.periodic,
        [True] * len(model.layout.heads), combinations, values, gradients, strains, CLOSEST_ALLOWED, 1, None, part,
        parts,
    )  # fmt: skip
    return values[0], gradients[0], strains[0]


@pytest.mark.parametrize("name", MODELS)
def test_each_atom_has_its_own(name):
    model = MODELS[name]()
    random, count, outputs = np.random.default_rng(3), len(ATOMS), model.layout.outputs
    own = random.normal(size=(1, 2, count, outputs))
    own[0, 1, :-1] = 0.0  # one atom alone
    _, gradients, strains = evaluated(model, ATOMS, own)

    def totals(change):
        trial = ATOMS.copy()
        change(trial)
        return np.einsum("nio,io->n", own[0], evaluated(model, trial, own)[0])

    def slope(change, size=1e-3):
        near, far = (
            totals(lambda a, s=s: change(a, s)) - totals(lambda a, s=s: change(a, -s)) for s in (size, 2 * size)
        )
        return (8 * near - far) / (12 * size)

    for atom, axis in ((0, 0), (2, 1), (count - 1, 2)):

        def moved(trial, step, place=(atom, axis)):
            trial.positions[place] += step

        np.testing.assert_allclose(gradients[:, atom, axis], slope(moved), rtol=1e-6, atol=1e-7)

    def strained(trial, step):
        matrix = np.eye(3)
        matrix[0, 1] += step
        trial.set_cell(trial.cell.array @ matrix.T, scale_atoms=True)

    np.testing.assert_allclose(strains[:, 0, 1], slope(strained), rtol=1e-6, atol=1e-6)
    alike = np.ascontiguousarray(np.broadcast_to(own[:, :, :1], own.shape))
    for one, other in zip(
        evaluated(model, ATOMS, alike), evaluated(model, ATOMS, np.ascontiguousarray(own[:, :, 0])), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    parts = [evaluated(model, ATOMS, own, part, 3) for part in range(3)]
    np.testing.assert_allclose(sum(one[1] for one in parts), gradients, atol=1e-12 * np.abs(gradients).max())
