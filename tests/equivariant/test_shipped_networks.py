"""Shipped equivariant networks on frames of public test sets that nothing was fitted to or chosen by.

`public_frames.xyz` has every eightieth of the first frames of `test_MD` of ethanol (A. S. Christensen,
O. A. von Lilienfeld, Mach. Learn.: Sci. Technol. 1, 045018 (2020)) and of `test_MD_300K` and `test_MD_600K` of
acetylacetone (I. Batatia et al., arXiv:2205.06643), which are MIT; `beadwise fetch` brings all of them.
"""

import numpy as np
import pytest
from ase.io import read
from beadwise.model import Batch
from beadwise.model.evaluators import load_evaluator
from places import REPOSITORY

FRAMES = REPOSITORY / "tests" / "equivariant" / "public_frames.xyz"


@pytest.mark.parametrize(
    ("name", "kind", "frames", "mean_absolute", "root_mean_square", "energy"),
    [
        ("ethanol_accurate", "ethanol", 12, 4.5, 7.0, 1.0),
        ("acetylacetone_gfn2", "300 K", 8, 3.5, 5.0, 1.0),
        ("acetylacetone_gfn2", "600 K", 8, 10.0, 18.0, 3.0),
    ],
)
def test_errors_on_public_frames(name, kind, frames, mean_absolute, root_mean_square, energy):
    own = [atoms for atoms in read(FRAMES, ":") if atoms.info["config_type"] == kind]
    assert len(own) == frames
    answer = load_evaluator(name).evaluate(Batch.from_ase(own), ("energy", "forces"))
    errors = 1000 * (answer.forces - np.array([atoms.get_forces() for atoms in own]))  # meV/Å
    assert np.abs(errors).mean() < mean_absolute
    assert np.sqrt((errors**2).mean()) < root_mean_square
    assert 1000 * np.abs(answer.energy - [atoms.get_potential_energy() for atoms in own]).mean() < energy  # meV


def test_forces_are_derivatives():
    atoms = read(FRAMES, 0)
    model, step = load_evaluator("ethanol_accurate"), 1e-4  # Å
    moved = []
    for atom, axis, sign in np.ndindex(3, 3, 2):
        own = atoms.copy()
        own.positions[atom, axis] += (1 - 2 * sign) * step
        moved.append(own)
    energies = model.evaluate(Batch.from_ase(moved), ("energy",)).energy.reshape(3, 3, 2)
    forces = model.evaluate(Batch.from_ase([atoms]), ("forces",)).forces[0, :3]
    np.testing.assert_allclose(forces, (energies[..., 1] - energies[..., 0]) / (2 * step), atol=1e-6)
