"""``beadwise export``: what other programs read is what i-PI ran, to the digits that i-PI wrote."""

from __future__ import annotations

import gzip
import json
import shutil

import ase.io
import beadwise
import numpy as np
import pytest
from beadwise.driver.commands.group import main
from beadwise.driver.launch.examples.changes import Changes
from beadwise.driver.launch.shipped_inputs import copy_shipped_input
from beadwise.runs.input.run_input import RunInput
from beadwise.runs.output.bead_series import BeadSeries
from beadwise.runs.output.extras_file import ExtrasFile
from beadwise.runs.output.positions import find_bead_trajectory, read_bead_trajectory
from click.testing import CliRunner
from ipi.utils.io import iter_file
from ipi.utils.units import unit_to_user
from places import INPUTS
from test_run import one_line

BEADS, STEPS = 3, [0, 2, 4, 6]
OUTPUTS = """
    <trajectory filename='pos' stride='2' format='ase'> positions{ase} </trajectory>
    <trajectory filename='rough' stride='2' format='xyz' cell_units='angstrom'> positions{angstrom} </trajectory>
    <trajectory filename='forces' stride='2' format='xyz'> forces </trajectory>
    <trajectory filename='vel' stride='1' format='ase'> velocities{ase} </trajectory>
    <trajectory filename='x' stride='2' format='xyz' cell_units='angstrom'> x_centroid{angstrom} </trajectory>
    <trajectory filename='moments' stride='1' extra_type='dipole,polarizability'> extras </trajectory>
    <trajectory filename='charges' stride='2' extra_type='BEC'> extras </trajectory>
    <properties filename='energies' stride='1'> [ step, bead_potentials{electronvolt}, kinetic_cv ] </properties>
    <properties filename='rare' stride='3'> [ step, volume ] </properties>
    <checkpoint"""


