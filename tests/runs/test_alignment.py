"""Records of all beads side by side: killed and continued runs, half records, beads of which some lack a step."""

from collections import Counter

import numpy as np
import pytest
from beadwise.analysis.reweighting import runs as reweighting_runs
from beadwise.runs.output import bead_means
from beadwise.runs.output.alignment import AlignedBeads, in_common, that_count
from beadwise.runs.output.bead_means import read_bead_means
from beadwise.runs.output.frames import places_of_frames
from beadwise.runs.output.properties import property_of_heading, read_property_table
from beadwise.runs.output.velocities import VelocityFile
from beadwise.spectra import SeriesError
from committee_runs import EXTRAS, MEMBERS, Folder, harmonic_members, in_hartree, numbers_of, particle
from test_velocity_spectra import write as write_velocities


@pytest.mark.parametrize(
    ("steps", "last_step", "kept"),
    [
        ([], None, []),
        ([0, 2, 4], None, [0, 1, 2]),
        ([0, 2, 4, 2, 4, 6], None, [0, 3, 4, 5]),
        ([0, 2, 4, 4], None, [0, 1, 3]),
        ([0, 2, 4, 0], None, [3]),
        ([0, 2, 4, 6], 4, [0, 1, 2]),
        ([0, 2, 4, 6, 4], 3, [0, 1]),
    ],
)
def test_later_records_count(steps, last_step, kept):
    assert np.flatnonzero(that_count(np.array(steps), last_step)).tolist() == kept


def test_steps_in_common():
    steps, places = in_common([np.array([0, 2, 4, 8]), np.array([2, 4, 6, 8]), np.array([0, 2, 8])])
    assert steps.tolist() == [2, 8]
    assert [place.tolist() for place in places] == [[1, 3], [0, 3], [1, 2]]


def taken(aligned):
    steps, rows = aligned.take()
    return steps.tolist(), [own[:, 0].tolist() for own in rows]


def test_records_that_arrive_one_file_after_the_other():
    aligned = AlignedBeads(2)
    assert taken(aligned) == ([], [])
    aligned.add(0, np.array([0, 1, 2]), np.array([[0.0], [0.1], [0.2]]))
    assert taken(aligned) == ([], [])
    aligned.add(1, np.array([0, 1]), np.array([[1.0], [1.1]]))
    assert taken(aligned) == ([0, 1], [[0.0, 0.1], [1.0, 1.1]])
    aligned.add(1, np.array([2, 3]), np.array([[1.2], [1.3]]))
    assert taken(aligned) == ([2], [[0.2], [1.2]])
    assert aligned.unlike is None
    # a run was killed and goes on from step 3: what waited is superseded
    aligned.add(0, np.array([3, 4]), np.array([[0.3], [0.4]]))
    aligned.add(1, np.array([3, 4]), np.array([[7.3], [7.4]]))
    assert taken(aligned) == ([3, 4], [[0.3, 0.4], [7.3, 7.4]])
    # of step 5 one bead has half a record, which was never written again
    aligned.add(0, np.array([5, 6]), np.array([[0.5], [0.6]]))
    aligned.add(1, np.array([6]), np.array([[7.6]]))
    assert taken(aligned) == ([6], [[0.6], [7.6]])
    assert aligned.unlike == 1


def velocities_of(path):
    pieces = list(VelocityFile(path).pieces())
    return np.concatenate([values for _, values in pieces]) if pieces else np.zeros((0, 3, 3))


@pytest.mark.parametrize("cut", [1, 20, 75, 150])
def test_velocities_of_a_killed_and_continued_run(tmp_path, cut):
    """As of positions and extras, later frames count; half a frame does not."""
    whole, first, second = (tmp_path / f"{name}.xyz" for name in ("whole", "first", "second"))
    write_velocities(whole, frames=30)
    write_velocities(first, frames=20, seed=2)
    write_velocities(second, frames=30)
    frame = whole.read_text().splitlines(keepends=True)
    killed = first.read_text()[:-cut]
    first.write_text("".join(frame[: 5 * 15]) + killed[len("".join(first.read_text().splitlines(True)[: 5 * 15])) :])
    with open(first, "a") as file:
        file.write("".join(second.read_text().splitlines(keepends=True)[5 * 15 :]))
    np.testing.assert_array_equal(velocities_of(first), velocities_of(whole))
    assert places_of_frames(first, 3).steps.tolist() == list(range(0, 120, 4))


