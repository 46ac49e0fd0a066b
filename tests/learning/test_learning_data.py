"""Reading labelled structures, refusing what cannot be used, and splitting."""

from __future__ import annotations

import ase.io
import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from beadwise.learning.data import DataError, frame_from_ase, iterate_frames, read_frames, species_of, split
from beadwise.model import BeadwiseError
from beadwise.model.structures import species_names
from models import labelled, random_model, random_structure

TWO_ATOMS = '2\nLattice="9 0 0 0 9 0 0 0 9" Properties=species:S:1:pos:R:3:forces:R:3 {labels}\n{atoms}'
ATOMS = "O 0 0 0 0 0 1\nH 0 0 1 0 0 -1\n"


def write(folder, labels="", atoms=ATOMS, name="data.xyz", times=1):
    path = folder / name
    path.write_text(TWO_ATOMS.format(labels=labels, atoms=atoms) * times)
    return path


def refuse(path, *parts):
    with pytest.raises(DataError) as caught:
        read_frames(path)
    assert isinstance(caught.value, BeadwiseError)
    for part in (str(path), *parts):
        assert part in str(caught.value)


def test_all_labels_from_extended_xyz(tmp_path):
    structures = [labelled(random_model(), random_structure(seed, 2 + seed)) for seed in range(2)]
    ase.io.write(tmp_path / "a.xyz", structures)
    frames = read_frames(tmp_path / "a.xyz")
    assert [frame.index for frame in frames] == [0, 1]
    for frame, structure in zip(frames, structures, strict=True):
        assert frame.atoms.calc is None and "polarizability" not in frame.atoms.info
        np.testing.assert_allclose(frame.atoms.positions, structure.positions, atol=1e-7)
        np.testing.assert_allclose(frame.labels["energy"], structure.get_potential_energy())
        np.testing.assert_allclose(frame.labels["forces"], structure.get_forces(), atol=1e-7)
        np.testing.assert_allclose(frame.labels["stress"], structure.get_stress(voigt=False), atol=1e-12)
        np.testing.assert_allclose(frame.labels["dipole"], structure.get_dipole_moment())
        expected = structure.info["polarizability"].reshape(3, 3)
        np.testing.assert_allclose(frame.labels["polarizability"], expected)
        assert all(label.dtype == np.float64 for label in frame.labels.values())


def test_labels_in_info_and_arrays():
    atoms = random_structure()
    atoms.info |= {
        "energy": -3,
        "dipole": [1, 2, 3],
        "stress": np.arange(6.0),
        "polarizability": np.eye(3),
        "kind": "a",
    }
    atoms.arrays["forces"] = np.ones((9, 3))
    frame = frame_from_ase(atoms)
    assert frame.labels["energy"] == -3 and frame.labels["energy"].shape == ()
    np.testing.assert_array_equal(frame.labels["stress"], [[0, 5, 4], [5, 1, 3], [4, 3, 2]])
    np.testing.assert_array_equal(frame.labels["polarizability"], np.eye(3))
    assert frame.labels["forces"].shape == (9, 3) and "forces" not in frame.atoms.arrays
    assert frame.atoms.info == {"kind": "a"}


def test_labels_of_calculator_come_first(tmp_path):
    atoms = random_structure()
    atoms.info["energy"] = 1.0
    atoms.calc = SinglePointCalculator(atoms, energy=2.0)
    ase.io.write(tmp_path / "a.traj", atoms)
    assert read_frames(tmp_path / "a.traj")[0].labels == {"energy": 2.0}


def test_several_files_one_frame_at_a_time(tmp_path):
    first, second = write(tmp_path, "energy=1", name="a@1.xyz", times=3), write(tmp_path, "energy=two", name="b.xyz")
    frames = iterate_frames([first, second])
    assert [next(frames).name for _ in range(3)] == [f"frame {index} of '{first}'" for index in range(3)]
    with pytest.raises(DataError, match="two"):
        next(frames)


def test_no_labels(tmp_path):
    path = tmp_path / "a.xyz"
    path.write_text("1\n\nH 0 0 0\n")
    (frame,) = read_frames(path)
    assert frame.labels == {} and not frame.atoms.pbc.any()


@pytest.mark.parametrize(
    ("labels", "parts"),
    [
        ("energy=nan", ("energy of frame 0", "is nan", "finite")),
        ("energy=1_eV", ("energy of frame 0", "1_eV", "one number in eV")),
        ('energy="1 2"', ("energy of frame 0", "(2,)", "one number in eV")),
        ('dipole="1 2"', ("dipole of frame 0", "(2,)", "3 numbers in e·Å")),
        ('dipole="1 inf 2"', ("dipole of frame 0", "is inf at [1]")),
        ('polarizability="1 2 3 4 5 6"', ("polarizability of frame 0", "(6,)", "9 numbers in Å³")),
        ('polarizability="1 2 3 4 5 -inf 7 8 9"', ("polarizability of frame 0", "is -inf at [1, 2]")),
    ],
)
def test_unusable_labels_are_refused(tmp_path, labels, parts):
    refuse(write(tmp_path, labels), *parts)


def test_force_that_is_not_finite(tmp_path):
    path = write(tmp_path, atoms=ATOMS, times=2)
    path.write_text(path.read_text() + TWO_ATOMS.format(labels="", atoms="O 0 0 0 0 0 1\nH 0 0 1 0 nan -1\n"))
    refuse(path, "forces of frame 2", "is nan at [1, 1]")


def test_unusable_files_are_refused(tmp_path):
    refuse(tmp_path / "none.xyz", "does not exist")
    (tmp_path / "empty.xyz").touch()
    refuse(tmp_path / "empty.xyz")
    (tmp_path / "blank.xyz").write_text("\n\n")
    refuse(tmp_path / "blank.xyz", "holds no frame")
    (tmp_path / "text.xyz").write_text("no structure\n")
    refuse(tmp_path / "text.xyz", "cannot be read")
    (tmp_path / "short.xyz").write_text("3\n\nH 0 0 0\n")
    refuse(tmp_path / "short.xyz", "cannot be read")
    (tmp_path / "none.unknown").write_text("?")
    refuse(tmp_path / "none.unknown", "cannot be read")
    (tmp_path / "noatoms.xyz").write_text("0\n\n")
    refuse(tmp_path / "noatoms.xyz", "holds no atom")


def test_missing_file_is_found_before_reading(tmp_path):
    frames = iterate_frames([write(tmp_path), tmp_path / "none.xyz"])
    with pytest.raises(DataError, match=r"none\.xyz"):
        next(frames)


def test_species(tmp_path):
    frames = read_frames([write(tmp_path), write(tmp_path, name="c.xyz", atoms="C 0 0 0 0 0 1\nH 0 0 1 0 0 1\n")])
    assert species_of(frames) == (1, 6, 8)
    assert species_names(species_of(frames)) == ["H", "C", "O"]


def test_split():
    items = list(range(50))
    remaining, aside = split(items, 0.2, seed=3)
    assert len(aside) == 10 and sorted(remaining + aside) == items
    assert remaining == sorted(remaining) and aside == sorted(aside)
    assert split(items, 0.2, seed=3) == (remaining, aside) != split(items, 0.2, seed=4)
    assert split(items, 0.0) == (items, [])
    for fraction in (-0.1, 1.0, float("nan")):
        with pytest.raises(DataError, match="allowed is 0 to less than 1"):
            split(items, fraction)
    with pytest.raises(DataError, match="leaves none"):
        split([1], 0.9)
