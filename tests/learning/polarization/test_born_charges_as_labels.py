"""Born charges as labels of a fit: alone, with dipoles, with atoms that have none, and what is said of them."""

import ase.io
import numpy as np
import pytest
from beadwise.learning.fitting.configuration import ConfigurationError, read_configuration
from beadwise.learning.fitting.fit import error_reports, fit
from beadwise.model import Batch, save
from models import random_model, random_structure

BORN_CHARGES = "born_effective_charges"
WANT = ("dipole", "born_charges")
STRUCTURES = range(100, 104)


def truth(**more):
    return random_model(heads=("energy", "dipole"), **more)


def labelled(model, count, names=("dipole", BORN_CHARGES), periodic=True):
    """Structures with what a model says of them."""
    for seed in range(count):
        atoms = random_structure(seed, 2)
        atoms.pbc = periodic
        response = model.evaluate(Batch.from_ase(atoms), WANT)
        if "dipole" in names:
            atoms.info["dipole"] = response.dipole[0]
        if BORN_CHARGES in names:
            atoms.arrays[BORN_CHARGES] = response.born_charges[0].reshape(len(atoms), 9)
        yield atoms


def configured(folder, frames, data="", dipole="", more=""):
    ase.io.write(folder / "train.xyz", list(frames), format="extxyz")
    (folder / "fit.toml").write_text(
        f'[data]\ntrain = ["train.xyz"]\n{data}\n[density]\ncutoff = 3.0\nradial = 3\nl_max = 2\n'
        f'[dipole]\nl_max = 2\nridge = 1e-12\n{dipole}\n{more}\n[output]\nmodel = "model.safetensors"\n'
    )
    return read_configuration(folder / "fit.toml")


def answers(model):
    """Dipoles, and Born charges, of structures that were not fitted."""
    found = [model.evaluate(Batch.from_ase(random_structure(seed, 2)), WANT) for seed in STRUCTURES]
    return np.array([one.dipole[0] for one in found]), np.array([one.born_charges[0] for one in found])


@pytest.mark.parametrize("names", [(BORN_CHARGES,), ("dipole", BORN_CHARGES)])
def test_a_model_is_found_again(tmp_path, names):
    """Born charges alone tell the dipole, too: it has no constant."""
    model = fit(configured(tmp_path, labelled(truth(), 12, names)))
    for received, expected in zip(answers(model), answers(truth()), strict=True):
        np.testing.assert_allclose(received, expected, atol=1e-4 * np.abs(expected).max())


def test_they_say_more_than_dipoles(tmp_path):
    """Of so few frames, dipoles leave nearly all weights open."""
    errors = {}
    for name in ("dipole", BORN_CHARGES):
        model = fit(configured(tmp_path, labelled(truth(), 6, (name,))))
        errors[name] = np.abs(answers(model)[0] - answers(truth())[0]).max()
    assert errors[BORN_CHARGES] < 0.02 * errors["dipole"]


def test_they_count_as_the_length_says(tmp_path):
    """With contradicting labels, a model goes from those of one kind to those of the other; 0 leaves them out."""

    def contradicting():
        for atoms in labelled(truth(), 8):
            atoms.arrays[BORN_CHARGES] *= 2
            yield atoms

    sizes = []
    for length in (0.0, 1e-4, 100.0):
        model = fit(configured(tmp_path, contradicting(), dipole=f"derivative_length = {length}"))
        expected = truth().evaluate(Batch.from_ase(random_structure(0, 2)), WANT).dipole[0]
        sizes.append(model.evaluate(Batch.from_ase(random_structure(0, 2)), WANT).dipole[0] @ expected
                     / (expected @ expected))  # fmt: skip
    assert sizes[0] == pytest.approx(1, abs=1e-3)
    assert sizes[2] == pytest.approx(2, abs=1e-2)


def test_what_they_add_up_to_changes_nothing(tmp_path):
    """A sum that breaks the acoustic sum rule has no part in the equations."""
    raw = []
    for shift in (0.0, 0.3):
        frames = list(labelled(truth(), 6))
        for atoms in frames:
            atoms.arrays[BORN_CHARGES] += shift * np.linspace(-1, 1, 9)
        raw.append(answers(fit(configured(tmp_path, frames))))
    for plain, shifted in zip(*raw, strict=True):
        np.testing.assert_allclose(shifted, plain, atol=1e-8 * np.abs(plain).max())


def test_atoms_may_have_none(tmp_path):
    """What stands for a missing label has no part in the fit."""
    frames = list(labelled(truth(), 14, (BORN_CHARGES,)))
    for place, atoms in enumerate(frames):
        atoms.arrays[BORN_CHARGES][place % 3 :: 3] = np.nan
    model = fit(configured(tmp_path, frames, data="nan_is_missing = true"))
    for received, expected in zip(answers(model), answers(truth()), strict=True):
        np.testing.assert_allclose(received, expected, atol=1e-3 * np.abs(expected).max())


def test_a_committee_and_errors(tmp_path):
    committee = "[committee]\nmembers = 5\nkind = 'last-layer'"
    configuration = configured(tmp_path, labelled(truth(), 8), more=committee)
    model = fit(configuration)
    assert model.members is not None and model.members.count == 5
    report = error_reports(model, configuration)["train.xyz"]
    assert report.properties[BORN_CHARGES].root_mean_square_error < 1e-4
    assert report.properties[BORN_CHARGES].count == 8 * 6 * 9


def test_without_any_label_of_the_dipole(tmp_path):
    with pytest.raises(ConfigurationError, match=r"labels for the dipole head \(dipole, born_effective_charges, mol"):
        fit(configured(tmp_path, [random_structure(0, 2)]))


def test_ions(tmp_path):
    """Of a system with a charge: what moves with the centre of mass is known, and they add up to it."""
    ion = truth(metadata={"net_charge": 1.0})
    frames = list(labelled(ion, 12, periodic=False))
    for atoms in frames:
        atoms.info["charge"] = 1
    model = fit(configured(tmp_path, frames, data='dipole_origin = "coordinates"'))
    for received, expected in zip(answers(model), answers(ion), strict=True):
        np.testing.assert_allclose(received, expected, atol=1e-4 * np.abs(expected).max())
    np.testing.assert_allclose(answers(model)[1].sum(axis=1), np.broadcast_to(np.eye(3), (4, 3, 3)), atol=1e-10)


def test_a_periodic_ion_has_a_dipole_for_each_image_of_its_atoms(tmp_path):
    """A charge at the centre of mass takes a part of a lattice vector along where one atom is wrapped."""
    frames = list(labelled(truth(metadata={"net_charge": 1.0}), 2))
    for atoms in frames:
        atoms.info["charge"] = 1
    with pytest.raises(ConfigurationError, match=r"of frame 0 of '.*', which is periodic and has the charge \+1"):
        fit(configured(tmp_path, frames, data='dipole_origin = "coordinates"\ndipole_quantum = "none"'))


def test_members_of_another_model(tmp_path):
    """Nominal charges must be those of the model that gets members."""
    save(fit(configured(tmp_path, labelled(truth(), 6))), tmp_path / "plain.safetensors")
    committee = "[committee]\nkind = 'last-layer'\nmodel = 'plain.safetensors'"
    own = configured(tmp_path, labelled(truth(), 6), dipole="nominal_charges = {O = -2, H = 1}", more=committee)
    with pytest.raises(ConfigurationError, match=r"nominal_charges = .* gets members, has none, and both must be"):
        fit(own)
