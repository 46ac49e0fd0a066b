"""Dipoles of molecules and of atoms as labels, from arrays of NumPy and from extended xyz."""

import ase.io
import numpy as np
import pytest
from beadwise.learning.data import DataError, Reading, read_frames
from beadwise.learning.fitting.configuration import read_configuration
from beadwise.learning.fitting.fit import error_reports, fit
from beadwise.model import Batch
from beadwise.model.answers import values_of_atoms
from beadwise.properties.unit_names import UnitError, in_own_units
from beadwise.quantity import Unit
from models import random_model, random_structure

OHH = {"repeating_unit": "OHH"}
WANT = ("molecular_dipole", "molecular_polarizability")


def arrays(model, count, names=WANT):
    """What a file of arrays holds."""
    frames = [random_structure(seed, 2) for seed in range(count)]
    found = {
        "positions": np.array([atoms.positions for atoms in frames]),
        "cell": np.array([atoms.cell.array for atoms in frames]),
    }
    responses = [model.evaluate(Batch.from_ase(atoms), names) for atoms in frames]
    return found | {name: np.array([response[name][0] for response in responses]) for name in names}


def configured(folder, train, sections, data=""):
    (folder / "fit.toml").write_text(
        f'[data]\ntrain = ["{train}"]\n{data}\n[density]\ncutoff = 3.0\nradial = 3\nl_max = 2\n{sections}\n'
        '[metadata]\nrepeating_unit = "OHH"\n[output]\nmodel = "model.safetensors"\n'
    )
    return read_configuration(folder / "fit.toml")


def test_molecules_from_arrays(tmp_path):
    """As they lie in a file of arrays; the model and its errors are those of the labels."""
    truth = random_model(metadata=OHH)
    np.savez_compressed(tmp_path / "train.npz", **arrays(truth, 30))
    settings = "l_max = 2\nridge = 1e-12"
    sections = f"[dipole]\n{settings}\n[polarizability]\n{settings}\nlocal_field = false"
    configuration = configured(tmp_path, "train.npz@:20", sections, 'species = "OHH"')
    model = fit(configuration)
    batch = Batch.from_ase(random_structure(50, 2))
    received, expected = (one.evaluate(batch, WANT) for one in (model, truth))
    for name in WANT:
        np.testing.assert_allclose(received[name], expected[name], atol=2e-3 * np.abs(expected[name]).max())
    errors = error_reports(model, configuration)["train.npz@:20"].properties["molecular_dipole"]
    assert errors.count == 20 * 2 * 3 and errors.percent_error < 0.1


def test_what_arrays_may_hold(tmp_path):
    plain = arrays(random_model(metadata=OHH), 3)
    energies, forces = np.arange(3.0), np.ones((3, 6, 3), dtype=np.float32)
    symbols = np.array(["O", "H", "H", "O", "H", "H"])
    np.savez(tmp_path / "a.npz", **plain, energy=energies, forces=forces, symbols=symbols, note=np.array("water"))
    frames = read_frames(tmp_path / "a.npz")
    assert [float(frame.labels["energy"]) for frame in frames] == [0, 1, 2]
    assert frames[1].labels["forces"].shape == (6, 3) and frames[1].labels["forces"].dtype == np.float64
    assert frames[2].atoms.get_chemical_formula(mode="reduce") == "OH2OH2" and frames[2].atoms.pbc.all()
    np.testing.assert_array_equal(frames[2].atoms.cell.array, plain["cell"][2])
    np.savez(tmp_path / "b.npz", positions=plain["positions"], numbers=[8, 1, 1, 8, 1, 1])
    assert not read_frames(tmp_path / "b.npz")[0].atoms.pbc.any()
    np.savez(tmp_path / "c.npz", **plain, pbc=[True, True, False])
    (frame,) = read_frames(str(tmp_path / "c.npz") + "@1:2", Reading(species="OHH"))
    assert frame.atoms.pbc.tolist() == [True, True, False] and frame.index == 1
    for own in (symbols.astype("S"), np.tile(symbols, (3, 1)), np.tile([8, 1, 1, 8, 1, 1], (3, 1)).astype(np.uint8)):
        np.savez(tmp_path / "d.npz", **plain, symbols=own)
        assert read_frames(tmp_path / "d.npz")[1].atoms.get_chemical_formula(mode="reduce") == "OH2OH2"


