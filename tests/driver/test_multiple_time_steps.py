"""Multiple time steps and contraction through the real i-PI: trajectories, evaluations, extras, shipped inputs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from beadwise.analysis.spectrum.conditions import read_run_conditions
from beadwise.driver.commands.options import parse_models
from beadwise.driver.launch.combined_extras import check_combined_extras
from beadwise.driver.launch.shipped_inputs import copy_shipped_input, example_of
from beadwise.model import Batch, load
from beadwise.model.qtip4pf import QTip4pF
from beadwise.runs.input.elements import InputError
from beadwise.runs.input.run_input import RunInput
from beadwise.runs.output.properties import read_property_table
from beadwise.runs.units import lengths_from_atomic, to_atomic
from ipi_pair import final_state, largest_differences, properties, run_together
from multiple_time_steps import (
    BENCHMARKS,
    EXTRAS,
    INTERPOLATE,
    STATES,
    WATER,
    contracted,
    dipoles_of,
    force,
    nested,
    on_beads,
    positions_of,
    side,
)
from places import HELPERS

sys.path.append(str(BENCHMARKS))
from counted_model import read_log
from time_step_analysis import (
    BIN_EDGES,
    Estimate,
    RungSeries,
    blocked_error,
    bond_lengths,
    deviations,
    drift_of,
    rung_of,
    together,
)

CELL = 9.86 * np.eye(3)  # Å, of the structure
NUMBERS = np.array([8, 1, 1] * 32, np.int32)
HARTREE = 27.211386e3  # meV
BOTH = {"outer": "qtip4pf", "inner": "water"}
SAME = {"outer": "qtip4pf", "inner": "qtip4pf"}
ACCURATE = {"outer": "water_accurate", "inner": "water"}
BEADS, FEW = 6, 3


@pytest.fixture(scope="module")
def classical(tmp_path_factory):
    """Trajectories of 4 fs with the inner step 0.5 fs, and longer ones for the conserved quantity."""
    sides = {
        "plain": side({"outer": "qtip4pf"}, force("outer"), 8, 0.5),
        "one step": side(BOTH, nested(), 8, 0.5, 1),
        "same potential": side(SAME, nested(), 2, 2.0, 4),
        "extras": side(BOTH, nested(INTERPOLATE), 5, 2.0, 4, outputs=EXTRAS + STATES, wants={"outer": "dipole"}),
        "M = 2": side(ACCURATE, nested(), 100, 1.0, 2),
        "M = 4": side(ACCURATE, nested(), 50, 2.0, 4),
    }
    return run_together(tmp_path_factory.mktemp("classical"), WATER.read_text(), sides)


@pytest.fixture(scope="module")
def path_integral(tmp_path_factory):
    """The same for ring polymers, with contraction."""
    wants = {"outer": "dipole", "inner": "dipole"}
    sides = {
        "plain": side({"outer": "qtip4pf"}, force("outer"), 6, 0.5, beads=BEADS),
        "same potential": side(SAME, contracted(FEW), 3, 1.0, 2, BEADS),
        "extras": side(BOTH, contracted(FEW, INTERPOLATE), 3, 1.0, 2, BEADS, EXTRAS + STATES, wants),
    }
    return run_together(tmp_path_factory.mktemp("path-integral"), WATER.read_text(), sides)


def evaluations(folder: Path, role: str) -> int:
    return int(read_log(folder, role)[:, 2].sum())


def dipoles(evaluator, positions: np.ndarray) -> np.ndarray:
    """In atomic units, of positions in bohr, shape (…, atoms, 3)."""
    frames = lengths_from_atomic(positions.reshape(-1, *positions.shape[-2:]))
    batch = Batch(NUMBERS, frames, np.broadcast_to(CELL, (len(frames), 3, 3)), np.ones(3, bool))
    found = evaluator.evaluate(batch, ["dipole"]).dipole
    return to_atomic("dipole", found).reshape(*positions.shape[:-2], 3)


def test_one_inner_step_is_plain_dynamics(classical):
    """The inner potential drops out: outside it is taken off at the positions where inside it is added."""
    assert max(largest_differences(classical["plain"], classical["one step"]).values()) < 1e-9


def test_same_potential_inside_and_outside_is_dynamics_with_the_inner_step(classical):
    state, plain = (final_state(classical[name]) for name in ("same potential", "plain"))
    for name in ("q", "p"):
        np.testing.assert_allclose(state[name], plain[name], rtol=0, atol=1e-9 * np.abs(plain[name]).max())
    np.testing.assert_allclose(properties(classical["same potential"])[:, 1:], properties(classical["plain"])[::4, 1:])


@pytest.mark.parametrize("name", ["M = 2", "M = 4"])
def test_conserved_quantity(classical, name):
    """Over 100 fs; that of plain dynamics with 0.5 fs goes up and down by 0.1 meV per atom, too."""
    change = properties(classical[name])[:, 1] / len(NUMBERS) * HARTREE
    assert np.ptp(change) < 0.3


def test_outer_model_is_evaluated_once_per_outer_step(classical, path_integral):
    """And once at the start; the inner one at every inner step, and never again outside."""
    assert evaluations(classical["extras"], "outer") == 5 + 1
    assert evaluations(classical["extras"], "inner") == 5 * 4 + 1
    assert evaluations(classical["one step"], "outer") == 8 + 1
    assert evaluations(path_integral["extras"], "outer") == FEW * (3 + 1)
    assert evaluations(path_integral["extras"], "inner") == BEADS * (3 * 2 + 1) + FEW * (3 + 1)


def test_extras_are_those_of_the_outer_model_where_the_atoms_are(classical):
    positions, written = (read(classical["extras"], 1) for read in (positions_of, dipoles_of))
    assert positions.shape == (6, 1, 96, 3)
    np.testing.assert_allclose(written, dipoles(QTip4pF(), positions), rtol=0, atol=1e-8)
    assert np.abs(written - dipoles(load("water"), positions)).max() > 0.1


def test_contraction_changes_nothing_where_both_potentials_are_the_same(path_integral):
    state, plain = (final_state(path_integral[name]) for name in ("same potential", "plain"))
    for name in ("q", "p"):
        np.testing.assert_allclose(state[name], plain[name], rtol=0, atol=1e-9 * np.abs(plain[name]).max())
    potential = [properties(path_integral[name])[::stride, 2] for name, stride in (("same potential", 1), ("plain", 2))]
    np.testing.assert_allclose(*potential, rtol=1e-9)


def test_extras_of_contracted_components(path_integral):
    """Outer minus inner on few beads, interpolated to all, plus inner on all."""
    positions, written = (read(path_integral["extras"], BEADS) for read in (positions_of, dipoles_of))
    outer, inner = QTip4pF(), load("water")
    for beads, dipole in zip(positions, written, strict=True):
        few = on_beads(beads, FEW)
        expected = dipoles(inner, beads) + on_beads(dipoles(outer, few) - dipoles(inner, few), BEADS)
        np.testing.assert_allclose(dipole, expected, rtol=0, atol=1e-8)


STAND_INS = {
    "mts_nvt": {"reference": "water_accurate", "learned": "water"},
    "mts_pimd": {"reference": "water_accurate", "learned": "springs:springs"},
    "mts_trpmd": {"reference": "water_accurate", "learned": "springs:springs"},
    "mts_short_range": {"full": "springs:springs", "short": "springs:springs"},
}
OUTER_STEPS = {"mts_nvt": 2.0, "mts_pimd": 1.75, "mts_trpmd": 1.75, "mts_short_range": 1.25}  # fs


@pytest.fixture(scope="module")
def shipped_runs(tmp_path_factory):
    runs = {}
    for name, models in STAND_INS.items():
        copy = copy_shipped_input(name, tmp_path_factory.mktemp(name))
        text = re.sub("<total_steps>[^<]*", "<total_steps> 2 ", copy.read_text())
        copy.write_text(re.sub(r"stride='\d+'", "stride='1'", text))
        options = [word for item in models.items() for word in ("--model", "=".join(item))]
        command = [sys.executable, "-m", "beadwise.driver", "run", copy.name, *options]
        environment = {**os.environ, "PYTHONPATH": str(HELPERS)}
        process = subprocess.Popen(
            command, cwd=copy.parent, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        runs[name] = copy.parent, process
    yield runs
    for _, process in runs.values():
        process.terminate()
        process.communicate()


@pytest.mark.parametrize("name", STAND_INS)
def test_shipped_input_runs(shipped_runs, name):
    folder, process = shipped_runs[name]
    _, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, "")
    columns = read_property_table(folder / f"{name}.out").by_name
    np.testing.assert_allclose(columns["time"], 1e-3 * OUTER_STEPS[name] * np.arange(3), atol=1e-9)
    assert all(np.isfinite(values).all() for values in columns.values())
    moments = sorted(folder.glob(f"{name}.moments_*"))
    assert len(moments) == {"mts_nvt": 1, "mts_pimd": 32, "mts_trpmd": 32, "mts_short_range": 0}[name]
    assert all(np.loadtxt(path).shape == (3, 3 + 9) for path in moments)


def test_who_is_asked_for_extras(tmp_path):
    """Those that count; for classical dynamics the inner model is spared them.  Spectra have samples of outer steps."""
    wants = {}
    for name in STAND_INS:
        sockets = RunInput.read(copy_shipped_input(name, tmp_path)).sockets
        assert len({socket.address for socket in sockets}) == 2
        wants[name] = {socket.name: socket.want[3:] for socket in sockets}
    moments = ("dipole", "polarizability")
    conditions = read_run_conditions(RunInput.read(tmp_path / "beadwise-mts-trpmd" / "mts_trpmd.xml"))
    assert (conditions.timestep, conditions.beads, conditions.dynamics) == (
        pytest.approx(OUTER_STEPS["mts_trpmd"]),
        32,
        "TRPMD",
    )
    assert wants["mts_nvt"] == {"reference": moments, "learned": ()}
    assert wants["mts_pimd"] == wants["mts_trpmd"] == {"reference": moments, "learned": moments}
    assert wants["mts_short_range"] == {"full": (), "short": ()}


def test_models_of_the_shipped_inputs():
    example = example_of("mts_nvt")
    assert parse_models([], example.model, example.models) == {"": "water", "reference": "water_gfn1"}
    assert parse_models(["reference=qtip4pf"], "water", example.models) == {"": "water", "reference": "qtip4pf"}
    assert parse_models(["qtip4pf"], "water", example.models) == {"": "qtip4pf"}
    assert example_of("mts_trpmd").spectra == ("ir", "raman")


def refused(*forces: str, beads: int = 1, sent=("a", "b"), output: str = EXTRAS) -> str:
    system = f"<system><initialize nbeads='{beads}'/><forces>{''.join(forces)}</forces></system>"
    root = ElementTree.fromstring(f"<simulation><output>{output}</output>{system}</simulation>")
    try:
        check_combined_extras(RunInput(Path("in.xml"), Path(), root), {name: {"dipole"} for name in sent})
    except InputError as error:
        return str(error)
    return ""


def test_extras_that_would_silently_be_wrong():
    outside, inside = force("a", "1, 0"), force("b", "-1, 1")
    summed, added = force("a", "1, 0", body=INTERPOLATE), force("b", "-1, 1", body=INTERPOLATE)
    assert "'dipole' comes from 'a' and 'b', of which i-PI would keep that of the last" in refused(outside, inside)
    assert "a <force> of 'b' answers with 'dipole' without interpolating" in refused(summed, inside)
    assert "i-PI would write 'dipole' as zeros: the weights of 'b'" in refused(outside, added, sent=("b",))
    assert "on less than 4 beads, and i-PI would drop it" in refused(force("a", beads=2), beads=4)
    for message in (refused(outside, inside), refused(summed, inside)):
        assert "<interpolate_extras> [ dipole ] </interpolate_extras> in each <force>" in message
    assert "<mts_weights> of <force> is ' [ one, 0 ] '" in refused(force("a", "one, 0", body=INTERPOLATE))


def test_extras_that_are_right():
    outside, inside = force("a", "1, 0", body=INTERPOLATE), force("b", "-1, 1")
    added = force("b", "-1, 1", body=INTERPOLATE)
    assert refused(outside, inside, sent=("a",)) == refused(outside, added) == refused(force("a")) == ""
    assert refused(force("a", "1, 0"), inside, output="<trajectory> positions </trajectory>") == ""
    assert refused(force("a", body=INTERPOLATE, beads=2), force("b"), beads=4, sent=("a",)) == ""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("[ -1, 1 ]", "[ -1, 1, 0 ]"), "mts_weights"),
        (("<nmts> [ 1, 4 ] </nmts>", ""), "mts levels"),
        ((r"<interpolate_extras>.*?</interpolate_extras>", ""), "i-PI would keep that of the last <force> alone"),
    ],
)
def test_wrong_inputs_give_one_line(tmp_path, change, message):
    copy = copy_shipped_input("mts_nvt", tmp_path)
    pattern, replacement = change
    text = copy.read_text()
    text = text.replace(pattern, replacement) if pattern in text else re.sub(pattern, replacement, text)
    copy.write_text(text)
    command = [sys.executable, "-m", "beadwise.driver", "run", copy.name, "--model", "water"]
    done = subprocess.run(command, cwd=copy.parent, capture_output=True, text=True, timeout=120)
    assert done.returncode in (1, 2)
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_blocked_error_of_correlated_series():
    """An autoregressive series: variance of the mean (1 + φ)/(1 − φ) times that of independent numbers."""
    rng = np.random.default_rng(1)
    noise = rng.normal(size=2**16)
    series = np.zeros_like(noise)
    for index in range(1, len(noise)):
        series[index] = 0.9 * series[index - 1] + noise[index]
    expected = series.std() / np.sqrt(len(series)) * np.sqrt(1.9 / 0.1)
    assert blocked_error(series) == pytest.approx(expected, rel=0.4)
    assert blocked_error(noise) == pytest.approx(1 / 256, rel=0.4)
    assert blocked_error(np.ones(4)) == 0


def test_errors_of_several_runs():
    alike, apart = ([Estimate(value, 0.3) for value in values] for values in ([1, 1, 1], [0, 1, 2]))
    assert together(alike).error == pytest.approx(0.3 / np.sqrt(3))
    assert together(apart).error == pytest.approx(1 / np.sqrt(3))
    assert together(apart).value == 1


def test_drift_of_a_line():
    rng = np.random.default_rng(2)
    time = np.arange(1000) * 1e-3
    slopes = [drift_of(time, 0.3 * time + 0.01 * rng.normal(size=1000))[0] for _ in range(200)]
    values = np.array([slope.value for slope in slopes])
    assert values.mean() == pytest.approx(0.3, abs=4 * values.std() / np.sqrt(200))
    assert np.mean([slope.error for slope in slopes]) == pytest.approx(values.std(), rel=0.5)
    assert drift_of(time, 0.3 * time)[0].value == pytest.approx(0.3)


def test_bond_lengths_are_those_of_the_nearest_oxygen_atom():
    positions = np.array([[[0.1, 0, 0], [9.0, 0, 0], [0.1, 0.97, 0], [5, 5, 5], [5, 5, 5.9], [4.05, 5, 5]]])
    found = bond_lengths(positions, "OHHOHH", CELL)
    np.testing.assert_allclose(found, [[0.96, 0.97, 0.9, 0.95]])


def test_rungs_that_are_compared():
    rng = np.random.default_rng(3)

    def run(temperature: float) -> RungSeries:
        time = np.arange(400) * 1e-3
        noise = rng.normal(size=400)
        bonds = 0.97 + 0.03 * rng.normal(size=(100, 64))
        return RungSeries(time, 1e-5 * noise, temperature + noise, temperature + noise, noise, bonds, 400, 40.0, 20.0)

    first, same, hot = (
        rung_of(multiple, [run(kelvin), run(kelvin)], 0.1) for multiple, kelvin in ((1, 300), (2, 300), (4, 310))
    )
    assert max(map(abs, deviations(same, first).values())) < 5
    assert deviations(hot, first)["temperature"] > 20
    assert first.seconds_per_picosecond == pytest.approx(100.25, abs=0.01)
    assert first.evaluations_per_step == pytest.approx(1.0)
    assert sum(first.histogram) * np.diff(BIN_EDGES)[0] == pytest.approx(1)
