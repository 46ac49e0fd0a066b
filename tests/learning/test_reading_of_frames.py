"""Labels under the names, in the units and in the orders of others."""

import gzip

import ase.io
import numpy as np
import pytest
from ase.units import Debye, GPa, Hartree
from beadwise.learning.data import DataError, Reading, expanded, frame_from_ase, iterate_frames, labels, read_frames
from beadwise.model import Batch
from beadwise.properties.forms import VECTOR
from beadwise.properties.quantities import registered
from beadwise.quantity import Quantity, Unit
from models import random_structure

TENSOR = np.array([[1.0, 6.0, 5.0], [6.0, 2.0, 4.0], [5.0, 4.0, 3.0]])


def structure(**info):
    atoms = random_structure()
    for name, value in info.items():
        if np.ndim(value) and len(value) == len(atoms):
            atoms.arrays[name] = np.array(value, dtype=float)
        else:
            atoms.info[name] = value
    return atoms


def frame(reading=None, **info):
    return frame_from_ase(structure(**info), "a.xyz", 3, reading)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("REF_energy", "energy"),
        ("dft_energy", "energy"),
        ("Energy", "energy"),
        ("free_energy", "energy"),
        ("potential", "energy"),
        ("mtt::dipole", "dipole"),
        ("REF_dipole", "dipole"),
        ("mu", "dipole"),
        ("alpha", "polarizability"),
        ("REF_polarizability", "polarizability"),
        ("force", "forces"),
        ("dft_force", "forces"),
        ("REF_forces", "forces"),
        ("REF_stress", "stress"),
        ("bec", "born_effective_charges"),
    ],
)
def test_usual_names(name, label):
    value = {"energy": -1.5, "dipole": [1.0, 2.0, 3.0], "polarizability": TENSOR.ravel(), "stress": TENSOR.ravel()}
    value |= {"forces": np.arange(27.0).reshape(9, 3), "born_effective_charges": np.arange(81.0).reshape(9, 9)}
    found = frame(**{name: value[label]})
    assert set(found.labels) == {label} and found.found.keys == {label: name}
    np.testing.assert_array_equal(found.labels[label].ravel(), np.ravel(value[label]))
    assert name not in found.atoms.info and name not in found.atoms.arrays


@pytest.mark.parametrize("name", ["virial", "virials", "REF_virial", "dft_virial"])
def test_a_virial_becomes_a_stress_with_its_sign(name):
    found = frame(**{name: TENSOR.ravel()})
    np.testing.assert_allclose(found.labels["stress"], -TENSOR / structure().get_volume())
    assert found.found.keys == {"stress": name}


def test_a_stress_and_a_virial_must_agree():
    volume = structure().get_volume()
    agreed = frame(stress=TENSOR.ravel(), virial=-volume * TENSOR.ravel())
    np.testing.assert_allclose(agreed.labels["stress"], TENSOR)
    with pytest.raises(DataError, match=r"'stress' and 'virial' of frame 3 of 'a.xyz' do not agree"):
        frame(stress=TENSOR.ravel(), virial=volume * TENSOR.ravel())
    said = frame(Reading(keys={"stress": "stress"}), stress=TENSOR.ravel(), virial=volume * TENSOR.ravel())
    np.testing.assert_allclose(said.labels["stress"], TENSOR)


def test_two_entries_for_one_label():
    assert frame(energy=1.0, REF_energy=1.0).labels["energy"] == 1.0
    assert frame(energy=1.0, free_energy=1.1).labels["energy"] == 1.0  # other words give way
    with pytest.raises(DataError, match="'energy' and 'REF_energy', which differ; say which is the energy by keys"):
        frame(energy=1.0, REF_energy=2.0)
    assert frame(Reading(keys={"energy": "REF_energy"}), energy=1.0, REF_energy=2.0).labels["energy"] == 2.0
    assert frame(Reading(keys={"energy": "energy"}), energy=1.0, REF_energy=2.0).labels["energy"] == 1.0


def test_other_words_of_another_shape_mean_something_else():
    found = frame(alpha=90.0, mu=0.5, pol="up", force=1.5, energy=1.0)
    assert set(found.labels) == {"energy"} and set(found.found.unused) == {"alpha", "mu", "force"}
    with pytest.raises(DataError, match="has shape"):
        frame(polarizability=90.0)
    with pytest.raises(DataError, match=r"polarizability, 'pol', of frame 3 .* six where orders says which"):
        frame(pol=[1.0, 2.0, 3.0, 6.0, 4.0, 5.0])


def test_names_that_are_said():
    reading = Reading(keys={"dipole": "my_vector", "energy": "E0"})
    found = frame(reading, my_vector=[1.0, 2.0, 3.0], E0=-2.0, mu=[9.0, 9.0, 9.0])
    assert found.labels["energy"] == -2 and found.labels["dipole"].tolist() == [1, 2, 3]
    assert found.found.unused == ("mu",)
    swapped = frame(Reading(keys={"energy": "forces"}), forces=-3.0)
    assert swapped.labels == {"energy": -3.0}


