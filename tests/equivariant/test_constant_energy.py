"""Dynamics at constant energy on equivariant networks: what is left of the energy is the error of the time step."""

import numpy as np
import pytest
from ase import units
from beadwise.model import Batch
from equivariant_models import random_equivariant_model
from models import random_structure

TIME = 12.0  # fs


def energies(model, atoms, femtoseconds):
    """Kinetic and potential energy, eV, at all steps of velocity Verlet."""
    step, masses = femtoseconds * units.fs, atoms.get_masses()[:, None]
    positions = atoms.positions.copy()
    velocities = np.random.default_rng(0).normal(size=positions.shape) * np.sqrt(0.03 / masses)

    def answer():
        own = model.evaluate(Batch(atoms.numbers, positions[None], atoms.cell[None], atoms.pbc), ("energy", "forces"))
        return own.energy[0], own.forces[0]

    potential, forces = answer()
    found = []
    for _ in range(round(TIME / femtoseconds)):
        velocities += step / 2 * forces / masses
        positions += step * velocities
        potential, forces = answer()
        velocities += step / 2 * forces / masses
        found.append((0.5 * np.sum(masses * velocities**2), potential))
    return np.array(found)


@pytest.mark.parametrize("message", [False, True])
def test_the_energy_is_conserved_to_second_order(message):
    model = random_equivariant_model(3, heads=("energy",), message=message)
    atoms = random_structure(1, molecules=2)
    errors = []
    for femtoseconds in (0.2, 0.1, 0.05):
        kinetic, potential = energies(model, atoms, femtoseconds).T
        errors.append(np.std(kinetic + potential))
        assert np.ptp(kinetic) > 0.05  # energy goes to and fro
    assert errors[2] < 1e-4 * np.ptp(kinetic)
    assert 3.3 < errors[0] / errors[1] < 4.7 and 3.7 < errors[1] / errors[2] < 4.3, errors
