"""Parallel tempering through a real i-PI and a real PLUMED: one profile at each temperature, joined by MBAR."""

import os
import subprocess

import numpy as np
import pytest
from ase import units
from beadwise.driver.launch.supervision import ipi_command
from beadwise.sampling import Window, window_profile
from biased_particles import write_tempered
from known_particles import double_well, harmonic
from places import HELPERS
from plumed_here import needs_plumed
from test_profile_command import run_command, table_of

TEMPERATURES = (300.0, 420.0, 600.0)
STEPS = 1500
BINS = 8


def exact(potential, temperature, edges):
    """−kT ln of the mean Boltzmann factor in each bin."""
    fine = np.linspace(edges[:-1], edges[1:], 21)
    factors = np.exp(-potential(fine) / (units.kB * temperature))
    return -units.kB * temperature * np.log(np.trapezoid(factors, fine, axis=0))


def deviations(values, errors, potential, temperature, edges):
    off = values - exact(potential, temperature, edges)
    return (off - np.average(off, weights=errors**-2.0)) / errors


def refusal_of(*words):
    result = run_command(*words)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    return result.output


@pytest.fixture(scope="module")
def tempered(tmp_path_factory):
    pytest.importorskip("pymbar", reason="pymbar, which joins temperatures, is not installed")
    folder = tmp_path_factory.mktemp("tempering") / "run"
    write_tempered(folder, TEMPERATURES, STEPS)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HELPERS)}
    with (folder / "log").open("w") as log:
        subprocess.run(
            [*ipi_command(), "input.xml"], cwd=folder, env=environment, stdout=log, stderr=log, timeout=600, check=True
        )
    return folder


@needs_plumed
@pytest.mark.parametrize(("variable", "potential", "half"), [("x1.x", double_well, 0.8), ("x2.x", harmonic, 0.3)])
def test_profiles_at_all_temperatures_are_the_known_ones(tempered, tmp_path, variable, potential, half):
    """One atom is under a restraint in all systems, and its curve is the one without."""
    stem = tmp_path / "curves"
    result = run_command(tempered, "--variable", variable, f"--range=-{half},{half}", "--bins", BINS, "--output", stem)
    assert result.exit_code == 0, result.output
    assert "3 exchanged temperatures" in result.output
    table = table_of(stem.with_suffix(".csv"))[1]
    text = stem.with_suffix(".csv").read_text()
    assert all(f"classical, {temperature:g} K" in text for temperature in TEMPERATURES)
    edges = np.linspace(-half, half, BINS + 1)
    for number, temperature in enumerate(TEMPERATURES):
        values, errors = table[:, 1 + 2 * number], table[:, 2 + 2 * number]
        off = deviations(values, errors, potential, temperature, edges)
        assert np.sqrt(np.mean(np.square(off))) < 2.5


@needs_plumed
def test_a_surface_over_two_variables(tempered, tmp_path):
    stem = tmp_path / "surface"
    result = run_command(
        tempered, "--variable", "x1.x", "--second", "x2.x", "--range=-0.8,0.8", "--second-range=-0.3,0.3", "--bins", 6,
        "--output", stem,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    table = table_of(stem.with_suffix(".csv"))[1]
    edges = np.linspace(-0.8, 0.8, 7), np.linspace(-0.3, 0.3, 7)
    along = [exact(own, TEMPERATURES[0], edge) for own, edge in zip((double_well, harmonic), edges, strict=True)]
    known = np.isfinite(table[:, 3])
    off = table[known, 2] - np.add.outer(*along).ravel()[known]
    errors = table[known, 3]
    off = (off - np.average(off, weights=errors**-2.0)) / errors
    assert known.sum() >= 20
    assert np.sqrt(np.mean(np.square(off))) < 2.5


@needs_plumed
@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("ensemble_temperature{kelvin}", "conserved", "does not write ensemble_temperature"),
        ("potential, ", "", "does not write potential"),
        ("nbeads='1'>\n", "nbeads='4'>\n", "exchanges temperatures of 4 beads"),
        ("mode='nvt'", "mode='nve'", "exchanges temperatures with mode='nve'; profiles of it need nvt"),
        ("<bias>", "<hamiltonian_weights> [ 0.5 ] </hamiltonian_weights> <bias>", "0.5; systems that exchange"),
    ],
)
def test_what_cannot_be_joined_is_refused(tempered, tmp_path, old, new, reason):
    for path in tempered.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    text = (tmp_path / "input.xml").read_text()
    assert old in text
    (tmp_path / "input.xml").write_text(text.replace(old, new))
    assert reason in refusal_of(tmp_path / "input.xml", "--variable", "x1.x")


@needs_plumed
def test_systems_of_different_biases_are_refused(tempered, tmp_path):
    for path in tempered.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "bias1.dat").write_text((tmp_path / "bias1.dat").read_text().replace("KAPPA=40", "KAPPA=41"))
    assert "systems that exchange temperatures need the same ones" in refusal_of(
        tmp_path / "input.xml", "--variable", "x1.x"
    )


@needs_plumed
def test_forces_of_other_weights_are_refused(tempered, tmp_path):
    for path in tempered.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    text = (tmp_path / "input.xml").read_text()
    force = "<force forcefield='particles'/>"
    (tmp_path / "input.xml").write_text(text.replace(force, force.replace("/>", " weight='0.5'/>"), 1))
    assert "are [0.5] in one system and [1.0] in another" in refusal_of(tmp_path / "input.xml", "--variable", "x1.x")


@needs_plumed
@pytest.mark.parametrize("second", [[], ["--second", "x2.x"]], ids=["curve", "surface"])
def test_several_runs_of_the_same_temperatures_are_refused(tempered, tmp_path, second):
    again = tmp_path / "again"
    again.mkdir()
    for path in tempered.iterdir():
        (again / path.name).write_bytes(path.read_bytes())
    said = refusal_of(tempered, again, "--variable", "x1.x", *second)
    assert "several runs give a curve 'classical, 300 K'" in said


@needs_plumed
def test_nothing_left_after_what_is_skipped(tempered):
    assert "--skip 900 leaves out all" in refusal_of(tempered, "--variable", "x1.x", "--skip", 900)


def test_independent_samples_of_several_temperatures_join_to_each(tmp_path):
    """Drawn samples: MBAR of all temperatures is exact at the coldest, which alone would see little of the barrier."""
    pytest.importorskip("pymbar", reason="pymbar, which joins temperatures, is not installed")
    random = np.random.default_rng(5)
    betas = 1 / (units.kB * np.array(TEMPERATURES))
    grid = np.linspace(-1.6, 1.6, 6401)
    samples = []
    for beta in betas:
        cumulated = np.cumsum(np.exp(-beta * double_well(grid)))
        samples.append(np.interp(random.random(4000) * cumulated[-1], cumulated, grid))
    windows = [
        Window(
            x[:, None], np.subtract.outer(betas, betas[0])[:, None] * double_well(x), np.zeros(len(x)), "temperature"
        )
        for x in samples
    ]
    edges = np.linspace(-0.8, 0.8, 17)
    profile = window_profile(windows, edges, TEMPERATURES[0])
    off = deviations(profile.free_energy, profile.standard_error, double_well, TEMPERATURES[0], edges)
    assert 0.5 < np.sqrt(np.mean(np.square(off))) < 1.6
    assert "3 temperatures" in profile.notes["data"]
