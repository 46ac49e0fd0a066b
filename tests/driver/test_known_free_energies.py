"""Profiles of particles whose free energies are known, through real i-PI, real PLUMED and ``beadwise profile``.

Metadynamics, OPES and umbrella windows of a double well and of a harmonic one, classical and with 16 beads.
"""

import os
import subprocess
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from beadwise.driver.launch.supervision import ipi_command
from biased_particles import write_deposited, write_windows
from known_particles import THERMAL_ENERGY, double_well, harmonic, known_free_energy, quantum_density
from places import HELPERS
from plumed_here import needs_plumed
from test_profile_command import run_command, table_of

pytestmark = needs_plumed

BEADS = {"classical": 1, "quantum": 16}
CENTRES = np.linspace(-0.9, 0.9, 7)
STEPS, STEPS_OF_WINDOW = 7_000, 2_000
PATIENCE = 900  # seconds for all of them
RANGE, BINS = "--range=-0.9,0.9", 18
HIGHEST = 10 * THERMAL_ENERGY  # beyond there are too few samples for an error
POTENTIALS = {"double well": double_well, "harmonic": harmonic}
# which run, variable and bias
PROFILES = {
    ("metadynamics", "double well"): ("deposited", "x1.x", "metad1"),
    ("metadynamics", "harmonic"): ("deposited", "x2.x", "metad2"),
    ("OPES", "double well"): ("deposited", "x3.x", "opes3"),
    ("OPES", "harmonic"): ("deposited", "x4.x", "opes4"),
    ("umbrella", "double well"): ("windows", "x1.x", "restraint1"),
    ("umbrella", "harmonic"): ("windows", "x2.x", "restraint2"),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """Two runs with deposited biases and two of umbrella windows, all at once."""
    pytest.importorskip("pymbar", reason="pymbar, which joins umbrella windows, is not installed")
    folder = tmp_path_factory.mktemp("known")
    for name, beads in BEADS.items():
        write_deposited(folder / f"{name}-deposited", beads, STEPS)
        write_windows(folder / f"{name}-windows", beads, STEPS_OF_WINDOW, CENTRES)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HELPERS)}
    with ExitStack() as stack:
        running = []
        for own in sorted(folder.iterdir()):
            log = stack.enter_context((own / "log").open("w"))
            command = [*ipi_command(), "input.xml"]
            process = subprocess.Popen(command, cwd=own, env=environment, stdout=log, stderr=subprocess.STDOUT)
            stack.callback(process.wait)
            stack.callback(process.kill)
            running.append(process)
        assert [process.wait(PATIENCE) for process in running] == [0] * len(running)
    return folder


def deviations(table, values, errors, potential, quantum) -> np.ndarray:
    """(F − exact)/error where the exact curve is low enough; both are normalised over those bins."""
    half = (table[1, 0] - table[0, 0]) / 2
    exact = known_free_energy(potential, np.append(table[:, 0] - half, table[-1, 0] + half), quantum)
    known = np.isfinite(errors) & (exact - exact.min() < HIGHEST)
    assert known.sum() >= 10

    def normalised(free_energy):
        return free_energy + THERMAL_ENERGY * np.log(np.exp(-free_energy / THERMAL_ENERGY).sum())

    return (normalised(values[known]) - normalised(exact[known])) / errors[known]


@cache
def profile_of(runs, statistics, method, well):
    kind, variable, bias = PROFILES[method, well]
    stem = runs / f"{statistics} {method} {well}"
    result = run_command(
        runs / f"{statistics}-{kind}", "--variable", variable, "--bias", bias, RANGE, "--bins", BINS, "--output", stem
    )
    assert result.exit_code == 0, result.output
    header, table = table_of(stem.with_suffix(".csv"))
    label = "classical" if statistics == "classical" else f"quantum ({BEADS[statistics]} beads)"
    assert header[1] == f"{label} free energy (eV)"
    return table