def test_velocities_without_steps(tmp_path):
    write_velocities(tmp_path / "a.xyz", frames=7)
    text = (tmp_path / "a.xyz").read_text()
    (tmp_path / "b.xyz").write_text(text.replace("Step: ", "")[:-1])
    np.testing.assert_array_equal(velocities_of(tmp_path / "b.xyz"), velocities_of(tmp_path / "a.xyz")[:-1])
    assert VelocityFile(tmp_path / "b.xyz").stride == 0


def test_means_over_beads_leave_out_what_some_lack(tmp_path):
    folder = Folder(tmp_path / "run", 2)
    rows = np.arange(8.0).reshape(4, 2, 1) * [[[1.0, 2.0]]]
    folder.write_extras("members", "committee_pot", rows, [0, 10, 20, 30])
    first, second = folder.bead_files("members")
    lines = second.read_text().splitlines(keepends=True)
    second.write_text("".join(lines[:2] + lines[4:]))
    found = read_bead_means([first, second])
    assert (found.steps.tolist(), found.beads, found.names) == ([0, 20, 30], 2, ("committee_pot",))
    np.testing.assert_array_equal(found.rows, rows.mean(axis=1)[[0, 2, 3]])
    assert found.series("committee_energy").shape == (3, 2)
    assert read_bead_means([tmp_path / "none"]).steps.tolist() == []
    with pytest.raises(SeriesError, match="cannot read"):
        read_bead_means([tmp_path])


def test_each_file_is_read_once_whatever_is_asked_of_it(tmp_path, monkeypatch):
    opened = Counter()

    class Counted(bead_means.BeadFile):
        def __init__(self, path, last_step=None):
            opened[path.name] += 1
            super().__init__(path, last_step)

    def counted(path, timestep=None):
        opened[path.name] += 1
        return read_property_table(path, timestep)

    monkeypatch.setattr(bead_means, "BeadFile", Counted)
    monkeypatch.setattr(reweighting_runs, "read_property_table", counted)
    folder = Folder(tmp_path / "run", outputs=MEMBERS + EXTRAS.format("both", "dipole,polarizability"))
    _, places, steps = particle(tmp_path / "other", 800)
    folder.write_extras("members", "committee_pot", in_hartree(harmonic_members(places)), steps)
    moments = np.concatenate([places, np.tile(np.eye(3).ravel(), (800, 1, 1)) + places.sum()], axis=-1)
    folder.write_extras("both", "dipole,polarizability", moments, steps)
    folder.write_properties({"square{angstrom2}": np.square(places[:, 0]).sum(axis=-1), "one": places[:, 0, 0]}, steps)
    names = ("dipole", "polarizability", "square", "one", "committee_pot")
    numbers_of(folder.path, *(word for name in names for word in ("--observable", name)))
    assert opened == {"run.members_0": 1, "run.both_0": 1, "run.out": 1}


HEADER = """# column   1     --> time{{{unit}}} : The elapsed simulation time.
# column   2     --> kinetic_cv(O){{electronvolt}} : The quantum kinetic energy.
# cols.    3-5   --> dipole{{eang}} : The dipole.
"""


@pytest.mark.parametrize(("unit", "value"), [("femtosecond", 0.5), ("picosecond", 5e-4), ("", 20.670687)])
def test_one_reader_of_property_tables(tmp_path, unit, value):
    """Steps of times, superseded rows, half a row at the end, and a property of several components."""
    path = tmp_path / "a.out"
    rows = [(0, 1.0), (10, 2.0), (20, 3.0), (10, 4.0), (20, 5.0)]
    text = "".join(f" {step * value:.9e} {energy} {energy} 8 9\n" for step, energy in rows)
    header = HEADER.format(unit=unit).replace("{}", "")
    path.write_text(header + text + f" {30 * value:.9e} 6.0 6")
    table = read_property_table(path, 0.5)
    assert table.steps.tolist() == [0, 10, 20]
    assert table.by_name["kinetic_cv(O)"].tolist() == table.by_name["dipole"].tolist() == [1.0, 4.0, 5.0]
    assert [one.unit_label for one in table.properties[1:]] == ["eV", "eang"]
    assert table.rows[:, table.first("dipole").columns].shape == (3, 3)
    without = read_property_table(path)
    assert without.by_name["kinetic_cv(O)"].tolist() == [1.0, 4.0, 5.0]
    with pytest.raises(ValueError, match=r"holds neither step nor time\{femtosecond\}, by which its rows are told"):
        _ = without.steps


def test_headings():
    found = property_of_heading("# column  12     --> temperature(H){kelvin} : Of hydrogen.")
    assert (found.full_name, found.columns, found.unit_label) == ("temperature(H)", slice(11, 12), "K")
    assert property_of_heading("# column   1     --> step : The step.").unit_label == "atomic units"
    assert property_of_heading("# something else") is None
