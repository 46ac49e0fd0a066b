"""Reading the extras of the members of a committee."""

from __future__ import annotations

import numpy as np
import pytest
from beadwise.runs.output.bead_series import BeadSeries
from beadwise.runs.output.extras_file import ExtrasFile
from beadwise.runs.units import BOHR_PER_ANGSTROM, HARTREE_PER_ELECTRONVOLT
from beadwise.spectra import SeriesError
from extras_records import (
    Files,
    component_records,
    mean_of,
    read_all,
    read_in_two,
    records,
)


@pytest.fixture
def files(tmp_path) -> Files:
    return Files(tmp_path)


MEMBER_SIZES = {"committee_energy": 1, "committee_dipole": 3, "committee_polarizability": 9}
CELL_SIZES = {"dipole": 3, "polarizability": 9}
UNITS = {
    "committee_energy": HARTREE_PER_ELECTRONVOLT,
    "dipole": BOHR_PER_ANGSTROM,
    "committee_dipole": BOHR_PER_ANGSTROM,
    "polarizability": BOHR_PER_ANGSTROM**3,
    "committee_polarizability": BOHR_PER_ANGSTROM**3,
}


@pytest.mark.parametrize(
    ("names", "series"),
    [
        (["committee_pot"], ["committee_energy"]),
        (["member_dipoles"], ["committee_dipole"]),
        (["member_polarizabilities"], ["committee_polarizability"]),
        (["dipole", "member_dipoles"], ["dipole", "committee_dipole"]),
        (
            ["member_polarizabilities", "polarizability", "committee_pot", "dipole", "member_dipoles"],
            ["committee_polarizability", "polarizability", "committee_energy", "dipole", "committee_dipole"],
        ),
        # of an <ffcommittee>, whose committee_dipole is the mean
        (["committee_dipole", "committee_member_dipoles"], ["dipole", "committee_dipole"]),
        (
            ["committee_member_polarizabilities", "committee_polarizability", "committee_pot"],
            ["committee_polarizability", "polarizability", "committee_energy"],
        ),
    ],
)
@pytest.mark.parametrize("members", [1, 5])
def test_members_of_a_committee(files, names, series, members):
    """Written by hand, number by number: each member after the other, as a driver sends them."""
    sizes = [members * MEMBER_SIZES[name] if name in MEMBER_SIZES else CELL_SIZES[name] for name in series]
    files.append_steps(range(3), kinds=names, count=sum(sizes))
    samples = read_all(files.series())
    assert list(samples) == series
    rows = np.split(mean_of(range(3), count=sum(sizes)), np.cumsum(sizes)[:-1], axis=1)
    for name, row in zip(series, rows, strict=True):
        axes = {1: (), 3: (3,), 9: (3, 3)}[MEMBER_SIZES.get(name) or CELL_SIZES[name]]
        shape = (3, members, *axes) if name in MEMBER_SIZES else (3, *axes)
        assert samples[name].shape == shape
        np.testing.assert_allclose(samples[name], row.reshape(shape) / UNITS[name], rtol=1e-13)
        if name in MEMBER_SIZES:
            size = MEMBER_SIZES[name]
            last = row[:, (members - 1) * size :] / UNITS[name]
            np.testing.assert_allclose(samples[name][:, -1].reshape(3, -1), last, rtol=1e-13)


def test_members_read_while_the_file_grows_cut_at_every_byte(files):
    """How many members there are is only known when the first record is followed by another one."""
    kinds = ("dipole", "member_dipoles", "committee_pot")
    texts = [records(bead, range(3), kinds, 11) for bead in range(2)]
    expected = mean_of(range(3), count=11)
    for cut in range(len(texts[0]) + 1):
        for path in files.paths:
            path.unlink(missing_ok=True)
        pieces = read_in_two(files, texts, cut, (7 * cut) % (len(texts[1]) + 1))
        np.testing.assert_allclose(pieces["dipole"], expected[:, :3] / BOHR_PER_ANGSTROM, rtol=1e-13)
        np.testing.assert_allclose(
            pieces["committee_dipole"].reshape(3, 6), expected[:, 3:9] / BOHR_PER_ANGSTROM, rtol=1e-13
        )
        np.testing.assert_allclose(pieces["committee_energy"], expected[:, 9:] / HARTREE_PER_ELECTRONVOLT, rtol=1e-13)