def test_unused_numbers_are_named():
    found = frame(energy=1.0, gap=2.5, note="text", step=3, shifts=np.arange(9.0), config_type="liquid")
    assert set(found.found.unused) == {"gap", "shifts"} and found.group == "liquid"


@pytest.mark.parametrize(
    ("label", "unit", "factor"),
    [
        ("energy", "hartree", Hartree),
        ("forces", "kcal/mol/Å", 0.0433641),
        ("stress", "GPa", GPa),
        ("stress", "-kbar", -0.1 * GPa),
        ("dipole", "debye", Debye),
        ("dipole", "au", 0.5291772),
        ("polarizability", "au", 0.5291772**3),
    ],
)
def test_units(label, unit, factor):
    value = {"energy": 2.0, "forces": np.ones((9, 3)), "dipole": [1.0, 2.0, 3.0]}.get(label, TENSOR.ravel())
    found = frame(Reading(units={label: unit}), **{label: value})
    np.testing.assert_allclose(found.labels[label].ravel(), factor * np.ravel(value), rtol=1e-6)


def test_units_of_positions_and_virials():
    found = frame(Reading(units={"positions": "bohr", "virial": "hartree"}), virial=TENSOR.ravel())
    np.testing.assert_allclose(found.atoms.positions, structure().positions * 0.5291772, rtol=1e-6)
    volume = structure().get_volume() * 0.5291772**3
    np.testing.assert_allclose(found.labels["stress"], -TENSOR * Hartree / volume, rtol=1e-6)


def test_orders_of_tensors():
    six = [1.0, 2.0, 3.0, 6.0, 4.0, 5.0]  # xx yy zz xy yz zx
    reading = Reading(orders={"polarizability": "xx yy zz xy yz zx", "virial": "xx yy zz xy yz zx"})
    found = frame(reading, polarizability=six, virial=six)
    np.testing.assert_array_equal(found.labels["polarizability"], TENSOR)
    np.testing.assert_allclose(found.labels["stress"], -TENSOR / structure().get_volume())
    with pytest.raises(DataError, match=r"has shape \(9,\); allowed is 6 numbers, as orders says"):
        frame(reading, polarizability=TENSOR.ravel())
    nine = np.arange(81.0).reshape(9, 9)
    turned = frame(Reading(orders={"born_effective_charges": "xx yx zx xy yy zy xz yz zz"}), bec=nine)
    np.testing.assert_array_equal(turned.labels["born_effective_charges"], nine.reshape(9, 3, 3).swapaxes(1, 2))
    np.testing.assert_array_equal(frame(stress=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).labels["stress"], TENSOR)  # Voigt
    for name in ("polarizability", "virial"):
        with pytest.raises(DataError, match=f"{name} of frame 3 of 'a.xyz' has shape .* six where orders says which"):
            frame(**{name: six})


def test_nan_is_missing_only_where_it_is_said():
    nothing, some = np.full((9, 3), np.nan), np.arange(27.0).reshape(9, 3)
    some[4] = np.nan
    reading = Reading(nan_is_missing=True)
    assert frame(reading, energy=np.nan, forces=nothing, dipole=[np.nan] * 3).labels == {}
    np.testing.assert_array_equal(frame(reading, forces=some).labels["forces"], some)
    with pytest.raises(DataError, match=r"forces of frame 3 .* is nan at \[4, 0\]; all labels must be finite"):
        frame(forces=some)
    for broken, where in (
        ({"dipole": [1.0, np.nan, 2.0]}, [1]),
        ({"forces": np.where(some == 3, np.nan, some)}, [1, 0]),
    ):
        with pytest.raises(DataError) as caught:
            frame(reading, **broken)
        assert f"is nan at {where}; of a sample all numbers or none" in str(caught.value)
    with pytest.raises(DataError, match="is inf"):
        frame(reading, energy=np.inf)


def test_batches_know_the_charge_of_a_frame_by_whatever_name():
    both = {"charge": 5, "total_charge": -1}
    for reading, given, expected in (
        (Reading(), {"total_charge": -1}, -1.0),
        (Reading(keys={"charge": "total_charge"}), both, -1.0),
        (Reading(keys={"charge": "q"}), both | {"q": 2}, 2.0),
        (Reading(keys={"charge": "q"}, charge=1.0), both, 1.0),
        (Reading(), {"charge": 1, "total_charge": 1.0}, 1.0),
        (Reading(), {}, None),
    ):
        own = frame(reading, **given)
        assert own.charge == expected and Batch.from_ase(own.atoms).charge == expected
    with pytest.raises(DataError, match=r"has 'charge' = 5 and 'total_charge' = -1, which differ; say which"):
        frame(Reading(), **both)


