"""The script that makes frames near known ones, which a teacher labels: they move as the guide says, and no farther."""

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from ase import units
from ase.data import atomic_masses
from ase.io import read, write
from beadwise.model import Batch
from beadwise.model.correction import Corrected
from beadwise.model.evaluators import load_evaluator
from beadwise.model.model import Repulsion
from click.testing import CliRunner
from models import random_model, random_structure

sys.path.insert(0, str(Path(__file__).parents[2] / "docs" / "equivariant"))

import more_frames

GUIDE = "qtip4pf"


def water():
    atoms = random_structure(0, molecules=2)
    for first in range(0, len(atoms), 3):  # molecules near their minimum, far from each other
        atoms.positions[first : first + 3] = np.array([[0, 0, 0], [0.76, 0.59, 0], [-0.76, 0.59, 0]]) + 3 * first / 3
    atoms.set_cell(12 * np.eye(3))
    return atoms


class Wind:
    """A guide that pushes all atoms along x: velocity Verlet is exact for it."""

    def evaluate(self, batch, want):
        forces = np.zeros_like(batch.positions)
        forces[:, :, 0] = 0.05  # eV/Å
        return SimpleNamespace(forces=forces)


def test_atoms_move_as_the_guide_says():
    start, mass, time = water(), atomic_masses[water().numbers][:, None], 10 * units.fs
    end = more_frames.moved([start, start], Wind(), 300.0, 10.0, np.random.default_rng(1))
    velocities = np.random.default_rng(1).normal(size=(2, 6, 3)) * np.sqrt(units.kB * 300.0 / mass)
    velocities -= (mass * velocities).sum(axis=1, keepdims=True) / mass.sum()
    for atoms, velocity in zip(end, velocities, strict=True):
        expected = start.positions + time * velocity + np.array([0.05, 0, 0]) * time**2 / (2 * mass)
        np.testing.assert_allclose(atoms.positions, expected, atol=1e-10)


def test_frames_have_the_teachers_labels(tmp_path):
    write(tmp_path / "known.xyz", [water(), water()])
    arguments = [f"{tmp_path / 'known.xyz'}@:1", GUIDE, GUIDE, str(tmp_path / "more.xyz"), "--time", "5"]
    done = CliRunner().invoke(more_frames.main, [*arguments, "--temperature", "300", "--temperature", "500"])
    assert done.exit_code == 0 and "2 frames in" in done.output and "left out: 0" in done.output
    for atoms in read(tmp_path / "more.xyz", ":"):
        answer = load_evaluator(GUIDE, 1).evaluate(Batch.from_ase(atoms), ("energy", "forces"))
        assert atoms.get_potential_energy() == pytest.approx(answer.energy[0], abs=1e-6)
        np.testing.assert_allclose(atoms.get_forces(), answer.forces[0], atol=1e-5)
        assert atoms.info["config_type"] == "taught"


def test_beads_are_labelled_where_they_are(tmp_path):
    write(tmp_path / "beads.xyz", [water(), water()])
    arguments = [str(tmp_path / "beads.xyz"), GUIDE, GUIDE, str(tmp_path / "more.xyz"), "--time", "0"]
    done = CliRunner().invoke(more_frames.main, [*arguments, "--isolated"])
    assert done.exit_code == 0 and "2 frames in" in done.output
    for atoms in read(tmp_path / "more.xyz", ":"):
        np.testing.assert_allclose(atoms.positions, water().positions, atol=1e-7)
        assert not atoms.pbc.any()


def test_a_correction_labels_without_its_guard():
    correction = random_model()
    onset = np.full_like(correction.repulsion.onset, 1.2)
    guarded = replace(correction, repulsion=Repulsion(onset, 100.0))
    teacher = Corrected(load_evaluator(GUIDE, 1), guarded)
    batch = Batch.from_ase(water())  # whose bonds are shorter
    bare = Corrected(load_evaluator(GUIDE, 1), replace(guarded, repulsion=Repulsion(onset, 0.0)))
    label = more_frames.without_guard(teacher).evaluate(batch, ("energy",)).energy
    assert label == pytest.approx(bare.evaluate(batch, ("energy",)).energy)
    assert abs(teacher.evaluate(batch, ("energy",)).energy - label) > 0.1
    assert more_frames.without_guard(guarded) is guarded  # nothing else keeps its atoms apart


def test_what_is_not_there_is_said_in_one_line(tmp_path):
    done = CliRunner().invoke(more_frames.main, [str(tmp_path / "none.xyz"), GUIDE, GUIDE, "out.xyz"])
    assert done.exit_code == 1 and done.output.startswith("Error: ") and "none.xyz" in done.output
