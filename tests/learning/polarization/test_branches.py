"""Dipoles that are known up to e times lattice vectors, and charges that move with their atoms."""

import logging

import numpy as np
import pytest
from ase import Atoms
from beadwise.learning.data import DataError, Reading, frame_from_ase, read_frames
from beadwise.learning.data.branches import folded, quanta
from beadwise.learning.fitting.accuracy import evaluate_errors
from beadwise.learning.fitting.configuration import ConfigurationError
from beadwise.learning.fitting.fit import fit
from beadwise.learning.loop.frames import write_frames
from beadwise.model import Batch, ModelFileError, load, save
from models import random_model, random_structure
from test_born_charges_as_labels import BORN_CHARGES, WANT, answers, configured, labelled, truth

NOMINAL = "nominal_charges = {O = -2, H = 1}"
IONS = {"nominal_charges": {"O": -2, "H": 1}}


def shifted(frames, seed=0, part=1.0):
    """Whole numbers of quanta, or a part of one in the first direction, added to every dipole."""
    generator = np.random.default_rng(seed)
    for atoms in frames:
        atoms.info["dipole"] = atoms.info["dipole"] + generator.integers(-9, 10, 3) @ atoms.cell.array
        atoms.info["dipole"] += (1 - part) * atoms.cell.array[0]
        yield atoms


def test_folding_is_done_in_the_lattice_basis():
    generator = np.random.default_rng(0)
    quantum = np.array([[5.0, 0, 0], [2.0, 4.0, 0], [1.0, 1.0, 6.0]])
    near = generator.uniform(-0.49, 0.49, (20, 3)) @ quantum
    far = near + generator.integers(-5, 6, (20, 3)) @ quantum
    np.testing.assert_allclose(folded(far, quantum), near, atol=1e-12)
    np.testing.assert_allclose(quanta(quantum, quantum), np.eye(3), atol=1e-12)
    slab = quantum[:2]  # nothing is known up to anything in the third direction
    np.testing.assert_allclose(folded(far, slab) - far, np.round(-quanta(far, slab)) @ slab, atol=1e-12)
    np.testing.assert_array_equal(folded(far, None), far)


def test_lattice_vectors_change_nothing(tmp_path, caplog):
    """Of every label, by random whole numbers: the same model, and the same errors."""
    models = []
    with caplog.at_level(logging.INFO):
        for seed in (None, 1, 2):
            frames = list(labelled(truth(), 8))
            models.append(fit(configured(tmp_path, frames if seed is None else shifted(frames, seed))))
    assert "dipoles of 8 frames are known up to e times lattice vectors" in caplog.text
    assert "doubtful" not in caplog.text
    expected = answers(models[0])
    for model in models[1:]:
        for received, wanted in zip(answers(model), expected, strict=True):
            np.testing.assert_allclose(received, wanted, atol=1e-10)
    reports = []
    for frames in (labelled(truth(), 4), shifted(list(labelled(truth(), 4)), 3)):
        report = evaluate_errors(models[0], [frame_from_ase(atoms) for atoms in frames])
        reports.append(report.properties["dipole"].root_mean_square_error)
    assert reports[1] == pytest.approx(reports[0], abs=1e-12) and reports[0] < 1e-3


