"""The weighted baseline: a slow twin, derivatives, limits, i-PI's own, refusals, and a run that needs it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from beadwise.driver.doors.extras import encode_extras
from beadwise.model import BaselineError, Batch, Committee, Corrected, save
from beadwise.model.baselines import Harmonic
from beadwise.model.committee import CommitteeError
from beadwise.model.errors import EvaluatorError
from beadwise.model.evaluators import from_any_folder, load_evaluator
from beadwise.model.weighted_baseline import WeightedBaseline
from beadwise.runs.units import to_atomic
from models import random_model, random_structure
from places import REPOSITORY
from scipy.spatial.transform import Rotation
from test_committee_in_ipi import assert_close, make_folder

BASELINE = "harmonic:k=0.3"
ENERGIES = ("energy", "forces", "virial")
ZERO = [-1.5, 2.0]  # eV, of a hydrogen and an oxygen atom
UNCERTAINTY = 0.006  # eV, about the spread of the members here
STEP = 1e-4


def member(seed, baseline=BASELINE, zero=ZERO):
    """A correction that differs from the first one by a tenth."""
    first, other = random_model(0), random_model(seed)
    head, another = first.heads["energy"], other.heads["energy"]
    mixed = replace(
        head,
        offset=head.offset + 0.01 * another.offset + np.array(zero),
        linear=head.linear + 0.1 * another.linear,
        weights=head.weights + 0.1 * another.weights,
    )
    metadata = {"baseline": {"name": baseline, "provider": "", "species_energies": list(zero)}}
    return replace(first, heads={**first.heads, "energy": mixed}, baseline=baseline, metadata=metadata)


def members(count=4, **options):
    return [member(seed, **options) for seed in range(1, count + 1)]


def weighted(uncertainty=UNCERTAINTY, **options):
    return WeightedBaseline(load_evaluator(BASELINE), members(**options), uncertainty)


def answer(evaluator, atoms, want=ENERGIES):
    response = evaluator.evaluate(Batch.from_ase(atoms), want)
    return {name: response[name][0] for name in want}


def twin(atoms, uncertainty=UNCERTAINTY):
    """Energy, forces and weight, member by member and atom by atom."""
    base = answer(load_evaluator(BASELINE), atoms)
    corrections = [answer(own, atoms) for own in members()]
    count = len(corrections)
    constant = sum(ZERO[int(number == 8)] for number in atoms.numbers)
    mean = sum(own["energy"] for own in corrections) / count
    variance = sum((own["energy"] - mean) ** 2 for own in corrections) / (count - 1)
    weight = uncertainty**2 / (uncertainty**2 + variance)
    energy = base["energy"] + constant + weight * (mean - constant)
    mean_forces = sum(own["forces"] for own in corrections) / count
    forces = np.zeros_like(mean_forces)
    for atom in range(len(atoms)):
        for axis in range(3):
            together = sum(
                (own["energy"] - mean) * (own["forces"][atom, axis] - mean_forces[atom, axis]) for own in corrections
            ) / (count - 1)
            slope = 2 * (mean - constant) * uncertainty**2 / (uncertainty**2 + variance) ** 2
            forces[atom, axis] = base["forces"][atom, axis] + weight * mean_forces[atom, axis] - slope * together
    return energy, forces, weight


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_the_twin(seed):
    atoms = random_structure(seed)
    energy, forces, weight = twin(atoms)
    assert 0.05 < weight < 0.95  # else nothing would be tested
    found = answer(weighted(), atoms, ("energy", "forces", "correction_weight"))
    assert found["energy"] == pytest.approx(energy, rel=1e-12)
    np.testing.assert_allclose(found["forces"], forces, rtol=1e-10, atol=1e-12)
    assert found["correction_weight"] == pytest.approx(weight, rel=1e-12)


def derivative(function):
    """Central difference of fourth order at zero."""
    return (8 * (function(STEP) - function(-STEP)) - (function(2 * STEP) - function(-2 * STEP))) / (12 * STEP)


def test_forces_are_derivatives():
    atoms, potential = random_structure(1), weighted()
    forces = answer(potential, atoms)["forces"]
    without_slope = answer(load_evaluator(BASELINE), atoms)["forces"]
    without_slope = without_slope + twin(atoms)[2] * answer(Committee(members()), atoms)["forces"]
    expected = np.zeros_like(forces)
    for place in np.ndindex(*forces.shape):

        def energy(step, place=place):
            moved = atoms.copy()
            moved.positions[place] += step
            return answer(potential, moved, ("energy",))["energy"]

        expected[place] = -derivative(energy)
    np.testing.assert_allclose(forces, expected, atol=1e-8)
    assert np.abs(without_slope - expected).max() > 1e-3  # what the change of the weight is for


def test_the_virial_is_a_derivative():
    # springs to the origin are not carried along by strain, so the baseline is another one here
    baseline = load_evaluator("lennard-jones:epsilon=0.01,sigma=0.9,cutoff=2.8")
    atoms, potential = random_structure(2), WeightedBaseline(baseline, members(), UNCERTAINTY)
    virial, weight = answer(potential, atoms, ("virial", "correction_weight")).values()
    without_slope = answer(baseline, atoms)["virial"] + weight * answer(Committee(members()), atoms)["virial"]
    assert np.abs(without_slope - virial).max() > 1e-3  # what the change of the weight is for
    for row, column in np.ndindex(3, 3):

        def energy(step, row=row, column=column):
            strain = np.eye(3)
            strain[row, column] += step / 2
            strain[column, row] += step / 2
            strained = atoms.copy()
            strained.set_cell(atoms.cell.array @ strain, scale_atoms=True)
            return answer(potential, strained, ("energy",))["energy"]

        assert virial[row, column] == pytest.approx(-derivative(energy), abs=1e-7)


def test_limits():
    atoms = random_structure(3)
    mean = answer(Corrected(load_evaluator(BASELINE), Committee(members())), atoms)
    base = answer(load_evaluator(BASELINE), atoms)
    base["energy"] = base["energy"] + sum(ZERO[int(number == 8)] for number in atoms.numbers)
    for uncertainty, expected in ((1e6, mean), (1e-8, base)):
        found = answer(weighted(uncertainty), atoms)
        for name in ENERGIES:
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-9, atol=1e-9, err_msg=name)


def test_rotated():
    atoms, turned = random_structure(4), random_structure(4)
    rotation = Rotation.random(rng=np.random.default_rng(0)).as_matrix()
    turned.set_cell(atoms.cell.array @ rotation.T, scale_atoms=False)
    turned.positions = atoms.positions @ rotation.T
    before, after = (answer(weighted(), own, (*ENERGIES, "dipole")) for own in (atoms, turned))
    assert after["energy"] == pytest.approx(before["energy"], rel=1e-10)
    np.testing.assert_allclose(after["forces"], before["forces"] @ rotation.T, atol=1e-10)
    np.testing.assert_allclose(after["dipole"], rotation @ before["dipole"], atol=1e-10)


def test_members_are_whole_potentials_and_the_rest_is_their_mean():
    frames = [random_structure(5), random_structure(5)]
    frames[1].positions += np.random.default_rng(0).normal(0, 0.02, frames[1].positions.shape)
    batch, potential = Batch.from_ase(frames), weighted()
    response = potential.evaluate(batch, potential.properties)
    assert "correction_weight" in response and response.correction_weight.shape == (2,)
    for index, own in enumerate(members()):
        alone = Corrected(load_evaluator(BASELINE), own).evaluate(batch, ENERGIES)
        for name in ENERGIES:
            np.testing.assert_allclose(response[f"committee_{name}"][:, index], alone[name], rtol=1e-12, atol=1e-12)
    expected = Committee(members()).evaluate(batch, ("dipole", "polarizability"))
    np.testing.assert_array_equal(response.dipole, expected.dipole)
    np.testing.assert_array_equal(response.polarizability, expected.polarizability)
    for index, atoms in enumerate(frames):  # beads do not know of each other
        alone = answer(potential, atoms, (*ENERGIES, "correction_weight"))
        for name, value in alone.items():
            np.testing.assert_allclose(response[name][index], value, rtol=1e-12, atol=1e-12)
    extras = json.loads(encode_extras(response, ("dipole", "correction_weight"))[1])
    assert extras["correction_weight"] == pytest.approx([response.correction_weight[1]])


def test_uncertainties_need_no_baseline():
    class Untouched(Harmonic):
        def evaluate(self, batch, want):
            raise AssertionError(want)

    batch, want = Batch.from_ase(random_structure(5)), ("dipole", "energy_uncertainty", "forces_uncertainty")
    response = WeightedBaseline(Untouched(k=0.3), members(), UNCERTAINTY).evaluate(batch, want)
    expected = Committee(members()).evaluate(batch, want)
    for name in want:
        np.testing.assert_array_equal(response[name], expected[name])


def test_by_name(tmp_path, monkeypatch):
    for index, own in enumerate(members(3)):
        save(own, tmp_path / f"{index}.safetensors")
    monkeypatch.chdir(tmp_path)
    name = f"weighted-baseline:uncertainty={UNCERTAINTY}, 0.safetensors, 1.safetensors,2.safetensors"
    expected = answer(WeightedBaseline(load_evaluator(BASELINE), members(3), UNCERTAINTY), random_structure(6))
    absolute = from_any_folder(name)
    monkeypatch.chdir("/")
    found = answer(load_evaluator(absolute), random_structure(6))
    for wanted in ENERGIES:
        np.testing.assert_allclose(found[wanted], expected[wanted], rtol=1e-14, atol=0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("uncertainty=0.1,a.safetensors", "committee of 1; at least 2"),
        ("a.safetensors,b.safetensors", "is no weighted baseline; it is written weighted-baseline:uncertainty="),
        ("uncertainty=much,a.safetensors,b.safetensors", "is no weighted baseline"),
        ("uncertainty=0.1,a.safetensors,", "is no weighted baseline"),
        ("uncertainty=-1,a.safetensors,b.safetensors", "-1.0 eV; it must be finite and above 0"),
        ("uncertainty=0.1,a.safetensors,direct.safetensors", "corrects no baseline"),
        ("uncertainty=0.1,a.safetensors,other.safetensors", "all must correct one and the same baseline"),
        ("uncertainty=0.1,a.safetensors,silent.safetensors", "species energies None; one for each"),
        ("uncertainty=0.1,a.safetensors,worded.safetensors", "species energies None; one for each"),
        ("uncertainty=0.1,a.safetensors,unsure.safetensors", r"species energies \['a', 1.0\]; one for each"),
    ],
)
def test_refusals(tmp_path, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    first, second = members(2)
    models = {"a": first, "b": second, "direct": random_model(0), "other": replace(second, baseline="harmonic:k=2.0")}
    models["silent"] = replace(second, metadata={})
    models["worded"] = replace(second, metadata={"baseline": "of my own"})  # metadata may be anything
    models["unsure"] = replace(second, metadata={"baseline": {"species_energies": ["a", 1.0]}})
    for name, model in models.items():
        save(model, f"{name}.safetensors")
    with pytest.raises((BaselineError, CommitteeError, EvaluatorError), match=message):
        load_evaluator(f"weighted-baseline:{text}")


def test_as_in_ipi(tmp_path):
    """I-PI's own weighted baseline has no constant, so the members' zeros are zero here."""
    folder = make_folder(tmp_path)
    own = members(zero=[0.0, 0.0])
    for index, model in enumerate(own):
        save(replace(model, metadata={}), tmp_path / f"{index}.safetensors")
    names = [f"member{index}" for index in range(4)]
    uncertainty = float(to_atomic("energy", np.float64(UNCERTAINTY)))
    options = f"<baseline_name>base</baseline_name><baseline_uncertainty>{uncertainty!r}</baseline_uncertainty>"
    folder.write(folder.committee(options, *names, "base"), "wb_mixing")
    models = [f"--model={name}=correction:{index}.safetensors" for index, name in enumerate(names)]
    folder.assert_run(*models, model=BASELINE)
    expected = folder.expected(WeightedBaseline(load_evaluator(BASELINE), own, UNCERTAINTY))
    assert 0.02 < expected["correction_weight"].min() < 0.98
    assert_close(folder.last("wb_mixing")[:, 0, 0], expected["correction_weight"])
    assert_close(folder.forces(), expected["forces"].reshape(4, 18))
    assert folder.energies()[-1, 1] == pytest.approx(expected["energy"].mean(), rel=1e-9)


def test_a_run_from_a_distorted_structure_stays_bounded(tmp_path):
    """Through i-PI: bonds of 1.5 Å, corrections that were fitted to a liquid at 300 K, bare and weighted."""
    script = REPOSITORY / "docs" / "pictures" / "weighted_baseline" / "run.py"
    command = [sys.executable, str(script), "--folder", str(tmp_path), "--seeds", "1", "--steps", "1200"]
    command.append("--without-baseline")
    finished = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert finished.returncode == 0, finished.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    bounded = {name: run["bounded"] for name, (run,) in results.items()}
    assert bounded == {"one correction": False, "mean of five": False, "weighted baseline": True}
    (run,) = results["weighted baseline"]
    assert run["weight"][0] < 0.05 and max(run["temperature"][-20:]) < 2000