def test_weights_groups_and_charges():
    reading = Reading(weights={"slab": 10.0}, charge=1.0)
    assert frame(reading, energy=1.0).weight == 1.0 and frame(reading).charge == 1.0
    assert frame(reading, config_type="slab", weight=0.5).weight == 5.0
    assert frame(reading, charge=-1).charge == -1.0
    assert frame(Reading(keys={"weight": "w", "group": "kind", "charge": "q"}), w=3, kind="a", q=2).weight == 3.0
    for broken in ({"weight": -1.0}, {"weight": "heavy"}, {"charge": "one"}):
        with pytest.raises(DataError, match=r"of frame 3 of 'a.xyz' is"):
            frame(**broken)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"keys": {"enery": "E"}}, "did you mean 'energy'"),
        ({"keys": {"energy": 3}}, "text is needed"),
        ({"units": {"dipole": "eV"}}, "measures eV; needed is"),
        ({"units": {"dipole": "furlong"}}, "is unknown"),
        ({"units": {"weight": "eV"}}, "allowed are energy"),
        ({"orders": {"stress": "xx yy zz"}}, "each once"),
        ({"orders": {"stress": "xx yy zz yz xz xz"}}, "each once"),
        ({"orders": {"dipole": "xx yy zz yz xz xy"}}, "allowed are stress"),
        ({"weights": {"slab": -1}}, "not negative"),
        ({"charge": float("nan")}, "finite number"),
    ],
)
def test_what_cannot_be_said_is_refused(settings, said):
    with pytest.raises(DataError) as caught:
        Reading(**settings)
    assert said in str(caught.value)


def test_own_quantities_have_names_units_and_orders():
    with registered(Quantity("moment", VECTOR, Unit(charge=1, length=1), per="atom", aliases=("mom",))):
        found = frame(Reading(units={"moment": "debye"}), REF_mom=np.ones((9, 3)))
        np.testing.assert_allclose(found.labels["moment"], Debye * np.ones((9, 3)), rtol=1e-6)


def test_the_stress_of_a_molecule_is_left_out():
    for name in ("stress", "virial"):
        atoms = structure(**{name: np.zeros(9)})
        atoms.pbc = False
        found = frame_from_ase(atoms)
        assert not found.labels and found.found.left_out == ("stress",)
        atoms.cell = None
        assert not frame_from_ase(atoms).labels


def test_no_structure():
    atoms = structure()
    atoms.cell[2] = 0
    with pytest.raises(DataError, match="with pbc T T T; a periodic direction needs a vector"):
        frame_from_ase(atoms)
    atoms.cell[2] = [0, 0, 0.5]
    with pytest.raises(DataError, match=r"frame 0: cell .* is only 0.5 Å high"):
        frame_from_ase(atoms)


def test_patterns_and_parts_of_files(tmp_path):
    frames = [structure(energy=float(index)) for index in range(6)]
    for number in (1, 2, 10):
        ase.io.write(tmp_path / f"run_{number}.xyz", frames, format="extxyz")
    assert expanded(["run_*.xyz", "run_[12].xyz"], tmp_path) == ["run_1.xyz", "run_2.xyz", "run_10.xyz"]
    assert expanded(["run_[12].xyz@:2"], tmp_path) == ["run_1.xyz@:2", "run_2.xyz@:2"]
    with pytest.raises(DataError, match="no data file is called like 'walk_"):
        expanded(["walk_*.xyz"], tmp_path)
    for part, energies in {":2": [0, 1], "1::2": [1, 3, 5], "-2:": [4, 5], "4:": [4, 5], ":-4": [0, 1]}.items():
        found = read_frames(f"{tmp_path}/run_1.xyz@{part}")
        assert [frame.labels["energy"] for frame in found] == energies
        assert [frame.index for frame in found] == energies
    with pytest.raises(DataError, match="holds no frame"):
        read_frames(f"{tmp_path}/run_1.xyz@9:")
    with pytest.raises(DataError, match="does not exist"):
        read_frames(f"{tmp_path}/none.xyz@9:")
    with pytest.raises(DataError, match="is a folder; a file is needed, or a pattern as"):
        read_frames(str(tmp_path))


def test_compressed_files(tmp_path):
    ase.io.write(tmp_path / "a.xyz", structure(energy=1.0), format="extxyz")
    (tmp_path / "b.xyz.gz").write_bytes(gzip.compress((tmp_path / "a.xyz").read_bytes()))
    assert read_frames(tmp_path / "b.xyz.gz")[0].labels["energy"] == 1.0
    (tmp_path / "b.XYZ").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "a.xyz").read_bytes().replace(b"\n", b"\r\n"))
    assert read_frames(tmp_path / "b.XYZ")[0].labels["energy"] == 1.0
    (tmp_path / "c.xyz.gz").write_bytes(gzip.compress((tmp_path / "a.xyz").read_bytes())[:-20])
    (tmp_path / "d.xyz").write_bytes(b"\xff\xfe\x00")
    for name in ("c.xyz.gz", "d.xyz"):
        with pytest.raises(DataError, match=f"data file '.*{name}' cannot be read"):
            list(iterate_frames(tmp_path / name))


def test_every_label_has_a_unit_of_its_own():
    assert all(isinstance(label.unit, Unit) for label in labels().values())
