"""A static electric field: its energy, forces and virial, and that nothing else notices it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from beadwise.driver.commands.group import main
from beadwise.model import Batch, PropertyError, load
from beadwise.model.calculator import Calculator
from beadwise.model.errors import EvaluatorError
from beadwise.model.evaluators import in_field
from beadwise.model.qtip4pf import QTip4pF
from click.testing import CliRunner
from models import HEADS, random_model, random_structure
from scipy.spatial.transform import Rotation
from springs import Springs
from test_qtip4pf import crystal, derivative
from test_run import one_line

FIELD = (0.31, -0.17, 0.52)  # V/Å
BARE = ("dipole", "born_charges", "polarizability", "polarizability_derivatives", "molecular_dipole")
SUBJECTS = {
    "linear": lambda: (random_model(1, l_max=3), random_structure(1)),
    "network": lambda: (random_model(2, hidden=(8, 6), groups=(0, 0)), random_structure(2)),
    "shipped": lambda: (load("water"), random_structure(3)),
    "qtip4pf": lambda: (QTip4pF(accuracy=1e-13), crystal()),
}


@pytest.fixture(params=SUBJECTS)
def subject(request):
    return SUBJECTS[request.param]()


def answer(evaluator, atoms, want=("energy", "forces", "virial")):
    response = evaluator.evaluate(Batch.from_ase(atoms), [name for name in want if name in evaluator.properties])
    return {name: response[name][0] for name in response.names}


def difference(evaluator, atoms, name):
    """What the field adds."""
    return answer(evaluator.in_field(FIELD), atoms, (name,))[name] - answer(evaluator, atoms, (name,))[name]


def test_the_energy_is_the_electric_enthalpy(subject):
    evaluator, atoms = subject
    bare = answer(evaluator, atoms, ("energy", "dipole"))
    enthalpy = bare["energy"] - bare["dipole"] @ FIELD
    assert abs(bare["dipole"] @ FIELD) > 1e-3
    for want in (("energy",), ("energy", "forces"), ("energy", "dipole", "born_charges")):
        assert answer(evaluator.in_field(FIELD), atoms, want)["energy"] == pytest.approx(enthalpy, rel=1e-13)


def test_forces_are_derivatives_of_the_energy(subject):
    evaluator, atoms = subject
    evaluator = evaluator.in_field(FIELD)
    forces = answer(evaluator, atoms)["forces"]
    for atom, axis in ((0, 0), (1, 1), (4, 2), (8, 0)):

        def moved(step, atom=atom, axis=axis):
            trial = atoms.copy()
            trial.positions[atom, axis] += step
            return answer(evaluator, trial, ("energy",))["energy"]

        assert forces[atom, axis] == pytest.approx(-derivative(moved, 2e-4), abs=1e-6 * np.abs(forces).max())


def test_the_virial_is_the_strain_derivative_of_the_energy(subject):
    """All nine components: in a field the energy is not that of the turned system."""
    evaluator, atoms = subject
    evaluator = evaluator.in_field(FIELD)
    virial = answer(evaluator, atoms)["virial"]
    assert np.abs(virial - virial.T).max() > 1e-3
    for i, j in np.ndindex(3, 3):

        def strained(step, i=i, j=j):
            trial, strain = atoms.copy(), np.eye(3)
            strain[i, j] += step
            trial.set_cell(atoms.cell.array @ strain.T)
            trial.positions = atoms.positions @ strain.T
            return answer(evaluator, trial, ("energy",))["energy"]

        assert virial[i, j] == pytest.approx(-derivative(strained, 5e-5), abs=1e-6 * np.abs(virial).max())


def test_the_virial_lacks_symmetry_by_the_torque(subject):
    evaluator, atoms = subject
    found = answer(evaluator.in_field(FIELD), atoms, ("virial", "dipole"))
    torque = np.cross(found["dipole"], FIELD)
    twist = found["virial"].T - found["virial"]
    np.testing.assert_allclose([twist[1, 2], twist[2, 0], twist[0, 1]], torque, atol=1e-10)


def test_the_field_acts_through_the_born_charges(subject):
    evaluator, atoms = subject
    charges = answer(evaluator, atoms, ("born_charges",))["born_charges"]
    assert np.abs(charges @ FIELD).max() > 1e-2
    np.testing.assert_allclose(difference(evaluator, atoms, "forces"), charges @ FIELD, atol=1e-12)


def test_everything_is_linear_in_the_field(subject):
    evaluator, atoms = subject
    for name in ("energy", "forces", "virial"):
        twice = answer(evaluator.in_field(2 * np.array(FIELD)), atoms, (name,))[name]
        bare = answer(evaluator, atoms, (name,))[name]
        np.testing.assert_allclose(twice - bare, 2 * difference(evaluator, atoms, name), atol=1e-11)


def test_all_is_turned_with_the_field(subject):
    evaluator, atoms = subject
    for matrix in (Rotation.random(random_state=5).as_matrix(), -np.eye(3)):
        turned = atoms.copy()
        turned.set_cell(atoms.cell.array @ matrix.T)
        turned.positions = atoms.positions @ matrix.T
        before = answer(evaluator.in_field(FIELD), atoms)
        after = answer(evaluator.in_field(matrix @ FIELD), turned)
        expected = {
            "energy": before["energy"],
            "forces": before["forces"] @ matrix.T,
            "virial": matrix @ before["virial"] @ matrix.T,
        }
        for name, value in expected.items():
            np.testing.assert_allclose(after[name], value, atol=1e-10 * max(1.0, np.abs(value).max()))


def test_no_field_changes_no_bit(subject):
    evaluator, atoms = subject
    everything = evaluator.properties
    for name, value in answer(evaluator.in_field((0.0, -0.0, 0.0)), atoms, everything).items():
        np.testing.assert_array_equal(value, answer(evaluator, atoms, everything)[name])


def test_other_properties_are_those_without_field(subject):
    evaluator, atoms = subject
    bare = answer(evaluator, atoms, BARE)
    for name, value in answer(evaluator.in_field(FIELD), atoms, (*BARE, "forces")).items():
        if name != "forces":
            np.testing.assert_allclose(value, bare[name], atol=1e-14 * np.abs(bare[name]).max())


def test_beads_and_threads_do_not_matter(subject):
    evaluator, atoms = subject
    evaluator = evaluator.in_field(FIELD)
    beads = []
    for seed in range(3):
        beads.append(atoms.copy())
        beads[-1].rattle(0.02, seed=seed)
    threaded = (
        replace(evaluator, threads=2)
        if not isinstance(evaluator, QTip4pF)
        else QTip4pF(accuracy=1e-13, threads=2, electric_field=FIELD)
    )
    together = threaded.evaluate(Batch.from_ase(beads), ("energy", "forces", "virial"))
    for bead, single in enumerate(beads):
        for name, value in answer(evaluator, single).items():
            np.testing.assert_allclose(together[name][bead], value, rtol=1e-11, atol=1e-11 * np.abs(value).max())


def test_a_single_molecule_without_cell(subject):
    evaluator, atoms = subject
    molecule = atoms[:3]
    molecule.pbc = False
    bare = answer(evaluator, molecule, ("energy", "forces", "dipole", "born_charges"))
    found = answer(evaluator.in_field(FIELD), molecule)
    assert found["energy"] == pytest.approx(bare["energy"] - bare["dipole"] @ FIELD, rel=1e-13)
    np.testing.assert_allclose(found["forces"], bare["forces"] + bare["born_charges"] @ FIELD, atol=1e-12)
    torque = np.cross(molecule.positions, found["forces"]).sum(axis=0)
    np.testing.assert_allclose(torque, np.cross(bare["dipole"], FIELD), atol=1e-10)


def test_the_ase_calculator_serves_the_symmetric_stress():
    atoms = random_structure(4)
    evaluator = random_model(3).in_field(FIELD)
    atoms.calc = Calculator(evaluator)
    virial = answer(evaluator, atoms)["virial"]
    expected = -(virial + virial.T) / 2 / atoms.get_volume()
    np.testing.assert_allclose(atoms.get_stress(voigt=False), expected, atol=1e-14)


def test_a_field_needs_a_dipole():
    model = random_model(heads=[name for name in HEADS if name != "dipole"])
    with pytest.raises(PropertyError, match=r"field is \[0.31, -0.17, 0.52\] V/Å, but the model has no dipole .* has"):
        model.in_field(FIELD)
    with pytest.raises(PropertyError, match="no dipole"):
        replace(model, electric_field=FIELD)
    assert not model.in_field((0.0, 0.0, 0.0)).is_in_field


@pytest.mark.parametrize("field", [(0.1, 0.2), (0.0, np.nan, 0.0), (np.inf, 0.0, 0.0)])
def test_fields_that_are_none(field):
    for evaluator in (random_model(), QTip4pF()):
        with pytest.raises(PropertyError, match="must be three finite numbers"):
            evaluator.in_field(field)


def test_an_evaluator_of_a_user():
    class Charged(Springs):
        def in_field(self, electric_field):
            self.electric_field = electric_field
            return self

    assert in_field(Charged(), FIELD, "mine:Charged").electric_field == FIELD
    with pytest.raises(EvaluatorError, match=r"'mine:Springs' cannot be put into the electric field \[0.31, .* V/Å"):
        in_field(Springs(), FIELD, "mine:Springs")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["serve", "water", "--unix", "a", "--field", "0.1,0.2"],
            "'0.1,0.2' is no electric field; allowed is EX,EY,EZ",
        ),
        (["serve", "water", "--unix", "a", "--field", "0,0,up"], "'0,0,up' is no electric field"),
        (["run", "--field", "0,nan,0"], "'0,nan,0' is not finite"),
        (
            ["serve", "springs:springs", "--unix", "a", "--field", "-0.1,0,0"],
            "'springs:springs' cannot be put into the",
        ),
    ],
)
def test_bad_usage_is_one_line(arguments, message):
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2 and message in one_line(result.stderr)


def test_one_field_for_one_socket(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sockets = "".join(f"<ffsocket name='{name}'><address> {name} </address></ffsocket>" for name in "ab")
    (tmp_path / "input.xml").write_text(f"<simulation>{sockets}</simulation>")
    result = CliRunner().invoke(main, ["run", "input.xml", "--field", "0,0,0.1"])
    assert result.exit_code == 2
    assert "--field [0.0, 0.0, 0.1] V/Å with the <ffsocket> a, b of 'input.xml'" in one_line(result.stderr)
