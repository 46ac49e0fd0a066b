"""Quantities that come in one file: fitted, evaluated, with members and calibration, and asked for through ASE."""

import json
import math

import numpy as np
import pytest
from ase.io import write
from beadwise.driver.commands.group import main
from beadwise.learning.data import DataError, read_frames
from beadwise.model import Batch, ModelFileError, load, save
from beadwise.model.calculator import Calculator
from beadwise.properties.forms import VECTOR, values
from beadwise.properties.quantities import heads, registered
from beadwise.quantity import Quantity, Unit
from beadwise.runs.output.series_files import find_sources
from click.testing import CliRunner
from models import random_model, random_structure
from own_quantities import LEVELS, QUADRUPOLE

FIT = """
[data]
train = ["train.xyz"]
validation = ["valid.xyz"]
[density]
cutoff = 3.0
radial = 3
l_max = 2
[energy]
[atomic_quadrupole]
l_max = 2
ridge = 1e-8
[level_density]
l_max = 2
ridge = 1e-8
[committee]
members = 6
[output]
model = "fitted.safetensors"
"""
NOISE = {"atomic_quadrupole": 0.003, "level_density": 0.01}


def truth():
    """A model that has them, and an energy."""
    return random_model(heads=[name for name, (own, _) in heads().items() if own.name in ("energy", *NOISE)])


def labelled(seed: int):
    """A structure with what the model says of it, as people write extended xyz, and noise."""
    atoms, rng = random_structure(seed), np.random.default_rng(seed)
    response = truth().evaluate(Batch.from_ase(atoms), ("energy", "forces", *NOISE))
    noisy = {name: response[name][0] + rng.normal(0, size, response[name][0].shape) for name, size in NOISE.items()}
    atoms.info["energy"], atoms.arrays["forces"] = float(response.energy[0]), response.forces[0]
    symmetric = 0.5 * (noisy["atomic_quadrupole"] + noisy["atomic_quadrupole"].swapaxes(1, 2))
    atoms.arrays["quadrupoles"] = symmetric.reshape(-1, 9)
    atoms.info["level_density"] = noisy["level_density"]
    return atoms