def test_what_dipoles_are_known_up_to(tmp_path):
    """A file says it, Born charges of a periodic frame do, or the configuration does."""
    atoms = next(labelled(truth(), 1))
    np.testing.assert_allclose(frame_from_ase(atoms).quantum, atoms.cell.array)
    assert frame_from_ase(atoms, reading=Reading(dipole_quantum="none")).quantum.shape == (0, 3)
    atoms.info["dipole_quantum"] = (2 * atoms.cell.array).ravel()
    np.testing.assert_allclose(frame_from_ase(atoms).quantum, 2 * atoms.cell.array)
    assert "dipole_quantum" not in frame_from_ase(atoms).found.unused
    np.testing.assert_allclose(frame_from_ase(atoms, reading=Reading(dipole_quantum="lattice")).quantum, atoms.cell)
    del atoms.info["dipole_quantum"], atoms.arrays[BORN_CHARGES]
    assert frame_from_ase(atoms).quantum is None
    atoms.pbc = [True, True, False]
    received = frame_from_ase(atoms, reading=Reading(dipole_quantum="lattice")).quantum
    np.testing.assert_allclose(received, atoms.cell.array[:2])
    atoms.info["dipole_quantum"] = "all"
    with pytest.raises(DataError, match="dipole_quantum of frame 0 is 'all'; three vectors"):
        frame_from_ase(atoms)
    atoms.info["dipole_quantum"] = np.zeros(9)
    frame = frame_from_ase(atoms)
    assert frame.quantum.shape == (0, 3) and not frame.is_folded
    assert frame.label_near("dipole", np.full(3, 99.0)) is frame.labels["dipole"]
    atoms.info["dipole_quantum"] = [1, 2, 3, 2, 4, 6, 0, 0, 1]
    with pytest.raises(DataError, match=r"dipole_quantum of frame 0 is .* independent"):
        frame_from_ase(atoms)
    with pytest.raises(DataError, match="dipole_quantum = 'cell'; allowed are lattice and none"):
        Reading(dipole_quantum="cell")


def test_what_nothing_can_tell_is_refused(tmp_path):
    frames = list(labelled(truth(), 6, ("dipole",)))
    with pytest.raises(ConfigurationError, match="no training frame has born_effective_charges, which tell"):
        fit(configured(tmp_path, frames, data='dipole_quantum = "lattice"'))
    fit(configured(tmp_path, frames))
    half = shifted(list(labelled(truth(), 6)), part=0.5)
    with pytest.raises(ConfigurationError, match=r"half a quantum off in direction 0.*say nominal_charges"):
        fit(configured(tmp_path, half))


def test_quanta_that_nobody_told_are_asked_for(tmp_path):
    """Beside frames that are folded, and with nominal charges: labels of any branch would be taken as they stand."""
    frames = list(shifted(list(labelled(truth(), 8)), 1))
    del frames[5].arrays[BORN_CHARGES]
    with pytest.raises(ConfigurationError, match=r"what the dipole of frame 5 .*that of frame 0 .* is: say dipole_q"):
        fit(configured(tmp_path, frames))
    told = fit(configured(tmp_path, frames, data='dipole_quantum = "lattice"'))
    np.testing.assert_allclose(answers(told)[0], answers(truth())[0], atol=1e-3)
    frames = list(labelled(ions(), 6, ("dipole",)))
    with pytest.raises(ConfigurationError, match=r"dipole of frame 0 .* nominal_charges tell images .*'lattice' or"):
        fit(configured(tmp_path, frames, dipole=NOMINAL))
    fit(configured(tmp_path, frames, 'dipole_quantum = "none"', dipole=NOMINAL))
    for atoms in frames:
        atoms.info["dipole_quantum"] = np.zeros(9)
    fit(configured(tmp_path, frames, dipole=NOMINAL))


def test_parts_of_charges_cannot_be_folded(tmp_path):
    frames = list(labelled(truth(metadata={"nominal_charges": {"O": -1.5, "H": 0.75}}), 8))
    parts = "nominal_charges = {O = -1.5, H = 0.75}"
    with pytest.raises(ConfigurationError, match=r"an atom of -1.5 e in .* frame 0 .*; whole nominal_charges are need"):
        fit(configured(tmp_path, frames, dipole=parts))
    fit(configured(tmp_path, frames, 'dipole_quantum = "none"', dipole=parts))
    for atoms in frames:
        atoms.info["dipole_quantum"] = (0.75 * atoms.cell.array).ravel()
    fit(configured(tmp_path, frames, dipole=parts))


