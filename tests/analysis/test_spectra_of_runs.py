"""``beadwise spectrum`` of runs: their folders, what is left out, the window, and the names of what is written."""

import json

import ase.io
import numpy as np
import pytest
from ase import Atoms
from beadwise.analysis.spectrum.request import Request
from beadwise.spectra import usual_length
from test_spectrum_command import INPUT, columns, invoke, write_beads

OUTPUTS = """<output prefix='run'>
    <trajectory filename='moments' stride='4' extra_type='dipole,polarizability'> extras </trajectory>
    <trajectory filename='dipoles' stride='40' extra_type='dipole'> extras </trajectory>
    <trajectory filename='speed' stride='4' format='xyz'> v_centroid </trajectory>
  </output>"""
NO_OUTPUT = "<output prefix='run'> </output>"


@pytest.fixture
def run(tmp_path):
    """A folder of a finished run, whose outputs are in its input."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "input.xml").write_text(INPUT.replace(NO_OUTPUT, OUTPUTS))
    ase.io.write(folder / "start.extxyz", Atoms("OH2", np.eye(3), cell=np.eye(3) * 10, pbc=True))
    write_beads(folder)
    with open(folder / "run.speed.xyz", "w") as file:
        for step, velocities in enumerate(np.random.default_rng(1).normal(size=(2000, 3, 3))):
            file.write(f"3\n# CELL(abcABC): 10 10 10 90 90 90 Step: {4 * step} Bead: 0 v_centroid{{atomic_unit}}\n")
            file.writelines(f"{label} {x} {y} {z}\n" for label, (x, y, z) in zip("OHH", velocities, strict=True))
    return folder


@pytest.mark.parametrize("named", [".", "input.xml"])
def test_a_run_stands_for_what_it_wrote(run, named):
    files = sorted(run.glob("run.moments_*"))
    for kind in ("ir", "raman", "dielectric"):
        assert invoke(kind, run / named, "--output", run / "of_run")[0] == 0
        assert invoke(kind, *files, "--output", run / "of_files")[0] == 0
        if kind != "dielectric":
            assert (run / "of_run.csv").read_text() == (run / "of_files.csv").read_text()
    status, output = invoke("dos", run / named, "--output", run / "of_run")
    assert status == 0 and "velocities of the centroids" in output


def test_the_finest_dipoles_are_used_where_no_polarizability_is_needed(run):
    text = (run / "input.xml").read_text()
    finer = text.replace("stride='40' extra_type='dipole'", "stride='2' extra_type='dipole'")
    (run / "input.xml").write_text(finer)
    for given, expected in ((None, "run.moments_0"), (1.0, "run.dipoles_0")):
        found = Request("dielectric", (run,), optical_permittivity=given)
        (run / expected).touch()
        (run / expected.replace("_0", "_1")).touch()
        (run / expected.replace("_0", "_2")).touch()
        assert found.trajectories[0].name == expected


def test_one_kind_does_not_overwrite_another(run):
    for kind in ("ir", "raman", "dos"):
        assert invoke(kind, run)[0] == 0
    written = {path.name for path in run.iterdir() if path.suffix in (".csv", ".png")}
    stems = {"run.moments.ir", "run.moments.raman", "run.speed.xyz.dos"}
    assert written == {f"{stem}{ending}" for stem in stems for ending in (".csv", ".png")}


def test_a_tenth_is_left_out(run):
    for name, options in (("default", []), ("given", ["--skip", 0.1199])):  # of 1200 samples of 1 fs
        assert invoke("ir", run, *options, "--output", run / name)[0] == 0
    assert (run / "default.csv").read_text() == (run / "given.csv").read_text()
    assert invoke("ir", run, "--skip", 0, "--output", run / "all")[0] == 0
    assert (run / "default.csv").read_text() != (run / "all.csv").read_text()
    assert "too few samples" in invoke("ir", run, "--skip", 99)[1]


def test_the_window_is_a_fifth_of_what_is_left(run):
    assert "window: hann, 216 fs" in invoke("ir", run)[1]
    assert "window: hann, 240 fs" in invoke("ir", run, "--skip", 0)[1]
    assert "window: hann, 400 fs" in invoke("dos", run, "--skip", 0)[1]
    assert "window: hann, 250 fs" in invoke("ir", run, "--window", 250)[1]
    assert [usual_length(time) for time in (0.0, 700.0, 4000.0, 1e6)] == [100.0, 140.0, 800.0, 1000.0]
    assert usual_length() == 1000.0


@pytest.mark.parametrize("kind", ["ir", "dos", "dielectric"])
def test_numbers_alone(run, kind):
    status, output = invoke(kind, run, "--json", "-")
    told = json.loads(output)
    assert status == 0 and told["kind"] == kind
    if kind == "ir":
        table = columns(run / "run.moments.ir.csv")
        np.testing.assert_allclose(told["columns"]["n_alpha"]["values"], table["n_alpha"], rtol=1e-5)
        assert told["files"] == [str(run / "run.moments.ir.csv"), str(run / "run.moments.ir.png")]


def test_what_a_run_does_not_write(run):
    (run / "input.xml").write_text(INPUT)
    for kind, missing in (("ir", "made of dipole of every bead"), ("dos", "made of velocities of the centroid")):
        status, output = invoke(kind, run)
        assert status == 2 and missing in output and output.count("\n") == 1
    (run / "input.xml").write_text(INPUT.replace(NO_OUTPUT, OUTPUTS))
    (run / "run.moments_1").unlink()
    status, output = invoke("ir", run)
    assert status == 2 and "run.moments_1', which is not there" in output
