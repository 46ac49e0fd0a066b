"""Reading the extras that i-PI writes for each bead: whole, while it goes on, and after it was killed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest
from beadwise.driver import extras_files
from beadwise.driver.bead_series import BeadSeries
from beadwise.driver.extras_files import columns_of
from beadwise.driver.units import BOHR_PER_ANGSTROM, HARTREE_PER_ELECTRONVOLT
from beadwise.spectra import SeriesError

KINDS = ("dipole", "polarizability")
NUMBERS = 12


def header(step: int, kinds: Sequence[str] = KINDS) -> str:
    """As ipi.engine.outputs writes it."""
    return f" #EXTRAS({','.join(kinds)})# Step:  {step:10d} \n"


def line(numbers: Iterable[float]) -> str:
    return " ".join(f"{number: .8e}" for number in numbers) + "\n"


def numbers_of(bead: int, step: int, count: int = NUMBERS) -> np.ndarray:
    return np.random.default_rng([bead, step]).normal(0, 10, count).round(6)


def record(bead: int, step: int, kinds: Sequence[str] = KINDS, count: int = NUMBERS) -> str:
    return header(step, kinds) + line(numbers_of(bead, step, count))


def records(bead: int, steps: Iterable[int], kinds: Sequence[str] = KINDS, count: int = NUMBERS) -> str:
    return "".join(record(bead, step, kinds, count) for step in steps)


class Files:
    """The files of a few beads."""

    def __init__(self, folder: Path, beads: int = 2):
        self.paths = [folder / f"out.extras_{bead}" for bead in range(beads)]

    def append(self, *texts: str) -> None:
        for path, text in zip(self.paths, texts, strict=True):
            with open(path, "a") as file:
                file.write(text)

    def append_steps(self, steps: Iterable[int], **options) -> None:
        steps = list(steps)
        self.append(*(records(bead, steps, **options) for bead in range(len(self.paths))))

    def series(self, last_step: int | None = None) -> BeadSeries:
        return BeadSeries(self.paths, last_step)


@pytest.fixture
def files(tmp_path) -> Files:
    return Files(tmp_path)


def read_all(series: BeadSeries) -> dict[str, np.ndarray]:
    pieces = []
    while piece := series.read():
        pieces.append(piece)
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]} if pieces else {}


def mean_of(steps: Iterable[int], beads: int = 2, count: int = NUMBERS) -> np.ndarray:
    """What was written, in atomic units."""
    return np.mean([[numbers_of(bead, step, count) for step in steps] for bead in range(beads)], axis=0)


def assert_series(samples: dict[str, np.ndarray], steps: Iterable[int], beads: int = 2) -> None:
    expected = mean_of(steps, beads)
    np.testing.assert_allclose(samples["dipole"], expected[:, :3] / BOHR_PER_ANGSTROM, rtol=1e-13)
    polarizability = expected[:, 3:].reshape(-1, 3, 3) / BOHR_PER_ANGSTROM**3
    np.testing.assert_allclose(samples["polarizability"], polarizability, rtol=1e-13)


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


def component_records(steps: Iterable[int], beads: int, kinds: Sequence[str] = KINDS, count: int = NUMBERS) -> str:
    """All beads of a force component in one file, as ipi.engine.outputs writes them."""
    mark = f" #EXTRAS_COMPONENT_RAW({','.join(kinds)})# Step:  {{:10d}}  Bead:      0  \n"
    rows = {step: "".join(line(numbers_of(bead, step, count)) for bead in range(beads)) for step in steps}
    return "".join(mark.format(step) + rows[step] for step in rows)


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


def read_in_two(files: Files, texts: Sequence[str], *cuts: int) -> dict[str, np.ndarray]:
    """Read when the files hold so many bytes of the texts, and again when they are whole."""
    cuts = cuts * len(texts) if len(cuts) == 1 else cuts
    series = files.series()
    files.append(*(text[:cut] for text, cut in zip(texts, cuts, strict=True)))
    first = read_all(series)
    files.append(*(text[cut:] for text, cut in zip(texts, cuts, strict=True)))
    second = read_all(series)
    pieces = [piece for piece in (first, second) if piece]
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}


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
        (["member_dipoles", "molecular_dipole"], 9, "hold both molecules and members"),
        (["committee_uncertainty"], 1, "'committee_uncertainty' are no series; allowed are dipole"),
    ],
)
def test_members_that_are_refused(files, kinds, count, message):
    files.append_steps(range(3), kinds=kinds, count=count)
    with pytest.raises(SeriesError, match=message):
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