@pytest.mark.parametrize("name", ["atomic_dipole", "molecular_dipole"])
def test_charges_of_parts_add_up_too(tmp_path, name):
    frames = [random_structure(seed, 2) for seed in range(3)]
    for atoms in frames:
        if name == "atomic_dipole":
            atoms.arrays[name] = np.ones((6, 3))
        else:
            atoms.info[name] = np.ones(6)
    unit = '[metadata]\nrepeating_unit = "OHH"'
    with pytest.raises(ConfigurationError, match=r"add up to \+2 e in frame 0 of .* \+0 e"):
        fit(configured(tmp_path, frames, dipole="nominal_charges = {O = -1, H = 1}", more=unit))
    with pytest.raises(ConfigurationError, match=r"nominal_charges in \[metadata\]; allowed are keys"):
        configured(tmp_path, frames, more="[metadata]\nnominal_charges = {O = -1, H = 1}")


@pytest.mark.parametrize("said", [{"O": "-2"}, {"Q": 1}, {"O": float("nan")}, "O", {"O": True}])
def test_malformed_nominal_charges_of_a_model_are_refused(said):
    with pytest.raises(ModelFileError, match=r"nominal_charges of a model is .*; allowed is a finite number in e for"):
        truth(metadata={"nominal_charges": said}).evaluate(Batch.from_ase(random_structure(0, 1)), WANT)


def test_a_doubtful_branch_is_said(tmp_path, caplog):
    fit(configured(tmp_path, shifted(list(labelled(truth(), 6)), part=0.7)))
    assert "the branch of 6 of 6 dipoles is doubtful" in caplog.text


def ions(**more):
    return truth(metadata={**IONS, "repeating_unit": "OHH"}, **more)


def test_nominal_charges_are_fitted_with(tmp_path):
    """Labels of ions, wrapped anywhere: the local part is found again, and its model answers for unwrapped atoms."""
    frames = list(shifted(list(labelled(ions(), 12)), 5))
    for atoms in frames:
        atoms.wrap()
    model = fit(configured(tmp_path, frames, dipole=NOMINAL, more='[metadata]\nrepeating_unit = "OHH"'))
    save(model, tmp_path / "ions.safetensors")
    model = load(tmp_path / "ions.safetensors")
    assert model.metadata["nominal_charges"] == {"O": -2.0, "H": 1.0}
    for received, expected in zip(answers(model), answers(ions()), strict=True):
        np.testing.assert_allclose(received, expected, atol=1e-3)
    atoms = random_structure(7, 2)
    here = model.evaluate(Batch.from_ase(atoms), WANT)
    moved = atoms.copy()
    moved.positions[0] += 2 * atoms.cell.array[1]
    there = model.evaluate(Batch.from_ase(moved), WANT)
    np.testing.assert_allclose(there.dipole[0] - here.dipole[0], -4 * atoms.cell.array[1], atol=1e-10)
    np.testing.assert_allclose(there.born_charges, here.born_charges, atol=1e-10)
    np.testing.assert_allclose(here.born_charges[0].sum(axis=0), 0, atol=1e-10)
    with pytest.raises(
        ConfigurationError, match=r"nominal_charges in \[dipole\] add up to \+2 e in frame 0 of .* \+0 e"
    ):
        fit(configured(tmp_path, frames, dipole="nominal_charges = {O = -1, H = 1}"))
    with pytest.raises(ConfigurationError, match="has Xy, which is no chemical element"):
        fit(configured(tmp_path, frames, dipole="nominal_charges = {Xy = -1}"))


def test_local_vectors_know_no_images():
    """Without nominal charges, a dipole does not change when an atom is moved by a lattice vector."""
    atoms = random_structure(7, 2)
    moved = atoms.copy()
    moved.positions[[0, 4]] += atoms.cell.array[[0, 2]]
    here, there = (truth().evaluate(Batch.from_ase(own), WANT) for own in (atoms, moved))
    for name in WANT:
        np.testing.assert_allclose(there[name], here[name], atol=1e-12)


