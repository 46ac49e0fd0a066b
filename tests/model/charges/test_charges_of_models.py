"""Models whose atoms have charges: what they answer, and that every derivative is that of differences."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from beadwise.model import (
    Batch,
    Committee,
    Corrected,
    ModelFileError,
    PropertyError,
    StructureError,
    StructureWarning,
    save,
)
from beadwise.model.calculator import Calculator
from beadwise.model.charges.evaluator import WithCharges
from beadwise.model.crystals import minimum
from beadwise.model.crystals.hessian import hessian_of
from beadwise.model.errors import EvaluatorError
from beadwise.model.evaluators import load_evaluator
from beadwise.model.training.periodicity import RECORD
from models import HEADS, random_model, random_structure

WIDTHS = {"H": 0.5, "O": 0.7}
HARD = {"kind": "equilibration", "widths": WIDTHS, "hardness": {"H": 9, "O": 12}}
MOVED = {"kind": "transfers", "energy": "coulomb", "widths": WIDTHS, "reach": 2.7}
FORMS = {
    "plain": {"kind": "plain", "energy": "coulomb", "widths": WIDTHS, "totals": [0.5]},
    "molecules": {"kind": "plain", "energy": "coulomb", "widths": WIDTHS, "groups": "molecules"},
    "transfers": MOVED,
    "formal": {**MOVED, "formal": {"H": 1.0, "O": -2.0}},
    "equilibration": {**HARD, "energy": "equilibration"},
    "coulomb": {**HARD, "energy": "coulomb", "totals": [1.0]},
}


def with_charges(form, heads=HEADS, **further):
    latent = "partial_charges" if form["kind"] == "plain" else "electronegativity"
    metadata = {"repeating_unit": "OHH", "charges": form}
    model = random_model(3, heads=(*heads, latent), metadata=metadata, **further)
    own, factor = model.heads[latent], 1.0 if form["kind"] == "plain" else 40.0
    strong = replace(own, offset=factor * own.offset, linear=factor * own.linear, weights=factor * own.weights)
    return WithCharges(replace(model, heads={**model.heads, latent: strong}))


def structure(periodic, seed=0):
    atoms = random_structure(seed)
    atoms.pbc = periodic
    return atoms


def differences(evaluator, atoms, name, atom, axis, size=1e-3):
    def moved(step):
        trial = atoms.copy()
        trial.positions[atom, axis] += step
        return evaluator.evaluate(Batch.from_ase(trial), (name,))[name][0]

    near, far = (moved(step) - moved(-step) for step in (size, 2 * size))
    return (8 * near - far) / (12 * size)


def has_dipole(form, periodic):
    return not periodic or form["kind"] == "transfers" or form.get("groups") == "molecules"


@pytest.mark.parametrize("field", [None, (0.1, -0.2, 0.05)])
@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("name", FORMS)
def test_forces_and_born_charges_are_those_of_differences(name, periodic, field):
    form = FORMS[name]
    evaluator, atoms = with_charges(form), structure(periodic)
    if field is not None:
        if not has_dipole(form, periodic):
            return
        evaluator = evaluator.in_field(field)
    want = ["energy", "forces", "virial", "partial_charges"]
    want += ["dipole", "born_charges"] if has_dipole(form, periodic) else []
    found = evaluator.evaluate(Batch.from_ase(atoms), want)
    assert np.abs(found.partial_charges).max() > 1e-2
    np.testing.assert_allclose(found.partial_charges.sum(), form.get("totals", [0.0])[0], atol=1e-12)
    for atom, axis in ((0, 0), (4, 1), (5, 2)):
        slope = differences(evaluator, atoms, "energy", atom, axis)
        np.testing.assert_allclose(found.forces[0, atom, axis], -slope, atol=2e-8)
        if "born_charges" in want:
            slope = differences(evaluator, atoms, "dipole", atom, axis)
            np.testing.assert_allclose(found.born_charges[0, atom, axis], slope, atol=2e-9)
    if "born_charges" in want:
        total = form.get("totals", [0.0])[0] * np.eye(3)
        np.testing.assert_allclose(found.born_charges[0].sum(axis=0), total, atol=1e-10)


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("name", FORMS)
def test_virials_are_those_of_differences(name, periodic):
    evaluator, atoms = with_charges(FORMS[name]), structure(periodic)
    virial = evaluator.evaluate(Batch.from_ase(atoms), ("virial",)).virial[0]

    def energy(strain):
        trial = atoms.copy()
        trial.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=False)
        trial.positions = atoms.positions @ (np.eye(3) + strain)
        return evaluator.evaluate(Batch.from_ase(trial), ("energy",)).energy[0]

    for a, b in ((0, 0), (1, 2), (0, 1), (2, 2)):
        unit = np.zeros((3, 3))
        unit[a, b] = unit[b, a] = 1.0
        near, far = (energy(size * unit) - energy(-size * unit) for size in (1e-4, 2e-4))
        slope = (8 * near - far) / 12e-4
        np.testing.assert_allclose(-slope, (virial * unit).sum(), atol=2e-6)


@pytest.mark.parametrize("name", FORMS)
def test_turned_permuted_and_moved_to_images(name):
    form = FORMS[name]
    evaluator, atoms = with_charges(form), structure(True)
    want = ("energy", "forces", "partial_charges", *(("dipole", "born_charges") if has_dipole(form, True) else ()))
    first = evaluator.evaluate(Batch.from_ase(atoms), want)
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]  # inversion with it, or not
    turned, order = atoms.copy(), np.array([3, 4, 5, 6, 8, 7, 0, 2, 1])
    turned.set_cell(atoms.cell.array @ rotation, scale_atoms=False)
    turned.positions = (atoms.positions @ rotation)[order]
    turned.numbers = atoms.numbers[order]
    second = evaluator.evaluate(Batch.from_ase(turned), want)
    np.testing.assert_allclose(second.energy, first.energy, atol=1e-10)
    np.testing.assert_allclose(second.forces[0], first.forces[0][order] @ rotation, atol=1e-10)
    np.testing.assert_allclose(second.partial_charges[0], first.partial_charges[0][order], atol=1e-10)
    moved = atoms.copy()
    moved.positions += np.random.default_rng(2).integers(-2, 3, (9, 3)) @ atoms.cell.array
    third = evaluator.evaluate(Batch.from_ase(moved), want)
    for own in ("energy", "forces", "partial_charges"):
        np.testing.assert_allclose(third[own], first[own], atol=1e-10)
    if "dipole" in want:
        born = np.einsum("ab,iac,cd->ibd", rotation, first.born_charges[0], rotation)[order]
        np.testing.assert_allclose(second.born_charges[0], born, atol=1e-10)
        np.testing.assert_allclose(third.born_charges, first.born_charges, atol=1e-10)
        np.testing.assert_allclose(second.dipole[0], first.dipole[0] @ rotation, atol=1e-10)
        if name in ("transfers", "molecules"):
            np.testing.assert_allclose(third.dipole, first.dipole, atol=1e-10)


def test_what_cannot_be_is_refused_in_a_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    several = with_charges({**FORMS["plain"], "totals": [0.0, 1.0]})
    batch, isolated = Batch.from_ase(structure(True)), Batch.from_ase(structure(False))
    with pytest.raises(StructureError, match="total charge of the structure is not said"):
        several.evaluate(isolated, ("energy",))
    save(several.model, "ions.safetensors")
    for charge in (0.0, 1.0):
        served = load_evaluator(f"charges:charge={charge},ions.safetensors")
        assert served.evaluate(isolated, ("partial_charges",)).partial_charges.sum() == pytest.approx(charge)
        said = replace(isolated, charge=charge)
        assert several.evaluate(said, ("partial_charges",)).partial_charges.sum() == pytest.approx(charge)
    with pytest.raises(EvaluatorError, match="a number in e is needed"):
        load_evaluator("charges:charge=one,ions.safetensors")
    with pytest.raises(EvaluatorError, match="no model with charges"):
        load_evaluator("charges:charge=1,water")
    for name in ("plain", "equilibration"):
        with pytest.raises(StructureError, match="depends on the image"):
            with_charges(FORMS[name]).evaluate(batch, ("dipole",))
    with pytest.raises(StructureError, match="transfers keep their sum"):
        with_charges(MOVED).evaluate(replace(batch, charge=1.0), ("partial_charges",))
    with pytest.raises(PropertyError):  # of the heads alone it would be a part of the whole
        with_charges(MOVED).model.evaluate(batch, ("energy",))
    for wrong in (
        {"kind": "latent"},
        {**MOVED, "reach": -1},
        {**MOVED, "widths": {"H": 0}},
        {**MOVED, "energy": "all"},
        {**MOVED, "groups": "molecules"},
    ):
        with pytest.raises(ModelFileError):
            with_charges(wrong)
    with pytest.raises(ModelFileError, match="widths has no O"):
        with_charges({**MOVED, "widths": {"H": 0.5}}).evaluate(batch, ("energy",))


def test_neutral_molecules_are_named_and_have_no_charge():
    evaluator, batch = with_charges(FORMS["molecules"]), Batch.from_ase(structure(True))
    with pytest.raises(StructureError, match=r"total charge is \+1 e.*neutral molecules"):
        evaluator.evaluate(replace(batch, charge=1.0), ("partial_charges",))
    with pytest.raises(EvaluatorError, match="repeating_unit"):
        WithCharges(replace(evaluator.model, metadata={"charges": FORMS["molecules"]}))


@pytest.mark.parametrize("charge", [float("nan"), "1", True, [1.0]])
def test_a_total_charge_is_a_finite_number(charge):
    with pytest.raises(StructureError, match="a finite number in e is needed"):
        replace(Batch.from_ase(structure(False)), charge=charge)
    with pytest.raises(EvaluatorError, match="a finite number in e is needed"):
        WithCharges(with_charges(MOVED).model, charge)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", FORMS)
def test_no_atoms_have_no_charge(name):
    evaluator = with_charges({**FORMS[name], "groups": "cell"})
    batch = Batch([], np.zeros((2, 0, 3)), np.zeros((2, 3, 3)), [False] * 3, charge=0.0)
    found = evaluator.evaluate(batch, ("energy", "forces", "dipole", "born_charges", "partial_charges"))
    assert not found.energy.any() and not found.dipole.any() and found.partial_charges.shape == (2, 0)
    with pytest.raises(StructureError, match="there are no atoms"):
        evaluator.evaluate(replace(batch, charge=1.0), ("energy",))


SEVERAL = {**FORMS["plain"], "totals": [0.0, 1.0]}


def test_the_calculator_follows_the_charge_of_a_frame():
    atoms, evaluator = structure(False), with_charges(SEVERAL)
    atoms.calc = Calculator(evaluator)
    for charge in (0.0, 1.0):
        atoms.info["charge"] = charge
        expected = evaluator.evaluate(Batch.from_ase(atoms), ("energy",)).energy[0]
        assert atoms.get_potential_energy() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("whole", ["alone", "corrected", "committee"])
def test_a_calculator_goes_without_a_dipole_that_depends_on_images(whole):
    evaluator, atoms = with_charges(FORMS["equilibration"]), structure(True)
    if whole == "corrected":
        evaluator = Corrected(load_evaluator("ions:H=0.4,O=-0.8"), evaluator)
    elif whole == "committee":
        evaluator = Committee([evaluator, with_charges(FORMS["transfers"])])
    atoms.calc = Calculator(evaluator)
    expected = evaluator.evaluate(Batch.from_ase(atoms), ("energy", "forces"))
    assert atoms.get_potential_energy() == pytest.approx(expected.energy[0], abs=1e-12)
    np.testing.assert_allclose(atoms.get_forces(), expected.forces[0], atol=1e-12)
    assert "dipole" not in atoms.calc.results
    with pytest.raises(StructureError, match="depends on the image"):
        atoms.get_dipole_moment()
    atoms.pbc = False
    assert atoms.get_potential_energy() and atoms.calc.results["dipole"].shape == (3,)


def test_hessian_and_minimum_keep_the_charge(monkeypatch):
    monkeypatch.setattr(minimum, "ROUGH_STEPS", 2)
    evaluator, atoms = with_charges(SEVERAL), structure(False)
    batch = replace(Batch.from_ase(atoms), charge=1.0)
    hessian = hessian_of(evaluator, batch, 1e-3).matrix

    def forces(step):
        moved = batch.positions.copy()
        moved[0, 4, 1] += step
        return evaluator.evaluate(replace(batch, positions=moved), ("forces",)).forces.ravel()

    np.testing.assert_allclose(hessian[13], (forces(-1e-3) - forces(1e-3)) / 2e-3, atol=1e-9)
    for found in (minimum._roughly(evaluator, batch, None), minimum._newton(evaluator, batch, np.eye(27), True, 1e-4)):
        assert found.charge == 1.0 and not np.array_equal(found.positions, batch.positions)


def test_a_correction_with_charges_is_told_its_charge(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    baseline = "ions:H=0.4,O=-0.8"
    save(replace(with_charges(SEVERAL).model, baseline=baseline), "ions.safetensors")
    batch = Batch.from_ase(structure(False))
    served = load_evaluator("charges:charge=1,ions.safetensors")
    found = served.evaluate(batch, ("energy", "partial_charges"))
    own = with_charges(SEVERAL).evaluate(replace(batch, charge=1.0), ("energy",)).energy
    np.testing.assert_allclose(found.energy, own + load_evaluator(baseline).evaluate(batch, ("energy",)).energy)
    assert found.partial_charges.sum() == pytest.approx(1.0)
    alone = load_evaluator("correction:ions.safetensors")
    np.testing.assert_allclose(alone.evaluate(replace(batch, charge=1.0), ("energy",)).energy, own)
    save(with_charges(SEVERAL).model, "alone.safetensors")
    with pytest.raises(EvaluatorError, match="has charges; a field inside"):
        load_evaluator("field-inside:alone.safetensors")


def test_in_vacuum_a_cell_is_that_of_the_program_alone():
    evaluator, atoms = with_charges({**FORMS["coulomb"], "boundary": "vacuum"}), structure(False)
    boxed = atoms.copy()
    boxed.set_cell([40.0] * 3)
    boxed.pbc = True
    want = ("energy", "forces", "dipole")
    first, second = (evaluator.evaluate(Batch.from_ase(own), want) for own in (atoms, boxed))
    for name in want:
        np.testing.assert_array_equal(first[name], second[name])
    with pytest.raises(StructureError, match="this model's charges are of molecules"):
        evaluator.evaluate(Batch.from_ase(structure(True)), want)


def test_what_had_images_in_training_is_warned_of_without_them():
    evaluator, atoms = with_charges(MOVED), structure(False)
    atoms = Atoms(
        np.tile(atoms.numbers, 8), np.concatenate([atoms.positions + np.array([0, 0, 9.0 * k]) for k in range(8)])
    )
    metadata = {**evaluator.metadata, RECORD: {"directions_with_images": {"fewest": 3, "most": 3}}}
    evaluator = WithCharges(replace(evaluator.model, metadata=metadata))
    with pytest.warns(StructureWarning, match="was fitted to structures with periodic images"):
        evaluator.evaluate(Batch.from_ase(atoms), ("energy",))


def test_threads_and_beads_give_the_same_numbers():
    evaluator, atoms = with_charges(FORMS["coulomb"]), structure(True)
    moved = atoms.copy()
    moved.positions[0] += 0.05
    both = WithCharges(replace(evaluator.model, threads=2)).evaluate(
        Batch.from_ase([atoms, moved]), ("energy", "forces")
    )
    for bead, own in enumerate((atoms, moved)):
        alone = evaluator.evaluate(Batch.from_ase(own), ("energy", "forces"))
        np.testing.assert_allclose(both.energy[bead], alone.energy[0], atol=1e-9)
        np.testing.assert_allclose(both.forces[bead], alone.forces[0], atol=1e-9)
