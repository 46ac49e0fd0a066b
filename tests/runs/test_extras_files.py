"""Reading the extras that i-PI writes for each bead, once they are written, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from beadwise.runs.output.bead_series import BeadSeries
from beadwise.runs.output.records import BeadFile, columns_of
from beadwise.runs.units import BOHR_PER_ANGSTROM
from beadwise.spectra import SeriesError
from extras_records import (
    KINDS,
    Files,
    assert_series,
    component_records,
    header,
    line,
    mean_of,
    numbers_of,
    read_all,
    read_in_two,
    records,
)


@pytest.fixture
def files(tmp_path) -> Files:
    return Files(tmp_path)


@pytest.mark.parametrize("beads", [1, 2, 8])
def test_mean_over_beads_in_our_units(tmp_path, beads):
    files = Files(tmp_path, beads)
    files.append_steps(range(0, 50, 5))
    series = files.series()
    samples = read_all(series)
    assert_series(samples, range(0, 50, 5), beads)
    assert (series.beads, series.stride, series.names) == (beads, 5, KINDS)
    assert series.read() == {}


def test_one_kind_of_extras(files):
    files.append_steps(range(4), kinds=["polarizability"], count=9)
    samples = read_all(files.series())
    assert list(samples) == ["polarizability"]
    expected = mean_of(range(4), count=9).reshape(-1, 3, 3) / BOHR_PER_ANGSTROM**3
    np.testing.assert_allclose(samples["polarizability"], expected, rtol=1e-13)


def test_spaces_between_names(files):
    files.append(*(records(bead, range(3)).replace("dipole,", "dipole, ") for bead in range(2)))
    assert_series(read_all(files.series()), range(3))


def test_molecular_extras(files):
    kinds, molecules = ("molecular_dipole", "molecular_polarizability", "molecular_position", "dipole"), 5
    files.append_steps(range(4), kinds=kinds, count=15 * molecules + 3)
    samples = read_all(files.series())
    expected = np.split(mean_of(range(4), count=15 * molecules + 3), [15, 60, 75], axis=1)
    shapes = [(4, 5, 3), (4, 5, 3, 3), (4, 5, 3), (4, 3)]
    for name, values, shape, power in zip(kinds, expected, shapes, [1, 3, 1, 1], strict=True):
        np.testing.assert_allclose(samples[name], values.reshape(shape) / BOHR_PER_ANGSTROM**power, rtol=1e-13)


def test_polarizability_in_three_lines(files):
    """As i-PI writes the matrix that another driver sends; it may be read between two of the lines."""
    texts = [
        "".join(
            header(step, ["polarizability"]) + "".join(line(row) for row in numbers_of(bead, step, 9).reshape(3, 3))
            for step in range(4)
        )
        for bead in range(2)
    ]
    expected = mean_of(range(4), count=9).reshape(-1, 3, 3) / BOHR_PER_ANGSTROM**3
    for cut in range(0, len(texts[0]), 7):
        for path in files.paths:
            path.unlink(missing_ok=True)
        pieces = read_in_two(files, texts, cut)
        np.testing.assert_allclose(pieces["polarizability"], expected, rtol=1e-13)


def test_molecules_in_lines_of_three(files):
    """The number of molecules is only known when the first record is followed by another one."""
    texts = [
        "".join(
            header(step, ["molecular_position"])
            + "".join(line(row) for row in numbers_of(bead, step, 12).reshape(4, 3))
            for step in range(3)
        )
        for bead in range(2)
    ]
    expected = mean_of(range(3), count=12).reshape(-1, 4, 3) / BOHR_PER_ANGSTROM
    for cut in range(0, len(texts[0]), 7):
        for path in files.paths:
            path.unlink(missing_ok=True)
        pieces = read_in_two(files, texts, cut)
        np.testing.assert_allclose(pieces["molecular_position"], expected, rtol=1e-13)


@pytest.mark.parametrize("beads", [1, 2, 3, 9])
def test_file_of_one_component(tmp_path, beads):
    path = tmp_path / "out.extras"
    path.write_text(component_records(range(0, 12, 4), beads))
    series = BeadSeries([path])
    samples = read_all(series)
    assert_series(samples, range(0, 12, 4), beads)
    assert (series.beads, series.stride, series.names) == (beads, 4, KINDS)
    several = Files(tmp_path, beads)
    several.append_steps(range(0, 12, 4))
    for name, values in read_all(several.series()).items():
        np.testing.assert_allclose(samples[name], values, rtol=1e-13, atol=1e-15)


def test_molecules_of_one_component(tmp_path):
    path, kinds = tmp_path / "out.extras", ("molecular_dipole", "molecular_position")
    path.write_text(component_records(range(3), 4, kinds, count=30))
    series = BeadSeries([path])
    samples = read_all(series)
    assert series.beads == 4
    expected = mean_of(range(3), 4, count=30).reshape(3, 2, 5, 3) / BOHR_PER_ANGSTROM
    np.testing.assert_allclose(samples["molecular_dipole"], expected[:, 0], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(samples["molecular_position"], expected[:, 1], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("body", [line(range(13)), line(range(5)) * 2])
def test_component_with_rows_of_something_else(tmp_path, body):
    path = tmp_path / "out.extras"
    path.write_text("".join(component_records([step], 0) + body for step in range(3)))
    with pytest.raises(SeriesError, match=r"rows of dipole, polarizability, one for each bead, are needed"):
        read_all(BeadSeries([path]))


def test_component_with_another_number_of_beads_later(tmp_path):
    path = tmp_path / "out.extras"
    path.write_text(component_records(range(3), 2) + component_records(range(3, 5), 3))
    with pytest.raises(SeriesError, match=r"holds a record that is not 24 numbers"):
        read_all(BeadSeries([path]))


@pytest.mark.parametrize(("steps", "gap"), [([0, 1, 2, 4], "2 to 4"), ([0, 10, 20, 25], "20 to 25")])
def test_missing_steps(files, steps, gap):
    files.append_steps(steps)
    with pytest.raises(SeriesError, match=f"goes from step {gap}"):
        read_all(files.series())


def test_missing_step_between_two_readings(files):
    files.append_steps(range(3))
    series = files.series()
    read_all(series)
    files.append_steps(range(4, 6))
    with pytest.raises(SeriesError, match="goes from step 2 to 4"):
        read_all(series)


@pytest.mark.parametrize(
    "other",
    [
        records(1, range(1, 5)),
        records(1, range(0, 8, 2)),
        records(1, range(4), ["dipole"], 3),
        records(1, range(4), ["polarizability", "dipole"]),
    ],
    ids=["other steps", "other stride", "other extras", "other order"],
)
def test_files_that_do_not_belong_together(files, other):
    files.append(records(0, range(4)), other)
    with pytest.raises(SeriesError, match=r"'.*extras_1' and '.*extras_0' do not hold the same steps and extras"):
        read_all(files.series())


@pytest.mark.parametrize("name", ["committee_force", "raw", "BEC"])
def test_unknown_extras(files, name):
    files.append_steps(range(3), kinds=["dipole", name])
    with pytest.raises(SeriesError, match=f"extras '{name}' are unknown; allowed are dipole, polarizability"):
        read_all(files.series())


@pytest.mark.parametrize("body", [line(range(13)), "1 2 3 4 5 six 7 8 9 10 11 12\n", "{'dipole': 1}\n" * 6])
def test_record_of_something_else(files, body):
    files.append_steps(range(2))
    files.append(*[header(2) + body] * 2)
    with pytest.raises(SeriesError, match=r"extras_0' holds a record that is not 12 numbers"):
        read_all(files.series())


def test_no_files():
    with pytest.raises(SeriesError, match="no file of extras"):
        BeadSeries([])


def test_unreadable_file(tmp_path):
    with pytest.raises(SeriesError, match="cannot read"):
        BeadSeries([tmp_path]).read()


def test_columns():
    assert columns_of(KINDS, 12) == {"dipole": slice(0, 3), "polarizability": slice(3, 12)}
    assert columns_of(("molecular_dipole", "dipole"), 9) == {"molecular_dipole": slice(0, 6), "dipole": slice(6, 9)}
    for numbers in (10, 3):
        with pytest.raises(SeriesError, match=f"{numbers} numbers in a row are no molecular_dipole, dipole"):
            columns_of(("molecular_dipole", "dipole"), numbers)


def test_scalars_of_several_beads_are_one_line_extra_by_extra(tmp_path):
    # ipi.engine.outputs stacks arrays of shape (beads,) side by side
    difference, weight = np.array([0.25, 0.5, 1.0]), np.array([0.1, 0.2, 0.6])
    mark = " #EXTRAS_COMPONENT_RAW(switch_difference,switch_lambda)# Step:  {:10d}  Bead:      0  \n"
    path = tmp_path / "extras"
    path.write_text("".join(mark.format(step) + line([*(step * difference), *weight]) for step in (1, 2, 3)))
    steps, rows = BeadFile(path).read()
    assert list(steps) == [1, 2, 3]
    np.testing.assert_allclose(rows, [[step * difference.mean(), weight.mean()] for step in (1, 2, 3)], rtol=1e-14)