def export(*arguments) -> str:
    done = CliRunner().invoke(main, ["export", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def refused(*arguments) -> str:
    done = CliRunner().invoke(main, ["export", *map(str, arguments)])
    assert done.exit_code == 2, done.output
    return one_line(done.stderr)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run of ethanol with all that i-PI writes of it."""
    path = tmp_path_factory.mktemp("export")
    copy = copy_shipped_input("ethanol_pimd", path, changes=Changes(steps=6, beads=BEADS))
    text = copy.read_text()
    start = text.index("<trajectory")
    copy.write_text(
        text[:start].replace("stride='10'", "stride='1'") + OUTPUTS + text[text.index("<checkpoint") + 11 :]
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(copy.parent)
        done = CliRunner().invoke(main, ["run", "ethanol_pimd.xml"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return copy.parent


@pytest.fixture
def run(folder, tmp_path):
    """A copy of it, to be spoilt."""
    return shutil.copytree(folder, tmp_path / "run")


WANTED = "energy,forces,dipole,polarizability,born_charges"


def test_energies_and_positions_are_those_of_the_run(folder, tmp_path):
    path = tmp_path / "frames.extxyz"
    export(folder, "--output", path, "--want", WANTED)
    frames = ase.io.read(path, ":")
    assert [(one.info["step"], one.info["bead"]) for one in frames] == [(s, b) for s in STEPS for b in range(BEADS)]
    assert [one.info["time_fs"] for one in frames][::BEADS] == [0.25 * step for step in STEPS]
    calculator = beadwise.Calculator("ethanol")
    for frame in frames:
        energy, forces = frame.get_potential_energy(), frame.get_forces()
        frame.calc = calculator
        assert frame.get_potential_energy() == pytest.approx(energy, abs=1e-6)
        np.testing.assert_allclose(frame.get_forces(), forces, atol=2e-5)  # they are of xyz, with 6 digits
    with open(path, encoding="utf-8") as file:
        for frame, of_ipi in zip(frames, iter_file("ase", file, dimension="length"), strict=True):
            positions = unit_to_user("length", "ase", of_ipi["atoms"].q.reshape(-1, 3))
            cell = unit_to_user("length", "ase", of_ipi["cell"].h.T)
            np.testing.assert_allclose(positions, frame.positions, atol=1e-7)
            np.testing.assert_allclose(cell, frame.cell.array, atol=1e-5)
            assert list(of_ipi["atoms"].names) == frame.get_chemical_symbols()


def test_extras_are_those_of_the_files(folder, tmp_path):
    export(folder, "--output", tmp_path / "all.npz", "--want", WANTED)
    arrays = np.load(tmp_path / "all.npz")
    assert arrays["steps"].tolist() == STEPS and arrays["beads"].tolist() == [0, 1, 2]
    assert arrays["positions"].shape == (4, BEADS, 9, 3) and arrays["born_charges"].shape == (4, BEADS, 9, 3, 3)
    paths = [folder / f"ethanol_pimd.moments_{bead}" for bead in range(BEADS)]
    means = BeadSeries(paths).read()
    for name in ("dipole", "polarizability"):
        np.testing.assert_allclose(arrays[name].mean(axis=1), means[name][::2], rtol=1e-12)
    np.testing.assert_allclose(arrays["born_charges"].sum(axis=2), 0, atol=1e-6)  # the molecule is neutral
    frames = ase.io.read(_written(folder, tmp_path / "all.extxyz", "--want", WANTED), ":")
    for name in ("positions", "dipole"):
        found = [one.positions if name == "positions" else one.calc.results["dipole"] for one in frames]
        np.testing.assert_allclose(arrays[name].reshape(np.shape(found)), found, rtol=1e-12)
    found = [one.calc.results["born_effective_charges"].reshape(9, 3, 3) for one in frames]
    np.testing.assert_allclose(arrays["born_charges"].reshape(np.shape(found)), found, rtol=1e-12)


def _written(folder, path, *options):
    export(folder, "--output", path, *options)
    return path


def test_the_centroid_and_means_over_beads(folder, tmp_path):
    export(folder, "--output", tmp_path / "beads.npz", "--want", WANTED)
    output = export(folder, "--output", tmp_path / "centroid.npz", "--beads", "centroid")
    assert "the centroid at 2 steps: positions" in output
    beads, centroid = np.load(tmp_path / "beads.npz"), np.load(tmp_path / "centroid.npz")
    assert centroid["steps"].tolist() == [0, 6] and centroid["positions"].shape == (2, 1, 9, 3)
    at = [0, 3]
    np.testing.assert_allclose(centroid["positions"][:, 0], beads["positions"].mean(axis=1)[at], atol=2e-3)
    for name in ("dipole", "forces"):
        assert name not in centroid.files
        np.testing.assert_allclose(centroid[f"mean_{name}"][:, 0], beads[name].mean(axis=1)[at], atol=1e-4)
    frame = ase.io.read(_written(folder, tmp_path / "c.extxyz", "--beads", "centroid"))
    assert frame.calc is None and "mean_dipole" in frame.info and "bead" not in frame.info


def test_chemiscope_takes_it(folder, tmp_path):
    chemiscope = pytest.importorskip("chemiscope")
    export(folder, "--output", tmp_path / "all.json.gz", "--want", WANTED, "--every", "2")
    export(folder, "--output", tmp_path / "all.json", "--want", WANTED, "--every", "2")
    with gzip.open(tmp_path / "all.json.gz", "rt") as file:
        data = json.load(file)
    assert data == json.loads((tmp_path / "all.json").read_text())
    frames = ase.io.read(_written(folder, tmp_path / "all.extxyz", "--want", WANTED, "--every", "2"), ":")
    energies = {"target": "structure", "values": [one.get_potential_energy() for one in frames], "units": "eV"}
    theirs = chemiscope.create_input(frames, properties={"energy": energies}, metadata={"name": "ethanol_pimd"})
    assert data["meta"]["name"] == theirs["meta"]["name"]
    for own, other in zip(data["structures"], theirs["structures"], strict=True):
        assert own["names"] == other["names"] and own["size"] == other["size"]
        for name in ("x", "y", "z", "cell"):
            np.testing.assert_allclose(own[name], other[name], atol=1e-5)
    np.testing.assert_allclose(data["properties"]["energy"]["values"], energies["values"], rtol=1e-12)
    for name, described in data["properties"].items():
        chemiscope.input._validate_property(name, described)
        assert len(described["values"]) == len(frames)
    assert data["properties"]["norm of dipole"]["units"] == "e·Å"


def test_files_that_differ_in_stride(folder, tmp_path):
    output = export(folder, "--output", tmp_path / "all.npz", "--beads", "1")
    assert "at 2 of the 4 steps of the positions there is volume" in output
    assert "2 of 4 steps have all of it; --want can name what is written more often" in output
    assert np.load(tmp_path / "all.npz")["steps"].tolist() == [0, 6]
    assert np.load(_written(folder, tmp_path / "b.npz", "--want", "dipole"))["steps"].tolist() == STEPS
    assert np.load(_written(folder, tmp_path / "c.npz", "--want", "dipole", "--skip", "0.001"))["steps"].tolist() == [
        4,
        6,
    ]


def test_what_a_model_adds(folder, tmp_path):
    path = _written(
        folder, tmp_path / "m.extxyz", "--model", "ethanol", "--want", "energy,envelope_distance", "--every", "3"
    )
    first = ase.io.read(path)
    calculator = beadwise.Calculator("ethanol")
    assert first.info["envelope_distance"] == pytest.approx(calculator.get_property("envelope_distance", first))


def test_digits_of_xyz_are_told(run, tmp_path):
    for path in run.glob("*.pos_*.extxyz"):
        path.unlink()
    source = run / "RESTART"
    source.write_text(source.read_text().replace("'ase'", "'none'", 1))
    output = export(source, "--output", tmp_path / "rough.extxyz", "--want", "energy")
    assert "positions have the 6 digits of i-PI's xyz" in output
    frame = ase.io.read(tmp_path / "rough.extxyz")
    energy = frame.get_potential_energy()
    frame.calc = beadwise.Calculator("ethanol")
    assert frame.get_potential_energy() == pytest.approx(energy, abs=1e-3)
    np.testing.assert_allclose(frame.cell.array, np.diag([100.0] * 3), atol=1e-12)


def test_half_a_record_and_a_run_that_went_back(run, tmp_path):
    whole = np.load(_written(run, tmp_path / "a.npz", "--want", "dipole,forces"))
    moments = run / "ethanol_pimd.moments_1"
    text = moments.read_text()
    records = text.split(" #EXTRAS")[1:]
    again = "".join(f" #EXTRAS{one}" for one in records[4:])
    moments.write_text(text + again)  # as after a RESTART of step 4
    forces = run / "ethanol_pimd.forces_2.xyz"
    forces.write_text(forces.read_text()[:-30])
    cut = np.load(_written(run, tmp_path / "b.npz", "--want", "dipole,forces"))
    assert cut["steps"].tolist() == STEPS[:-1]
    for name in ("dipole", "forces", "positions"):
        np.testing.assert_array_equal(cut[name], whole[name][:-1])
    moments.write_text(text[: text.rindex("#EXTRAS") + 60])
    file = ExtrasFile(moments, 9)
    assert file.steps.tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--beads", "3"], "--beads 3; allowed are all, centroid, and 0 to 2"),
        (["--output", "frames.pdb"], "allowed are .extxyz, .xyz, .npz, .json, .json.gz"),
        (["--want", "molecular_dipole"], "did not write molecular_dipole; --model names what evaluates that"),
        (["--model", "ethanol"], "--model has nothing to evaluate"),
        (
            ["--model", "qtip4pf", "--want", "polarizability_derivatives"],
            "does not answer with polarizability_derivatives",
        ),
        (["--skip", "1"], "no whole frame of the positions after 1 ps"),
        (["--want", "dipol"], "did you mean 'dipole'"),
    ],
)
def test_what_cannot_be_exported(options, message, folder):
    assert message in refused(folder, *options)


def test_own_files_are_not_written_over(run):
    path = run / "ethanol_pimd.pos_0.extxyz"
    before = path.read_bytes()
    assert "is a file of the run itself" in refused(run, "--output", path)
    assert path.read_bytes() == before


def test_a_run_without_positions(run):
    source = run / "RESTART"
    source.write_text(source.read_text().replace("positions", "momenta").replace("x_centroid", "p_centroid"))
    assert "add to its <output> <trajectory filename='pos'" in refused(source)


def test_the_default_is_beside_the_run(run):
    assert f"written to {run / 'ethanol_pimd.export.extxyz'}" in export(run, "--want", "dipole")
    assert export(run, "--want", "dipole").count("\n") == 2  # it may be written again


@pytest.mark.parametrize("name", sorted(path.stem for path in INPUTS.glob("*.xml")))
def test_shipped_inputs_write_positions_with_all_digits(name):
    """i-PI's xyz has six: energies of what is exported would be off by 1e-4 eV and more."""
    for system in RunInput.read(INPUTS / f"{name}.xml").systems:
        assert all(own.form == "ase" for own in system.trajectory_outputs if own.keyword == "positions")


def test_free_energies_read_the_same_positions(folder, tmp_path):
    """What i-PI writes for ASE is a trajectory of the beads for `promote` and `reweight`, too."""
    export(folder, "--output", tmp_path / "all.npz")
    arrays = np.load(tmp_path / "all.npz")
    trajectory = find_bead_trajectory(RunInput.read(folder / "ethanol_pimd.xml"))
    assert trajectory.form == "ase" and set(arrays["steps"]) <= set(trajectory.steps)
    for place, (_, positions, cell) in enumerate(read_bead_trajectory(trajectory, arrays["steps"].tolist())):
        np.testing.assert_allclose(positions, arrays["positions"][place], rtol=0, atol=1e-7)
        np.testing.assert_allclose(cell, arrays["cells"][place, 0], rtol=0, atol=1e-5)