@pytest.mark.parametrize(
    ("changed", "species", "message"),
    [
        ({}, "", "does not say its elements; say species"),
        ({}, "OHHH", "has 6 atoms, no whole number of 'OHHH'"),
        ({}, "Q", "'Q' has what is no element"),
        ({"positions": np.zeros((2, 6))}, "OHH", r"positions of .* are \(2, 6\)"),
        ({"cell": np.zeros((2, 3))}, "OHH", r"cell of .* has shape \(2, 3\); three vectors for each of 2 frames"),
        ({"pbc": np.ones(2, bool)}, "OHH", r"pbc of .* has shape \(2,\); three truths"),
        ({"pbc": np.array(["T", "F", "T"])}, "OHH", "pbc of .* is of <U1; three truths"),
        ({"cell": np.full((2, 3, 3), "a")}, "OHH", "cell of .* is of <U1; three vectors of real numbers"),
        ({"cell": np.full((3, 3), 1j)}, "OHH", "cell of .* is of complex128; three vectors of real numbers"),
        ({"symbols": np.array("OHHOHH")}, "", r"symbols of .* has shape \(\); 6 elements are needed"),
        ({"symbols": np.array(["OH"] * 6)}, "", "symbols of .* has 'OH'; the symbol of one element"),
        ({"symbols": np.array([b"\xff"] * 6)}, "", "symbols of .* has '.*'; the symbol of one element"),
        ({"numbers": np.full(6, 8.6)}, "", "numbers of .* is of float64; whole numbers or symbols"),
        ({"numbers": np.array(8)}, "", r"numbers of .* has shape \(\); 6 elements"),
        ({"numbers": np.array([8])}, "", r"numbers of .* has shape \(1,\); 6 elements"),
        ({"numbers": np.full(6, 500)}, "", "frame 0 of .*: atom 0 is no chemical element"),
        ({"forces": np.zeros((12, 3))}, "OHH", r"forces of .* has shape \(12, 3\); a row for each of 2 frames"),
        ({"REF_energy": np.zeros(1)}, "OHH", r"REF_energy of .* has shape \(1,\); a row for each of 2 frames"),
        ({"charge": np.array(1.0)}, "OHH", r"charge of .* has shape \(\); a row for each of 2 frames"),
        ({"dipole_quantum": np.eye(3)}, "OHH", r"dipole_quantum of .* has shape \(3, 3\); a row for each"),
        ({"energy": np.zeros(2, complex)}, "OHH", "energy of .* is complex"),
        ({"numbers": np.ones(4)}, "", r"numbers of .* has shape \(4,\); 6 elements"),
        ({"symbols": np.array(["O", "H", "Xx", "O", "H", "H"])}, "", "'Xx'"),
        ({"molecular_dipole": np.zeros((2, 5))}, "OHH", "molecular_dipole of frame 0 .* has shape"),
    ],
)
def test_what_is_not_understood_is_one_line(tmp_path, changed, species, message):
    np.savez(tmp_path / "a.npz", **(arrays(random_model(metadata=OHH), 2) | changed))
    with pytest.raises(DataError, match=message) as error:
        read_frames(tmp_path / "a.npz", Reading(species=species))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"no arrays"])
def test_a_damaged_file_is_one_line(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.npz' cannot be read") as error:
        read_frames(tmp_path / "a.npz")
    assert "\n" not in str(error.value)


def test_damaged_bytes_are_one_line_or_another_file(tmp_path):
    np.savez(tmp_path / "a.npz", **arrays(random_model(metadata=OHH), 2))
    content, generator, refused = (tmp_path / "a.npz").read_bytes(), np.random.default_rng(0), 0
    for _ in range(100):
        damaged = bytearray(content)
        for place in generator.integers(0, len(content), 3):
            damaged[place] = generator.integers(256)
        (tmp_path / "a.npz").write_bytes(damaged)
        try:
            read_frames(tmp_path / "a.npz", Reading(species="OHH"))
        except DataError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 50


def test_wannier_centroids(tmp_path):
    """Centres of electrons from their atoms in Å: with −8 e there, and the charges of cores, a model of dipoles."""
    truth = random_model(metadata={**OHH, "nominal_charges": {"O": -2, "H": 1}}, heads=("energy", "dipole"))
    frames, local = (
        [random_structure(seed, 2) for seed in range(25)],
        random_model(heads=("energy", "dipole"), metadata=OHH),
    )
    for atoms in frames:
        batch = Batch.from_ase(atoms)
        atoms.arrays["wannier_centroid"] = values_of_atoms(local, batch, "dipole")[0] / -8
    ase.io.write(tmp_path / "train.xyz", frames, format="extxyz")
    data = 'keys = {atomic_dipole = "wannier_centroid"}\nunits = {atomic_dipole = "-8*e*angstrom"}'
    sections = "[dipole]\nl_max = 2\nridge = 1e-12\nnominal_charges = {O = -2, H = 1}"
    configuration = configured(tmp_path, "train.xyz", sections, data)
    model = fit(configuration)
    errors = error_reports(model, configuration)["train.xyz"].properties["atomic_dipole"]
    assert errors.unit == "e·Å" and errors.count == 25 * 6 * 3 and errors.percent_error < 0.1
    batch = Batch.from_ase(random_structure(50, 2))
    received, expected = (one.evaluate(batch, ("dipole", "molecular_dipole")) for one in (model, truth))
    for name in ("dipole", "molecular_dipole"):
        np.testing.assert_allclose(received[name], expected[name], atol=1e-3)


def test_what_atoms_add():
    """They add up to molecules and to the cell, and change by what a head changes."""
    model, batch = random_model(metadata=OHH), Batch.from_ase(random_structure(1, 2))
    for name in ("dipole", "polarizability"):
        of_atoms = values_of_atoms(model, batch, name)[0]
        whole = model.evaluate(batch, (f"molecular_{name}",))[f"molecular_{name}"][0]
        np.testing.assert_allclose(of_atoms.reshape(2, 3, *of_atoms.shape[1:]).sum(axis=1), whole, atol=1e-13)


def test_a_number_before_a_unit():
    dipole = Unit(charge=1, length=1)
    assert in_own_units("8*e*angstrom", dipole) == 8
    assert in_own_units("0.5 * debye", dipole) == pytest.approx(0.5 * in_own_units("debye", dipole))
    for wrong in ("8", "8*", "8*/e*angstrom", "8 8*e*angstrom", "*e*angstrom"):
        with pytest.raises(UnitError):
            in_own_units(wrong, dipole)
