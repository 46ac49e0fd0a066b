"""A potential switched on over a harmonic crystal: both ends, derivatives, symmetries, the door, refusals."""

import json

import ase.io
import numpy as np
import pytest
from ase.build import bulk
from beadwise.driver.commands.crystals.harmonic import harmonic
from beadwise.driver.commands.group import OneLineErrors
from beadwise.driver.doors.responder import Responder
from beadwise.model import Batch, StructureError
from beadwise.model.baselines import LennardJones
from beadwise.model.crystals.hessian import hessian_of
from beadwise.model.crystals.minimum import minimum_of
from beadwise.model.crystals.reference import CrystalError, HarmonicReference
from beadwise.model.crystals.switch import Switched
from beadwise.model.errors import EvaluatorError
from beadwise.model.evaluators import files_of, from_any_folder, load_evaluator, models_of
from beadwise.runs.units import HARTREE_PER_ELECTRONVOLT, lengths_from_atomic
from click.testing import CliRunner

NAME = "lennard-jones:epsilon=0.0104,sigma=3.4,cutoff=8.5"
ARGON = LennardJones(epsilon=0.0104, sigma=3.4, cutoff=8.5)
ALL = ("energy", "forces", "virial", "switch_difference", "switch_lambda")
main = OneLineErrors(commands={"harmonic": harmonic})


@pytest.fixture(scope="module")
def reference():
    batch = Batch.from_ase(bulk("Ar", "fcc", 5.25, cubic=True).repeat((2, 2, 2)))
    minimum = minimum_of(ARGON, batch, floats=True)
    return HarmonicReference(
        batch.numbers, np.full(32, 39.95), minimum.structure.positions[0], batch.cells[0],
        minimum.hessian.symmetric(True), minimum.energy, True, NAME, "1",
    )  # fmt: skip


def beads_of(reference, beads=3, seed=1, scale=0.15):
    noise = np.random.default_rng(seed).normal(scale=scale, size=(beads, len(reference.numbers), 3))
    return as_batch(reference, reference.positions + noise)


def as_batch(reference, positions, cell=None):
    cells = np.repeat((reference.cell if cell is None else cell)[None], len(positions), axis=0)
    return Batch(reference.numbers, positions, cells, np.ones(3, dtype=bool))


def test_it_is_the_sum_of_loops(reference):
    batch = beads_of(reference)
    answer = Switched(ARGON, reference, 0.3).evaluate(batch, ALL)
    plain = ARGON.evaluate(batch, ("energy", "forces", "virial"))
    for bead in range(batch.beads):
        moved = batch.positions[bead] - reference.positions
        moved -= moved.mean(axis=0)
        flat = moved.ravel()
        energy = reference.energy + 0.5 * sum(
            flat[i] * reference.hessian[i, j] * flat[j] for i in range(96) for j in range(96)
        )
        forces = -(reference.hessian @ flat).reshape(-1, 3)
        virial = sum(np.outer(force, place) for force, place in zip(forces, moved, strict=True))
        assert answer.switch_difference[bead] == pytest.approx(plain.energy[bead] - energy, abs=1e-10)
        assert answer.energy[bead] == pytest.approx(0.3 * plain.energy[bead] + 0.7 * energy, abs=1e-10)
        np.testing.assert_allclose(answer.forces[bead], 0.3 * plain.forces[bead] + 0.7 * forces, atol=1e-10)
        np.testing.assert_allclose(answer.virial[bead], 0.3 * plain.virial[bead] + 0.7 * virial, atol=1e-10)
    assert (answer.switch_lambda == 0.3).all()


def test_both_ends_are_the_parts_exactly(reference):
    batch = beads_of(reference)
    plain = ARGON.evaluate(batch, ("energy", "forces", "virial"))
    one = Switched(ARGON, reference, 1).evaluate(batch, ALL)
    for name in ("energy", "forces", "virial"):
        assert np.array_equal(one[name], plain[name])

    class NeverAsked:
        species = ()
        properties = ("energy", "forces", "virial")

    zero = Switched(NeverAsked(), reference, 0).evaluate(batch, ("energy", "forces", "virial"))
    half = Switched(ARGON, reference, 0.5).evaluate(batch, ALL)
    np.testing.assert_allclose(half.energy, (zero.energy + plain.energy) / 2, rtol=1e-14)
    at_sites = Switched(NeverAsked(), reference, 0).evaluate(reference.batch, ("energy", "forces"))
    assert at_sites.energy[0] == pytest.approx(reference.energy, abs=1e-12) and np.abs(at_sites.forces).max() < 1e-12
    for coupling in (0, 0.5, 1):
        difference = Switched(ARGON, reference, coupling).evaluate(batch, ("switch_difference",)).switch_difference
        np.testing.assert_allclose(difference, half.switch_difference, rtol=1e-12)


