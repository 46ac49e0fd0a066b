"""Answers that are kept as they come: order, alike structures, processes, failures."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from beadwise.model import Batch, BeadwiseError, kept_answers
from beadwise.model.evaluators import load_evaluator
from beadwise.model.kept_answers import KeptAnswers, structure_key

HARMONIC = "harmonic:k=2"
LENNARD_JONES = "lennard-jones:epsilon=0.01,sigma=0.9,cutoff=2.8"


class Memory:
    """A shelf that counts."""

    def __init__(self):
        self.kept, self.order = {}, []

    @property
    def content(self):
        return f"{len(self.kept)} answers are kept"

    def key(self, bead):
        return structure_key("", bead.positions)

    def find(self, key, bead):
        return self.kept.get(key)

    def keep(self, key, answer):
        self.kept[key] = answer
        self.order.append(key)


def answers_of(name, shelf, properties=("energy", "forces")):
    return KeptAnswers(name, load_evaluator(name), properties, shelf, name)


def pair(distance, beads=1):
    positions = np.zeros((beads, 2, 3))
    positions[:, 1, 0] = distance + 0.01 * np.arange(beads)
    return Batch(np.array([1, 1]), positions, np.eye(3)[None].repeat(beads, 0) * 20, np.ones(3, bool))


@pytest.fixture
def at_once(monkeypatch):
    """Let processes start after the first evaluation."""
    monkeypatch.setattr(kept_answers, "START", 0.0)


@pytest.mark.parametrize("workers", [1, 2])
def test_in_order_and_each_once(workers, at_once):
    distances = [1.0, 1.1, 1.0, 1.2, 1.2, 1.1, 1.3]
    shelf = Memory()
    found = list(answers_of(HARMONIC, shelf).of_all([(f"pair {x}", pair(x, 3)) for x in distances], workers))
    expected = [[(x + 0.01 * bead) ** 2 for bead in range(3)] for x in distances]
    np.testing.assert_allclose([[answer["energy"] for answer in own] for own in found], expected, rtol=1e-12)
    assert found[0][0]["forces"].shape == (2, 3)
    assert len(shelf.order) == len(shelf.kept) == 4 * 3
    again = answers_of(HARMONIC, shelf).of_all(((f"pair {x}", pair(x, 3)) for x in distances), workers)
    assert [len(own) for own in again] == [3] * 7 and len(shelf.order) == 4 * 3


def test_short_work_starts_no_process(monkeypatch):
    def refuse(workers):
        raise AssertionError(f"{workers} processes start")

    monkeypatch.setattr(kept_answers, "processes", refuse)
    answers = answers_of(HARMONIC, Memory())
    tasks = [("a", pair(1 + 0.1 * place)) for place in range(9)]
    assert len(list(answers.of_all(tasks, 2))) == len(list(answers.of_all(iter(tasks), 2))) == 9
    monkeypatch.setattr(kept_answers, "START", -1.0)
    with pytest.raises(AssertionError, match="2 processes start"):
        list(answers.of_all(tasks, 2))


def test_one_that_fails_is_named_and_what_others_gave_is_kept(at_once):
    shelf = Memory()
    tasks = [(f"pair {place}", pair(1.0 + 0.1 * place)) for place in range(8)]
    tasks[2] = ("the bad one", pair(0.01))
    with pytest.raises(BeadwiseError, match=rf"^{LENNARD_JONES} cannot be evaluated for the bad one: atoms 0 and 1"):
        list(answers_of(LENNARD_JONES, shelf).of_all(tasks, 2))
    assert 1 <= len(shelf.kept) <= 7 and len(shelf.kept) == len(shelf.order)


def test_what_earlier_releases_name_structures():
    """Names of files that users have: they must not change."""
    atoms = Atoms("OHH", [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]], cell=[8, 8, 8], pbc=True)
    bead = Batch.from_ase(atoms)
    arrays = (bead.numbers, bead.positions, bead.cells, bead.periodic)
    assert structure_key("", *arrays) == "cdd0627b946be90df14b546dc8bd486f"
    assert structure_key("harmonic:k=2 ", *arrays) == "8d07b8611d859d3c4e5f316fc96f7079"
