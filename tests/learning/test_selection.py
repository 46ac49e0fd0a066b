"""Choosing what to label: descriptors do not change with the observer, and the choice is that of a slow twin."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from beadwise.learning.loop.selection import (
    ATOMS_PER_FRAME,
    COPY,
    DIMENSIONS,
    UNRELATED,
    Candidate,
    SelectionError,
    describe,
    descriptors_of,
    nearest_distance,
    power_spectrum,
    random_choice,
    select,
)
from beadwise.model import Batch
from models import random_model, random_structure


@pytest.fixture(scope="module")
def model():
    return random_model(radial=4, l_max=3)  # more features than DIMENSIONS: the projection is tested with the rest


def candidate(atoms: Atoms, uncertainties: np.ndarray, step: int = 0, bead: int = 0) -> Candidate:
    return Candidate(atoms, float(np.max(uncertainties)), "run", step, bead, np.asarray(uncertainties))


def some_candidates(count: int, seed: int = 0) -> list[Candidate]:
    rng = np.random.default_rng(seed)
    return [candidate(random_structure(100 + n), rng.uniform(0.05, 0.3, 9), step=n) for n in range(count)]


def descriptor_twin(density: np.ndarray) -> np.ndarray:
    """Unit vector of the full power spectrum of one environment, both orders of each pair of channels."""
    l_max = int(np.sqrt(len(density))) - 1
    channels = density.shape[1]
    numbers = []
    for degree in range(l_max + 1):
        for k in range(channels):
            for q in range(channels):
                order = range(degree**2, (degree + 1) ** 2)
                numbers.append(sum(density[m, k] * density[m, q] for m in order) / np.sqrt(2 * degree + 1))
    return np.array(numbers) / np.linalg.norm(numbers)


def select_twin(candidates, count, model, known):
    """Weighted farthest-point sampling by its definition, every distance anew at every choice."""
    seen = list(known)
    chosen = []
    while len(chosen) < count:
        environments = [descriptors_of(model, [atoms]) for atoms in seen]
        best, best_score = None, 0.0
        for place, own in enumerate(candidates):
            if place in chosen:
                continue
            descriptors, species = descriptors_of(model, [own.atoms])
            for atom in sorted(range(len(own.atoms)), key=lambda i: -own.atom_uncertainties[i])[:ATOMS_PER_FRAME]:
                distance = UNRELATED
                for others, kinds in environments:
                    for other, kind in zip(others, kinds, strict=True):
                        if kind == species[atom]:
                            distance = min(distance, np.linalg.norm(descriptors[atom] - other))
                score = own.atom_uncertainties[atom] * distance
                if distance > COPY and score > best_score:
                    best, best_score = place, score
        if best is None:
            break
        chosen.append(best)
        seen.append(candidates[best].atoms)
    return chosen


def places_of(chosen, candidates):
    return [next(n for n, own in enumerate(candidates) if own is one) for one in chosen]


def test_descriptors_do_not_change_with_rotation_inversion_translation_or_order(model):
    rng = np.random.default_rng(1)
    atoms = random_structure(2)
    before, species = descriptors_of(model, [atoms])
    for sign in (1, -1):
        orthogonal = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        orthogonal *= sign * np.sign(np.linalg.det(orthogonal))
        order = rng.permutation(len(atoms))
        moved = Atoms(
            atoms.numbers[order],
            (atoms.positions @ orthogonal.T + rng.normal(size=3))[order],
            cell=atoms.cell.array @ orthogonal.T,
            pbc=True,
        )
        moved.positions[0] += moved.cell.array[1]  # another image
        after, kinds = descriptors_of(model, [moved])
        np.testing.assert_allclose(after, before[order], rtol=0, atol=1e-10)
        assert np.array_equal(kinds, species[order])


def test_scalar_products_are_those_of_the_whole_power_spectrum():
    small = random_model(radial=2, l_max=2)
    density = small.density(Batch.from_ase(random_structure(3)))[0]
    slow = np.array([descriptor_twin(own) for own in density])
    own = describe(density)
    assert own.shape[1] < slow.shape[1]
    np.testing.assert_allclose(own @ own.T, slow @ slow.T, atol=1e-12)
    assert (own @ own.T).min() > -1e-12  # so that no distance exceeds that of unrelated environments


def test_the_projection_keeps_distances(model):
    density = np.concatenate([model.density(Batch.from_ase(random_structure(seed)))[0] for seed in range(4)])
    whole = power_spectrum(density)
    whole /= np.linalg.norm(whole, axis=1, keepdims=True)
    short = describe(density)
    assert short.shape[1] == DIMENSIONS < whole.shape[1]
    pairs = np.triu_indices(len(density), 1)
    ratio = [np.linalg.norm(own[pairs[0]] - own[pairs[1]], axis=1) for own in (short, whole)]
    ratio = ratio[0] / ratio[1]
    # of uncorrelated directions the ratio has the standard deviation 1/sqrt(2 * 128) = 0.06
    assert abs(ratio.mean() - 1) < 0.1 and ratio.std() < 0.12


def test_an_atom_without_neighbours_has_a_descriptor(model):
    descriptors, _ = descriptors_of(model, [Atoms("O", [[0, 0, 0]], cell=[20] * 3, pbc=True)])
    assert np.array_equal(descriptors, np.zeros((1, DIMENSIONS)))


def test_nearest_distance_is_that_of_all_pairs():
    rng = np.random.default_rng(0)
    points, known = rng.normal(size=(7, 5)), rng.normal(size=(11, 5))
    slow = np.linalg.norm(points[:, None] - known, axis=2).min(axis=1)
    np.testing.assert_allclose(nearest_distance(points, known), slow, rtol=1e-12)
    assert nearest_distance(known[:1], known)[0] < COPY


@pytest.mark.parametrize("known", [0, 3])
def test_the_choice_is_that_of_a_slow_twin(model, known):
    candidates = some_candidates(12)
    frames = [random_structure(seed) for seed in range(known)]
    chosen = select(candidates, 6, model, frames)
    assert places_of(chosen, candidates) == select_twin(candidates, 6, model, frames)
    assert chosen == select(candidates, 6, model, frames)


def test_chunks_change_nothing(model, monkeypatch):
    candidates = some_candidates(9)
    frames = [random_structure(seed) for seed in range(3)]
    whole = select(candidates, 5, model, frames)
    monkeypatch.setattr("beadwise.learning.loop.selection.CHUNK_NUMBERS", 1)
    assert places_of(select(candidates, 5, model, frames), candidates) == places_of(whole, candidates)


def test_the_most_uncertain_is_taken_first_where_nothing_is_known(model):
    candidates = some_candidates(8)
    first = select(candidates, 1, model)[0]
    assert first.uncertainty == max(own.uncertainty for own in candidates)


def test_an_uncertain_outlier_is_taken_first(model):
    base = random_structure(0)
    rng = np.random.default_rng(0)
    candidates = []
    for step in range(10):
        atoms = base.copy()
        atoms.positions += rng.normal(0, 0.01, atoms.positions.shape)
        candidates.append(candidate(atoms, np.full(9, 0.1), step))
    outlier = base.copy()
    outlier.positions[1] += 0.3 * (outlier.positions[1] - outlier.positions[0])  # a bond 30 % too long
    uncertainties = np.full(9, 0.1)
    uncertainties[1] = 0.5
    candidates.insert(4, candidate(outlier, uncertainties, 99))
    assert select(candidates, 1, model, [base])[0].step == 99


def test_beads_of_a_step_are_not_taken_together(model):
    """Their most uncertain atoms differ, which must not make them look different."""
    rng = np.random.default_rng(5)
    candidates = []
    for step in range(4):
        base = random_structure(step)
        for bead in range(6):
            atoms = base.copy()
            atoms.positions += rng.normal(0, 0.003, atoms.positions.shape)
            candidates.append(candidate(atoms, rng.uniform(0.2, 0.3, 9), step, bead))
    chosen = select(candidates, 4, model)
    assert {own.step for own in chosen} == {0, 1, 2, 3}
    assert [own.step for own in random_choice(candidates, 4)] != [own.step for own in chosen]


def test_an_environment_that_is_known_on_another_atom_is_not_new(model):
    atoms = random_structure(1)
    order = [3, 4, 5, 0, 1, 2, 6, 7, 8]
    assert select([candidate(atoms[order], np.full(9, 0.4))], 1, model, [atoms]) == []


def test_copies_and_what_is_certain_are_left_out(model):
    own = some_candidates(2)
    certain = candidate(random_structure(7), np.zeros(9))
    chosen = select([own[0], own[0], own[1], certain], 4, model)
    assert len(chosen) == 2
    assert {one.step for one in chosen} == {0, 1}


def test_structures_of_different_systems_stand_side_by_side(model):
    rng = np.random.default_rng(0)
    sizes = [3, 1, 1, 2, 3]
    candidates = [
        candidate(random_structure(n, size), rng.uniform(0.1, 0.2, 3 * size), n) for n, size in enumerate(sizes)
    ]
    pair = Atoms("HH", [[0, 0, 0], [0.8, 0, 0]], cell=[9] * 3, pbc=True)  # fewer atoms than represent a frame
    candidates.append(candidate(pair, [0.3, 0.3], 9))
    chosen = select(candidates, 6, model, [random_structure(20)])
    assert sorted(own.step for own in chosen) == [0, 1, 2, 3, 4, 9]
    assert places_of(chosen, candidates) == select_twin(candidates, 6, model, [random_structure(20)])


def test_frames_of_the_same_atoms_may_have_other_charges(model):
    candidates, known = some_candidates(3), [random_structure(20 + n) for n in range(3)]
    plain = select(candidates, 2, model, known)
    for charge, (own, frame) in enumerate(zip(candidates, known, strict=True)):
        own.atoms.info["charge"] = frame.info["total_charge"] = float(charge)
    assert places_of(select(candidates, 2, model, known), candidates) == places_of(plain, candidates)


class Unsure:
    """A model that has uncertainties, as one with members has."""

    properties = ("forces_uncertainty",)

    def __init__(self, model, uncertainties):
        self.shape, self.l_max = model.shape, model.l_max
        self.density, self.species_indices = model.density, model.species_indices
        self.uncertainties = uncertainties

    def evaluate(self, batch, want):
        return {"forces_uncertainty": self.uncertainties[: batch.beads]}


def test_the_model_is_asked_for_uncertainties_that_candidates_do_not_bring(model):
    bring = some_candidates(6)
    bare = [replace(own, atom_uncertainties=None) for own in bring]
    unsure = Unsure(model, np.array([own.atom_uncertainties for own in bring]))
    assert places_of(select(bare, 3, unsure), bare) == places_of(select(bring, 3, model), bring)


def test_random_choice_repeats_and_has_no_repetition():
    candidates = [Candidate(Atoms("H"), 0.1, step=n) for n in range(20)]
    chosen = random_choice(candidates, 8, seed=3)
    assert chosen == random_choice(candidates, 8, seed=3) != random_choice(candidates, 8, seed=4)
    assert len({own.step for own in chosen}) == 8
    assert len(random_choice(candidates, 50)) == 20


def test_nothing_to_choose(model):
    assert select([], 3, model) == []
    assert select(some_candidates(2), 0, model) == []


@pytest.mark.parametrize(
    "candidates, count, message",
    [
        ([], -1, "-1 candidates"),
        ([Candidate(random_structure(), 0.2, "run", 7, 1)], 1, "bead 1 at step 7 of 'run' comes without"),
        ([candidate(random_structure(), np.full(8, 0.1))], 1, r"have shape \(8,\).*9 atoms"),
        ([candidate(random_structure(), np.full(9, np.nan))], 1, "finite"),
        ([candidate(random_structure(), np.full(9, -0.1))], 1, "between -0.1 and -0.1"),
    ],
)
def test_what_cannot_be_chosen_from_is_refused(candidates, count, message, model):
    with pytest.raises(SelectionError, match=message):
        select(candidates, count, model)
    if count < 0:
        with pytest.raises(SelectionError, match=message):
            random_choice(candidates, count)