def test_members_killed_at_any_byte_and_continued(files):
    kinds, count = ("member_dipoles", "committee_pot"), 8
    texts = [records(bead, range(3, 5), kinds, count) for bead in range(2)]
    expected = mean_of(range(6), count=count)[:, :6].reshape(-1, 2, 3) / BOHR_PER_ANGSTROM
    for place in range(0, len(texts[0]) + 1, 3):
        for path in files.paths:
            path.unlink(missing_ok=True)
        files.append_steps(range(3), kinds=kinds, count=count)
        files.append(texts[0][:place], texts[1][: place // 2])
        continuing = files.series(last_step=2)
        before = continuing.read()
        files.append_steps(range(3, 6), kinds=kinds, count=count)
        after = read_all(continuing)
        joined = np.concatenate([before["committee_dipole"], after["committee_dipole"]])
        np.testing.assert_allclose(joined, expected, rtol=1e-13)
        np.testing.assert_allclose(read_all(files.series())["committee_dipole"], expected, rtol=1e-13)


def test_members_of_one_component(tmp_path):
    path, kinds = tmp_path / "out.extras", ("dipole", "member_dipoles")
    path.write_text(component_records(range(3), 4, kinds, count=15))
    series = BeadSeries([path])
    samples = read_all(series)
    assert series.beads == 4 and series.names == kinds
    expected = mean_of(range(3), 4, count=15)[:, 3:].reshape(3, 4, 3) / BOHR_PER_ANGSTROM
    np.testing.assert_allclose(samples["committee_dipole"], expected, rtol=1e-12, atol=1e-14)


def test_alarms_beside_the_series_are_passed_over(files):
    kinds = ("energy_uncertainty", "dipole", "envelope_distance", "member_dipoles", "committee_uncertainty")
    files.append_steps(range(3), kinds=kinds, count=12)
    samples = read_all(files.series())
    expected = mean_of(range(3), count=12) / BOHR_PER_ANGSTROM
    assert list(samples) == ["dipole", "committee_dipole"]
    np.testing.assert_allclose(samples["dipole"], expected[:, 1:4], rtol=1e-13)
    np.testing.assert_allclose(samples["committee_dipole"].reshape(3, 6), expected[:, 5:11], rtol=1e-13)


@pytest.mark.parametrize(
    ("kinds", "count", "message"),
    [
        (["dipole", "member_dipoles"], 8, "8 numbers in a row are no dipole, member_dipoles"),
        (["committee_pot", "member_dipoles"], 3, "3 numbers in a row are no committee_pot, member_dipoles"),
        (["dipole", "committee_dipole"], 6, "hold dipole and committee_dipole, which are the same; give one"),
        (["member_dipoles", "molecular_dipole"], 9, "hold both members and molecules"),
        (["member_dipoles", "member_shielding"], 48, "hold both members and members of atoms"),
        (["density_of_states", "member_density_of_states"], 44, "values of density_of_states and values of member_"),
        (["electron_density", "orbital_energies"], 12, "hold both functions and orbitals"),
        (["committee_uncertainty"], 1, "'committee_uncertainty' are no series; allowed are dipole"),
    ],
)
def test_members_that_are_refused(files, kinds, count, message):
    files.append_steps(range(3), kinds=kinds, count=count)
    with pytest.raises(SeriesError, match=message):
        read_all(files.series())


def test_members_of_curves_in_a_file_that_is_read_by_steps(tmp_path):
    """How many members and how many values there are is written nowhere: they stay in a row."""
    path = tmp_path / "curves_0"
    numbers = np.linspace(-1, 5, 21)
    row = " ".join(f"{number:.16e}" for number in numbers)
    path.write_text(f"#EXTRAS(member_density_of_states)# Step:          4  Bead:       0\n{row}\n")
    (found,) = ExtrasFile(path, 3).record(4)
    assert list(found) == ["committee_density_of_states"]
    np.testing.assert_allclose(found["committee_density_of_states"], numbers * HARTREE_PER_ELECTRONVOLT, rtol=1e-13)
