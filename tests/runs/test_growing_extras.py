"""Reading the extras of beads while i-PI writes them, and after it was killed and continued."""

from __future__ import annotations

import numpy as np
import pytest
from beadwise.runs.output import records as extras_files
from beadwise.runs.units import BOHR_PER_ANGSTROM
from extras_records import (
    NUMBERS,
    Files,
    assert_series,
    component_records,
    header,
    line,
    mean_of,
    read_all,
    read_in_two,
    record,
    records,
)


@pytest.fixture
def files(tmp_path) -> Files:
    return Files(tmp_path)


def test_component_read_while_it_grows_cut_at_every_byte(tmp_path):
    text = component_records(range(4), 3, ("dipole",), 3)
    expected = mean_of(range(4), 3, count=3) / BOHR_PER_ANGSTROM
    component = Files(tmp_path, 1)
    for cut in range(len(text) + 1):
        component.paths[0].unlink(missing_ok=True)
        pieces = read_in_two(component, [text], cut)
        np.testing.assert_allclose(pieces["dipole"], expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("last_step", [0, 4])
def test_component_killed_at_any_byte_and_continued(tmp_path, last_step):
    """The RESTART lies at a step before: records after it are written again, behind what the killed i-PI left."""
    expected = mean_of(range(9), 3, count=3) / BOHR_PER_ANGSTROM
    component = Files(tmp_path, 1)
    left = component_records(range(last_step + 1, last_step + 3), 3, ("dipole",), 3)
    for place in range(len(left) + 1):
        component.paths[0].unlink(missing_ok=True)
        component.append(component_records(range(last_step + 1), 3, ("dipole",), 3) + left[:place])
        continuing = component.series(last_step)
        pieces = [continuing.read()]
        component.append(component_records(range(last_step + 1, 9), 3, ("dipole",), 3))
        pieces.append(read_all(continuing))
        dipoles = np.concatenate([piece["dipole"] for piece in pieces if piece])
        np.testing.assert_allclose(dipoles, expected, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(read_all(component.series())["dipole"], expected, rtol=1e-12, atol=1e-14)


def test_read_while_it_grows_cut_at_every_byte(files):
    texts = [records(bead, range(4)) for bead in range(2)]
    files.append(*texts)
    whole = read_all(files.series())
    assert_series(whole, range(4))
    for cut in range(len(texts[0]) + 1):
        for path in files.paths:
            path.unlink()
        pieces = read_in_two(files, texts, cut, (7 * cut) % (len(texts[1]) + 1))
        assert all(np.array_equal(pieces[name], whole[name]) for name in whole), cut


def test_read_byte_by_byte(files):
    texts = [records(bead, range(3)) for bead in range(2)]
    series, pieces = files.series(), []
    for place in range(len(texts[0])):
        files.append(*(text[place] for text in texts))
        pieces.append(series.read())
    dipoles = np.concatenate([piece["dipole"] for piece in pieces if piece])
    np.testing.assert_allclose(dipoles, mean_of(range(3))[:, :3] / BOHR_PER_ANGSTROM, rtol=1e-13)


@pytest.mark.parametrize("size", [16, 100, 333, 1000])
def test_chunks_of_any_size(files, size, monkeypatch):
    monkeypatch.setattr(extras_files, "CHUNK", size)
    files.append_steps(range(30))
    assert_series(read_all(files.series()), range(30))


def test_superseded_records_of_many_chunks(files, monkeypatch):
    monkeypatch.setattr(extras_files, "CHUNK", 16)
    files.append_steps(range(300))
    files.append_steps(range(2))
    assert_series(read_all(files.series()), range(2))


def test_half_a_record_at_the_end_is_left(files):
    files.append_steps(range(3))
    files.append(record(0, 3), record(1, 3)[:-30])
    assert_series(read_all(files.series()), range(3))


def test_killed_at_any_byte_and_continued(files):
    """The RESTART lies at step 4: records after it are written again, behind what the killed i-PI left."""
    kinds, count = ("dipole",), 3
    texts = [records(bead, range(5, 7), kinds, count) for bead in range(2)]
    expected = mean_of(range(9), count=count) / BOHR_PER_ANGSTROM
    for place in range(len(texts[0]) + 1):
        for path in files.paths:
            path.unlink(missing_ok=True)
        files.append_steps(range(5), kinds=kinds, count=count)
        files.append(texts[0][:place], texts[1][: place // 2])
        continuing = files.series(last_step=4)
        before = continuing.read()
        files.append_steps(range(5, 9), kinds=kinds, count=count)
        after = read_all(continuing)
        np.testing.assert_allclose(np.concatenate([before["dipole"], after["dipole"]]), expected, rtol=1e-13)
        np.testing.assert_allclose(read_all(files.series())["dipole"], expected, rtol=1e-13)  # anew, in the end


def test_later_records_count(files):
    """A continued run draws other random numbers: what it wrote again is not what stood there before."""
    for bead, path in enumerate(files.paths):
        earlier = "".join(header(step) + line(np.full(NUMBERS, -1e3)) for step in range(3, 6))
        path.write_text(records(bead, range(3)) + earlier + records(bead, range(3, 8)))
    assert_series(read_all(files.series()), range(8))


def test_killed_and_continued_twice(files):
    files.append_steps(range(6))
    files.append(record(0, 6)[:40], "")
    files.append_steps(range(3, 5))
    files.append("", record(1, 5)[:100])
    files.append_steps(range(4, 9))
    assert_series(read_all(files.series()), range(9))


def test_killed_in_the_first_record(files):
    kinds = ("molecular_dipole",)
    first = [record(bead, 0, kinds, 6) for bead in range(2)]
    for place in range(len(first[0])):
        for path in files.paths:
            path.unlink(missing_ok=True)
        files.append(*(text[:place] for text in first))
        files.append_steps(range(4), kinds=kinds, count=6)
        expected = mean_of(range(4), count=6).reshape(-1, 2, 3) / BOHR_PER_ANGSTROM
        np.testing.assert_allclose(read_all(files.series())["molecular_dipole"], expected, rtol=1e-13)


def test_what_lies_beyond_the_last_step_does_not_count(files):
    files.append_steps(range(0, 30, 2))
    assert_series(read_all(files.series(last_step=11)), range(0, 12, 2))
    assert read_all(files.series(last_step=-1)) == {}


def test_records_after_the_last_step_count_when_they_come_later(files):
    series = files.series(last_step=0)
    files.append_steps(range(4))
    assert_series(read_all(series), range(4))


def test_files_that_are_not_there_yet(files):
    series = files.series()
    assert series.read() == {} and series.names == ()
    files.append_steps([0])
    assert_series(series.read(), [0])