@pytest.mark.parametrize("metadata", [IONS, {"nominal_charges": {"O": -1.5, "H": 1}}])
def test_derivatives_of_dipoles_of_ions(metadata):
    """Born charges, forces and virial against differences, in a field; Born charges add up to the charge."""
    model = random_model(heads=("energy", "dipole"), metadata=metadata).in_field((0.1, -0.2, 0.3))
    atoms = random_structure(3, 1)
    want = ("energy", "forces", "virial", "dipole", "born_charges")

    def at(positions, cell):
        return model.evaluate(Batch.from_ase(Atoms(atoms.numbers, positions, cell=cell, pbc=True)), want)

    here, step = at(atoms.positions, atoms.cell.array), 1e-4
    charge = sum(metadata["nominal_charges"][symbol] for symbol in atoms.symbols)
    np.testing.assert_allclose(here.born_charges[0].sum(axis=0), charge * np.eye(3), atol=1e-12)
    for axis in range(3):
        ends, strained = [], []
        for sign in (1, -1):
            positions, deformation = atoms.positions.copy(), np.eye(3)
            positions[1, axis] += sign * step
            deformation[0, axis] += sign * step
            ends.append(at(positions, atoms.cell.array))
            strained.append(at(atoms.positions @ deformation, atoms.cell.array @ deformation))
        dipole = (ends[0].dipole[0] - ends[1].dipole[0]) / (2 * step)
        np.testing.assert_allclose(here.born_charges[0, 1, axis], dipole, atol=1e-6)
        assert here.forces[0, 1, axis] == pytest.approx(-(ends[0].energy[0] - ends[1].energy[0]) / (2 * step), abs=1e-6)
        virial = -(strained[0].energy[0] - strained[1].energy[0]) / (2 * step)
        assert here.virial[0, axis, 0] == pytest.approx(virial, abs=1e-5)


def test_molecules_of_nominal_charges():
    """Dipoles of molecules add up to that of the cell where no molecule is cut, and have no origin."""
    atoms = random_structure(5, 3)
    want = ("dipole", "molecular_dipole")
    response = ions().evaluate(Batch.from_ase(atoms), want)
    np.testing.assert_allclose(response.molecular_dipole[0].sum(axis=0), response.dipole[0], atol=1e-10)
    atoms.positions += 0.7
    atoms.wrap()
    wrapped = ions().evaluate(Batch.from_ase(atoms), want)
    np.testing.assert_allclose(wrapped.molecular_dipole, response.molecular_dipole, atol=1e-10)


def test_frames_that_are_written_keep_their_branches(tmp_path):
    """With the labels in e·Å, whatever the unit of the file; Born charges and polarizabilities come back, too."""
    generator = np.random.default_rng(0)
    frames = []
    for index, atoms in enumerate(labelled(truth(), 4)):
        atoms.info["polarizability"] = generator.normal(size=9)
        if index == 1:
            atoms.info["dipole_quantum"] = np.vstack([3 * atoms.cell.array[1:], np.zeros(3)]).ravel()
        if index == 2:
            del atoms.arrays[BORN_CHARGES]
        said = Reading(units={"dipole": "debye"}, dipole_quantum="none" if index == 3 else "")
        frames.append(frame_from_ase(atoms, reading=said))
    assert [frame.quantum is None for frame in frames] == [False, False, True, False]
    write_frames(tmp_path / "all.xyz", frames)
    for received, frame in zip(read_frames(tmp_path / "all.xyz"), frames, strict=True):
        assert received.labels.keys() == frame.labels.keys()
        for name, label in frame.labels.items():
            np.testing.assert_allclose(received.labels[name], label, rtol=1e-6, atol=1e-7)
        assert (received.quantum is None) == (frame.quantum is None)
        if frame.quantum is not None:
            np.testing.assert_allclose(received.quantum, frame.quantum, rtol=1e-6)
