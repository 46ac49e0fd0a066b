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
    "messages": {"message": True},
    "messages in shared channels": {"message": True, "groups": (0, 0), "radial": 5, "l_sent": 2},
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


@pytest.mark.parametrize("message", [False, True])
def test_tensors_are_those_of_the_twin(message):
    heads = ("energy", "polarizability_isotropic", "polarizability_anisotropic")
    model, atoms = random_equivariant_model(6, heads=heads, message=message), random_structure(3, molecules=2)
    batch = Batch.from_ase(atoms)
    own, bare = (
        one.additive.evaluate(batch, ("polarizability",))["polarizability"][0]
        for one in (model, replace(model, equivariant=None))
    )
    added = outputs(model, atoms)
    components = np.concatenate([added[name].sum(axis=0).ravel() for name in heads[1:]])
    expected = model.layout.quantities["polarizability"].form.cartesian(components)
    np.testing.assert_allclose(own - bare, expected, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("message", [False, True])
def test_forces_are_derivatives(message):
    model, atoms = random_equivariant_model(4, message=message), random_structure(4, molecules=2)
    forces, step = model.evaluate(Batch.from_ase(atoms), ("forces",)).forces[0], 1e-4
    for atom, axis in [(0, 0), (1, 2), (5, 1)]:
        energies = []
        for sign in (-1, 1):
            moved = atoms.copy()
            moved.positions[atom, axis] += sign * step
            energies.append(model.evaluate(Batch.from_ase(moved), ("energy",)).energy[0])
        assert forces[atom, axis] == pytest.approx((energies[0] - energies[1]) / (2 * step), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("message", [False, True])
def test_parts_and_threads_answer_as_the_whole_does(message):
    model, atoms = random_equivariant_model(5, message=message), random_structure(5, molecules=3)
    beads = [atoms.copy() for _ in range(3)]
    for seed, bead in enumerate(beads):
        bead.rattle(0.05, seed=seed)
    batch, want = Batch.from_ase(beads), ("forces", "virial", "dipole", "born_charges")
    whole = model.evaluate(batch, want)
    parts = [model.evaluate_part(batch, want, part, 4) for part in range(4)]
    shared = model.assemble(batch, want, [sum(arrays) for arrays in zip(*parts, strict=True)])
    threaded = replace(model, threads=2).evaluate(batch, want)
    for name in want:
        expected = getattr(whole, name)
        for other in (shared, threaded):
            np.testing.assert_allclose(getattr(other, name), expected, atol=1e-12 * np.abs(expected).max())