def test_finite_differences(reference):
    switch, batch = Switched(ARGON, reference, 0.4), beads_of(reference, 1)
    answer = switch.evaluate(batch, ALL)

    def energy(positions, cell):
        return switch.evaluate(as_batch(reference, positions[None], cell), ("energy",)).energy[0]

    for atom, axis in ((0, 0), (7, 1), (31, 2)):
        step = np.zeros_like(batch.positions[0])
        step[atom, axis] = 1e-4
        slope = (energy(batch.positions[0] + step, None) - energy(batch.positions[0] - step, None)) / 2e-4
        assert answer.forces[0, atom, axis] == pytest.approx(-slope, abs=1e-7)
    for row in range(3):
        for column in range(3):
            strain = np.zeros((3, 3))
            strain[row, column] = 2e-5
            slopes = [
                energy(batch.positions[0] @ (np.eye(3) + own).T, reference.cell @ (np.eye(3) + own).T)
                for own in (strain, -strain)
            ]
            assert answer.virial[0, row, column] == pytest.approx(-(slopes[0] - slopes[1]) / 4e-5, abs=2e-6)


def test_images_drift_and_permutations_change_nothing(reference):
    switch, batch = Switched(ARGON, reference, 0.4), beads_of(reference)
    plain = switch.evaluate(batch, ALL)
    random = np.random.default_rng(5)
    images = random.integers(-3, 4, size=batch.positions.shape) @ reference.cell
    moved = switch.evaluate(as_batch(reference, batch.positions + images + [31.0, -170.0, 2.5]), ALL)
    for name in ALL:
        np.testing.assert_allclose(moved[name], plain[name], atol=1e-10)
    order = random.permutation(32)
    places = (3 * order[:, None] + np.arange(3)).ravel()
    other = HarmonicReference(
        **{name: getattr(reference, name) for name in reference.__dataclass_fields__}
        | {"positions": reference.positions[order], "hessian": reference.hessian[np.ix_(places, places)]}
    )
    permuted = Switched(ARGON, other, 0.4).evaluate(as_batch(other, batch.positions[:, order]), ALL)
    np.testing.assert_allclose(permuted.energy, plain.energy, atol=1e-10)
    np.testing.assert_allclose(permuted.forces, plain.forces[:, order], atol=1e-10)
    np.testing.assert_allclose(permuted.virial, plain.virial, atol=1e-10)
    alone = [switch.evaluate(as_batch(reference, batch.positions[bead : bead + 1]), ALL) for bead in range(3)]
    for name in ALL:
        np.testing.assert_allclose(np.concatenate([one[name] for one in alone]), plain[name], atol=1e-10)


@pytest.mark.parametrize("inversion", [1, -1])
def test_turned_and_mirrored_with_its_reference_it_is_the_same(reference, inversion):
    turn = inversion * np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    whole = np.kron(np.eye(32), turn)
    turned = HarmonicReference(
        **{name: getattr(reference, name) for name in reference.__dataclass_fields__}
        | {
            "positions": reference.positions @ turn.T,
            "cell": reference.cell @ turn.T,
            "hessian": (lambda m: (m + m.T) / 2)(whole @ reference.hessian @ whole.T),
        }
    )
    batch = beads_of(reference)
    plain = Switched(ARGON, reference, 0.4).evaluate(batch, ALL)
    other = Switched(ARGON, turned, 0.4).evaluate(as_batch(turned, batch.positions @ turn.T), ALL)
    np.testing.assert_allclose(other.energy, plain.energy, atol=1e-10)
    np.testing.assert_allclose(other.forces, plain.forces @ turn.T, atol=1e-10)
    np.testing.assert_allclose(other.virial, turn @ plain.virial @ turn.T, atol=1e-10)


