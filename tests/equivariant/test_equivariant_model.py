"""A model with an equivariant network: its answers against a twin in NumPy, and its derivatives."""

from dataclasses import replace

import numpy as np
import pytest
from beadwise.model import Batch
from equivariant_model_twin import outputs
from equivariant_models import random_equivariant_model
from models import random_structure

CASES = {
    "as usual": {},
    "more channels of higher l": {"l_max": 4, "l_network": 3, "channels": 16, "hidden": (9,), "l_read": 3, "radial": 5},
    "shared channels": {"groups": (0, 0), "radial": 5},
}


@pytest.mark.parametrize("name", CASES)
def test_answers_are_those_of_the_twin(name):
    model, atoms = random_equivariant_model(2, **CASES[name]), random_structure(3, molecules=2)
    batch = Batch.from_ase(atoms)
    answer, bare = (one.evaluate(batch, ("energy", "dipole")) for one in (model, replace(model, equivariant=None)))
    added = outputs(model, atoms)
    np.testing.assert_allclose((answer.energy - bare.energy)[0], added["energy"].sum(), rtol=1e-10)
    dipole = model.layout.quantities["dipole"].form.cartesian(added["dipole"].sum(axis=0))
    np.testing.assert_allclose((answer.dipole - bare.dipole)[0], dipole, rtol=1e-10, atol=1e-12)


def test_forces_are_derivatives():
    model, atoms = random_equivariant_model(4), random_structure(4, molecules=2)
    forces, step = model.evaluate(Batch.from_ase(atoms), ("forces",)).forces[0], 1e-4
    for atom, axis in [(0, 0), (1, 2), (5, 1)]:
        energies = []
        for sign in (-1, 1):
            moved = atoms.copy()
            moved.positions[atom, axis] += sign * step
            energies.append(model.evaluate(Batch.from_ase(moved), ("energy",)).energy[0])
        assert forces[atom, axis] == pytest.approx((energies[0] - energies[1]) / (2 * step), rel=1e-5, abs=1e-6)