@pytest.fixture(autouse=True)
def known():
    with registered(QUADRUPOLE, LEVELS):
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Data, and the model that ``beadwise fit`` makes of them."""
    folder = tmp_path_factory.mktemp("own")
    with registered(QUADRUPOLE, LEVELS):
        write(folder / "train.xyz", [labelled(seed) for seed in range(24)], format="extxyz")
        write(folder / "valid.xyz", [labelled(seed) for seed in range(100, 120)], format="extxyz")
        (folder / "fit.toml").write_text(FIT)
        done = CliRunner().invoke(main, ["fit", str(folder / "fit.toml")], catch_exceptions=False)
        assert done.exit_code == 0, done.output
    return folder


def test_fit_finds_them(folder):
    model, atoms = load(folder / "fitted.safetensors"), random_structure(200)
    received, expected = (one.evaluate(Batch.from_ase(atoms), tuple(NOISE)) for one in (model, truth()))
    assert received.atomic_quadrupole.shape == (1, len(atoms), 3, 3) and received.level_density.shape == (1, 50)
    for name, most in {"atomic_quadrupole": 2, "level_density": 4}.items():  # totals of 24 frames say less than atoms
        assert math.sqrt(np.mean((received[name] - expected[name]) ** 2)) < most * NOISE[name]
    assert {"committee_atomic_quadrupole", "level_density_uncertainty", "level_density_derivatives"} < set(
        model.properties
    )


def test_errors_and_calibration(folder, tmp_path):
    """Fits by rows of atoms and by totals find their noise, and members are as far apart as the errors."""
    arguments = ["evaluate", str(folder / "fitted.safetensors"), str(folder / "valid.xyz")]
    done = CliRunner().invoke(main, [*arguments, "--json", str(tmp_path / "errors.json")], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "errors.json").read_text())["properties"]
    assert found["quadrupoles"]["unit"] == "e·Å²" and found["level_density"]["unit"] == "1/eV"
    assert found["quadrupoles"]["root_mean_square_error"] < 2 * NOISE["atomic_quadrupole"]
    assert found["level_density"]["root_mean_square_error"] < 3 * NOISE["level_density"]
    factors = load(folder / "fitted.safetensors").members.factors
    assert set(factors) == {"energy", "forces", *NOISE} and all(factor > 0 for factor in factors.values())
    picture = tmp_path / "reliability.png"
    done = CliRunner().invoke(main, [*arguments, "--reliability", str(picture)], catch_exceptions=False)
    assert done.exit_code == 0 and "atomic_quadrupole" in done.output and picture.stat().st_size > 10_000
    done = CliRunner().invoke(main, ["inspect", str(folder / "fitted.safetensors")], catch_exceptions=False)
    assert done.exit_code == 0 and "level_density" in done.output


def test_through_ase(folder):
    atoms = random_structure(7)
    atoms.calc = Calculator(folder / "fitted.safetensors")
    expected = load(folder / "fitted.safetensors").evaluate(Batch.from_ase(atoms), tuple(NOISE))
    for name in NOISE:
        np.testing.assert_array_equal(atoms.calc.get_property(name, atoms), expected[name][0])
    derivatives = atoms.calc.get_property("level_density_derivatives", atoms)
    assert derivatives.shape == (len(atoms), 3, 50)


def test_labels_that_do_not_fit_are_refused(tmp_path):
    atoms = labelled(0)
    for wrong, said in [
        (atoms.arrays["quadrupoles"][:, :6], "allowed is 9 numbers per atom in e·Å²"),
        (np.full((len(atoms), 9), np.nan), "all labels must be finite"),
    ]:
        other = atoms.copy()
        del other.arrays["quadrupoles"]
        other.arrays["quadrupoles"] = wrong
        write(tmp_path / "wrong.xyz", other, format="extxyz")
        with pytest.raises(DataError, match=said):
            read_frames(tmp_path / "wrong.xyz")


def test_labels_of_molecules_are_fitted_by_rows(tmp_path):
    """Dipoles of molecules, which add up to those of cells, fit the same heads."""
    model = random_model(heads=("dipole",), metadata={"repeating_unit": "OHH"})
    frames = [random_structure(seed) for seed in range(20)]
    for atoms in frames:
        response = model.evaluate(Batch.from_ase(atoms), ("dipole", "molecular_dipole"))
        atoms.info["molecular_dipole"] = response.molecular_dipole[0]
    write(tmp_path / "molecules.xyz", frames, format="extxyz")
    text = FIT[: FIT.index("[energy]")].replace("train.xyz", "molecules.xyz").replace("validation", "independent")
    text = text.replace("valid.xyz", "molecules.xyz") + "[dipole]\nl_max = 2\nridge = 1e-10\n"
    (tmp_path / "fit.toml").write_text(text + '[output]\nmodel = "molecules.safetensors"\n')
    done = CliRunner().invoke(main, ["fit", str(tmp_path / "fit.toml")])
    assert done.exit_code == 2 and "repeating_unit in [metadata]" in done.output
    (tmp_path / "fit.toml").write_text((tmp_path / "fit.toml").read_text() + '[metadata]\nrepeating_unit = "OHH"\n')
    done = CliRunner().invoke(main, ["fit", str(tmp_path / "fit.toml")], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    batch = Batch.from_ase(random_structure(300))
    expected = model.evaluate(batch, ("dipole", "molecular_dipole"))
    received = load(tmp_path / "molecules.safetensors").evaluate(batch, ("dipole", "molecular_dipole"))
    np.testing.assert_allclose(received.molecular_dipole, expected.molecular_dipole, atol=1e-3)
    np.testing.assert_allclose(received.dipole, expected.dipole, atol=2e-3)


def test_series_from_extended_xyz(tmp_path):
    frames = [labelled(seed) for seed in range(3)]
    write(tmp_path / "series.xyz", frames, format="extxyz")
    (samples,) = next(iter(find_sources([tmp_path / "series.xyz"]))).samples()
    np.testing.assert_allclose(samples["level_density"], [atoms.info["level_density"] for atoms in frames], atol=1e-7)


def test_unknown_and_changed_quantities_in_a_file_are_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    save(truth(), path)
    load(path)
    with registered(without=("level_density",)), pytest.raises(ModelFileError, match="'level_density'; known here"):
        load(path)


def test_members_get_the_molecule_of_their_model_and_calibration_counts_molecules(tmp_path):
    """Labels of two molecules out of three are refused before anything is calibrated with them."""
    moment = Quantity("moment", VECTOR, Unit(charge=1, length=1), per="molecule")
    with registered(moment):
        model = random_model(heads=("moment",), metadata={"repeating_unit": "OHH"})
        save(model, tmp_path / "first.safetensors")
        frames = [random_structure(seed) for seed in range(12)]
        for atoms in frames:
            atoms.info["moment"] = model.evaluate(Batch.from_ase(atoms), ("moment",)).moment[0]
        write(tmp_path / "train.xyz", frames, format="extxyz")
        frames[0].info["moment"] = frames[0].info["moment"][:2]
        write(tmp_path / "valid.xyz", frames[:2], format="extxyz")
        text = FIT[: FIT.index("[energy]")] + '[moment]\nl_max = 2\n[committee]\nmembers = 6\nkind = "last-layer"\n'
        (tmp_path / "fit.toml").write_text(
            text + 'model = "first.safetensors"\n[output]\nmodel = "fitted.safetensors"\n'
        )
        done = CliRunner().invoke(main, ["fit", str(tmp_path / "fit.toml")])
        assert done.exit_code == 2 and "moment of frame 0" in done.output and "shape (2, 3)" in done.output
        assert not load(tmp_path / "fitted.safetensors").members.factors


def test_one_number_is_one_value(tmp_path):
    """ASE writes an array of one number as a number."""
    with registered(Quantity("gap", values(1), Unit(energy=1))):
        atoms = random_structure(0)
        atoms.info["gap"] = 1.5
        write(tmp_path / "gap.xyz", atoms, format="extxyz")
        assert read_frames(tmp_path / "gap.xyz")[0].labels["gap"].tolist() == [1.5]