def test_what_left_its_place_or_is_another_crystal_is_refused(reference):
    switch = Switched(ARGON, reference, 0.4)

    def message(positions=None, cell=None, numbers=None):
        places = reference.positions[None] if positions is None else positions
        batch = as_batch(reference, places, cell)
        if numbers is not None:
            batch = Batch(numbers, batch.positions, batch.cells, batch.periodic)
        with pytest.raises(StructureError) as refused:
            switch.evaluate(batch, ("energy",))
        assert "\n" not in str(refused.value)
        return str(refused.value)

    far = beads_of(reference, 2).positions
    far[1, 5] = reference.positions[5] + [0, 0, 2.3]
    assert "atom 5, Ar, of bead 1 is" in message(far) and "it left its site" in message(far)
    swapped = beads_of(reference, 1, scale=0.01).positions
    swapped[0, [0, 1]] = swapped[0, [1, 0]]
    assert "left its site" in message(swapped)
    assert "a run at constant volume in that cell" in message(cell=1.001 * reference.cell)
    assert "atom 3 is Ne, and Ar in the harmonic crystal" in message(numbers=np.where(np.arange(32) == 3, 10, 18))
    with pytest.raises(StructureError, match="31 atoms; the harmonic crystal has 32"):
        switch.evaluate(
            Batch(np.full(31, 18), far[:, :31], np.repeat(reference.cell[None], 2, 0), np.ones(3, bool)), ()
        )
    for coupling in (-0.1, 1.1, np.nan):
        with pytest.raises(CrystalError, match="it must be from 0"):
            Switched(ARGON, reference, coupling)


def test_names_files_and_other_models(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ase.io.write("argon.xyz", bulk("Ar", "fcc", 5.25, cubic=True).repeat((2, 2, 2)), format="extxyz")
    done = CliRunner().invoke(main, ["harmonic", "argon.xyz", "--model", NAME])
    assert done.exit_code == 0, done.output
    name = f"switch:lambda=0.25,argon.harmonic.npz,{NAME}"
    switch = load_evaluator(name)
    assert switch.coupling == 0.25 and switch.species == (18,) and switch.properties == ALL
    assert models_of(name) == [NAME] and [file.name for file in files_of(name)] == ["argon.harmonic.npz"]
    monkeypatch.chdir(tmp_path.parent)
    absolute = from_any_folder(name, [tmp_path])
    assert absolute == f"switch:lambda=0.25,{tmp_path / 'argon.harmonic.npz'},{NAME}"
    assert load_evaluator(absolute).coupling == 0.25
    monkeypatch.chdir(tmp_path)

    def refused(name):
        with pytest.raises((CrystalError, EvaluatorError)) as error:
            load_evaluator(name)
        assert "\n" not in str(error.value)
        return str(error.value)

    assert "is the harmonic crystal of lennard-jones" in refused(
        "switch:lambda=0.5,argon.harmonic.npz,lennard-jones:epsilon=0.0104,sigma=3.4,cutoff=8.4"
    )
    assert "no file 'other.npz'" in refused(f"switch:lambda=0.5,other.npz,{NAME}")
    assert "no number from 0 to 1" in refused(f"switch:lambda=half,argon.harmonic.npz,{NAME}")
    assert "it is written switch:lambda=L" in refused("switch:0.5,argon.harmonic.npz,qtip4pf")
    assert "it is written switch:lambda=L" in refused("switch:lambda=0.5,argon.harmonic.npz")


def test_what_a_door_sends(reference):
    batch = beads_of(reference, 2)
    switch = Switched(ARGON, reference, 0.4)
    responder = Responder(switch, reference.numbers, ALL)
    bohr = 1 / lengths_from_atomic(np.ones(1))[0]
    answer = responder.answer(batch.cells * bohr, batch.positions * bohr)
    expected = switch.evaluate(batch, ALL)
    np.testing.assert_allclose(answer.energies, expected.energy * HARTREE_PER_ELECTRONVOLT, rtol=1e-10)
    for text, difference in zip(answer.extras, expected.switch_difference, strict=True):
        extras = json.loads(text)
        assert extras["switch_difference"] == pytest.approx([difference * HARTREE_PER_ELECTRONVOLT], rel=1e-9)
        assert extras["switch_lambda"] == [0.4]


def test_atoms_that_are_held_do_not_float(reference):
    held = HarmonicReference(
        **{name: getattr(reference, name) for name in reference.__dataclass_fields__}
        | {"floats": False, "hessian": np.eye(96)}
    )
    moved = held.positions[None] + [0.1, 0.0, 0.0] + 2 * held.cell[1]
    answer = Switched(ARGON, held, 0).evaluate(as_batch(held, moved), ("energy",))
    assert answer.energy[0] - held.energy == pytest.approx(32 * 0.5 * 0.01)
    raw = hessian_of(ARGON, reference.batch)
    assert raw.sum_rule < 1e-9
