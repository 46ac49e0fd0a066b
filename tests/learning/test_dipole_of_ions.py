"""The dipole of an ion: about a centre that moves, with Born charges that add up to its charge."""

import warnings

import ase.io
import numpy as np
import pytest
from ase import Atoms
from beadwise.errors import StructureWarning
from beadwise.learning.data import Reading, frame_from_ase
from beadwise.learning.fitting.accuracy import evaluate_errors
from beadwise.learning.fitting.configuration import ConfigurationError, read_configuration
from beadwise.learning.fitting.fit import fit
from beadwise.model import Batch, load, save
from beadwise.model.training.net_charge import NOMINAL, RECORD
from models import random_model, random_structure

WANT = ("energy", "forces", "virial", "dipole", "born_charges")


def ion(seed):
    """Two molecules anywhere in space."""
    atoms = random_structure(seed, 2)
    atoms.set_cell(None)
    atoms.pbc = False
    atoms.positions += 5 * np.random.default_rng(seed).normal(size=3)
    return atoms


def configured(folder, data, more=""):
    (folder / "fit.toml").write_text(
        f'[data]\ntrain = ["train.xyz"]\n{data}\n[density]\ncutoff = 3.0\nradial = 3\nl_max = 2\n[energy]\n'
        f'[dipole]\nl_max = 2\nridge = 1e-10\n{more}[output]\nmodel = "model.safetensors"\n'
    )
    return read_configuration(folder / "fit.toml")


def labelled_ions(count, about_centre):
    """Labels of a neutral model, plus a charge of +1 at the centre of mass if they are about the coordinates."""
    truth = random_model(heads=("energy", "dipole"))
    for seed in range(count):
        atoms = ion(seed)
        response = truth.evaluate(Batch.from_ase(atoms), ("energy", "dipole"))
        shift = 0.0 if about_centre else atoms.get_center_of_mass()
        atoms.info |= {"energy": float(response.energy[0]), "dipole": response.dipole[0] + shift, "charge": 1}
        yield atoms


@pytest.mark.parametrize("origin", ["coordinates", "centre_of_mass"])
def test_a_fit_of_ions(tmp_path, origin):
    ase.io.write(tmp_path / "train.xyz", list(labelled_ions(40, origin == "centre_of_mass")), format="extxyz")
    model = fit(configured(tmp_path, f'dipole_origin = "{origin}"'))
    save(model, tmp_path / "model.safetensors")
    assert load(tmp_path / "model.safetensors").metadata[RECORD] == 1.0
    atoms = ion(100)
    batch = Batch.from_ase(atoms)
    expected = random_model(heads=("energy", "dipole")).evaluate(batch, ("dipole",)).dipole[0]
    received = load(tmp_path / "model.safetensors").evaluate(batch, WANT)
    np.testing.assert_allclose(received.dipole[0] - atoms.get_center_of_mass(), expected, atol=0.02)
    np.testing.assert_allclose(received.born_charges[0].sum(axis=0), np.eye(3), atol=1e-12)
    report = evaluate_errors(model, [frame_from_ase(own, reading=Reading(dipole_origin=origin)) for own in
                                     labelled_ions(5, origin == "centre_of_mass")])  # fmt: skip
    assert report.properties["dipole"].root_mean_square_error < 0.02


def test_what_is_not_said_is_asked(tmp_path):
    structures = list(labelled_ions(4, False))
    ase.io.write(tmp_path / "train.xyz", structures, format="extxyz")
    with pytest.raises(ConfigurationError, match=r"charge \+1 e depends on its origin: say dipole_origin = 'coord"):
        fit(configured(tmp_path, ""))
    structures[2].info["charge"] = 0
    ase.io.write(tmp_path / "train.xyz", structures, format="extxyz")
    with pytest.raises(ConfigurationError, match=r"have the total charges \+0, \+1 e"):
        fit(configured(tmp_path, "dipole_origin = 'coordinates'"))
    with pytest.raises(ConfigurationError, match=r"allowed are \['coordinates', 'centre_of_mass'\]"):
        configured(tmp_path, "dipole_origin = 'centre'")


def charged_model(**settings):
    return random_model(heads=("energy", "dipole"), metadata={RECORD: 2.0}, **settings)


@pytest.mark.filterwarnings("ignore:model has its charge")
@pytest.mark.parametrize("field", [(0.0, 0.0, 0.0), (0.1, -0.2, 0.3)])
def test_derivatives_of_the_whole(field):
    """Forces, virial and Born charges against differences, in a field too."""
    atoms = random_structure(3, 1)
    model = charged_model()
    model = model.in_field(field) if any(field) else model

    def answers(positions, cell):
        moved = Atoms(atoms.numbers, positions, cell=cell, pbc=True)
        return model.evaluate(Batch.from_ase(moved), WANT)

    here, step = answers(atoms.positions, atoms.cell.array), 1e-4
    for axis in range(3):
        ends = []
        for sign in (1, -1):
            positions = atoms.positions.copy()
            positions[1, axis] += sign * step
            ends.append(answers(positions, atoms.cell.array))
        force = -(ends[0].energy[0] - ends[1].energy[0]) / (2 * step)
        charge = (ends[0].dipole[0] - ends[1].dipole[0]) / (2 * step)
        assert here.forces[0, 1, axis] == pytest.approx(force, abs=1e-6)
        np.testing.assert_allclose(here.born_charges[0, 1, axis], charge, atol=1e-6)
        for other in range(3):
            ends = []
            for sign in (1, -1):
                deformation = np.eye(3)
                deformation[other, axis] += sign * step
                ends.append(answers(atoms.positions @ deformation, atoms.cell.array @ deformation).energy[0])
            assert here.virial[0, axis, other] == pytest.approx(-(ends[0] - ends[1]) / (2 * step), abs=1e-5)


def test_a_model_without_a_charge_is_unchanged():
    batch = Batch.from_ase(ion(0))
    plain = random_model(heads=("energy", "dipole")).evaluate(batch, WANT)
    for charge in ("one", True, None, float("nan"), 0):
        other = random_model(heads=("energy", "dipole"), metadata={RECORD: charge}).evaluate(batch, WANT)
        for name in WANT:
            np.testing.assert_array_equal(other[name], plain[name])


def test_images_of_a_charge_at_the_centre_of_mass_are_told_once():
    """An ion that is alone in its cell has none; nominal charges are made for images."""
    alone = ion(0)
    alone.set_cell(np.eye(3) * 60)
    alone.pbc = True
    crowded = random_structure(3, 3)
    nominal = random_model(heads=("energy", "dipole"), metadata={NOMINAL: {"H": 1, "O": -2}})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        charged_model().evaluate(Batch.from_ase(alone), ("dipole",))
        nominal.evaluate(Batch.from_ase(crowded), ("dipole",))
    for earlier in ([], [alone]):  # also after what has no images
        model = charged_model()
        with pytest.warns(StructureWarning, match=r"charge of \+2 e at the centre of mass.*nominal_charges") as told:
            for structure in (*earlier, crowded, crowded, alone, crowded):
                model.evaluate(Batch.from_ase(structure), ("dipole",))
        assert len(told) == 1