@pytest.mark.parametrize("statistics", BEADS)
@pytest.mark.parametrize(("method", "well"), PROFILES)
def test_profiles_are_the_known_ones_within_their_errors(runs, statistics, method, well):
    table = profile_of(runs, statistics, method, well)
    off = deviations(table, table[:, 1], table[:, 2], POTENTIALS[well], statistics == "quantum")
    assert np.sqrt(np.mean(np.square(off))) < 2.5
    assert np.nanmedian(table[:, 2]) < 0.4 * THERMAL_ENERGY


SURFACES = {
    "metadynamics": ("deposited", "x1.x", "x2.x", ("metad1", "metad2")),
    "umbrella": ("windows", "x1.x", "x2.x", ("restraint1", "restraint2")),
}


@pytest.mark.parametrize("statistics", BEADS)
@pytest.mark.parametrize("method", SURFACES)
def test_surfaces_over_two_variables_are_the_known_ones_within_their_errors(runs, statistics, method):
    """A double well along one variable and a harmonic one along the other, each under a bias."""
    kind, first, second, biases = SURFACES[method]
    stem = runs / f"{statistics} {method} surface"
    words = [word for bias in biases for word in ("--bias", bias)]
    result = run_command(
        runs / f"{statistics}-{kind}", "--variable", first, "--second", second, "--range=-0.9,0.9",
        "--second-range=-0.4,0.4", "--bins", 9, *words, "--output", stem,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    table = table_of(stem.with_suffix(".csv"))[1]
    quantum = statistics == "quantum"
    edges = np.linspace(-0.9, 0.9, 10), np.linspace(-0.4, 0.4, 10)
    along = [known_free_energy(own, edge, quantum) for own, edge in zip((double_well, harmonic), edges, strict=True)]
    exact = np.add.outer(*along).ravel()
    known = np.isfinite(table[:, 3]) & (exact - exact.min() < 6 * THERMAL_ENERGY)
    assert known.sum() >= 40
    values, exact, errors = table[known, 2], exact[known], table[known, 3]
    off = (values - exact - np.average(values - exact, weights=errors**-2.0)) / errors
    assert 0.5 < np.sqrt(np.mean(np.square(off))) < 2.0


def test_all_deviations_together_are_those_of_right_errors(runs):
    off = [
        deviations(table, table[:, 1], table[:, 2], POTENTIALS[well], statistics == "quantum")
        for statistics in BEADS
        for method, well in PROFILES
        for table in [profile_of(runs, statistics, method, well)]
    ]
    assert 0.5 < np.sqrt(np.mean(np.square(np.concatenate(off)))) < 1.5


def test_nuclear_quantum_effects_lower_the_barrier_as_they_should(runs):
    x = np.array([0.0, 0.6])
    quantum = -THERMAL_ENERGY * np.log(quantum_density(double_well, np.linspace(-2.4, 2.4, 481))[[240, 300]])
    known = quantum[0] - quantum[1] - (double_well(x[0]) - double_well(x[1]))
    assert -0.05 < known < -0.03  # eV
    barriers = {statistics: [] for statistics in BEADS}
    for statistics in BEADS:
        for method in ("metadynamics", "OPES", "umbrella"):
            table = profile_of(runs, statistics, method, "double well")
            top, bottom = np.abs(table[:, 0]) < 0.1, np.abs(np.abs(table[:, 0]) - 0.6) < 0.1
            barriers[statistics].append(table[top, 1].mean() - table[bottom, 1].mean())
    lowered = np.mean(barriers["quantum"]) - np.mean(barriers["classical"])
    assert lowered == pytest.approx(known, abs=0.015)  # of one method it is known to some 8 meV


def test_sum_of_hills_is_the_classical_curve(runs):
    result = run_command(
        runs / "classical-deposited" / "HILLS1",
        "--temperature",
        "300",
        RANGE,
        "--bins",
        BINS,
        "--output",
        runs / "hills",
    )
    assert result.exit_code == 0, result.output
    table = table_of(runs / "hills.csv")[1]
    off = deviations(table, table[:, 1], table[:, 2], double_well, quantum=False)
    assert np.sqrt(np.mean(np.square(off))) < 3
