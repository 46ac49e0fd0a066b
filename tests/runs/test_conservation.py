"""What shipped inputs say of their conserved quantity, and that it is looked at when a run ends."""

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from beadwise.analysis.report.drift import drift_in_words, drift_of_run, has_work_from_outside
from beadwise.analysis.report.verdicts import verdict_of_drift
from beadwise.driver.launch.shipped_inputs import copy_shipped_input, shipped_inputs
from beadwise.runs.input.run_input import RunInput
from beadwise.runs.input.tolerance import allowed_drift

INPUTS = Path(str(files("beadwise.inputs")))
LONGEST = 0.25  # fs, of path integrals with hydrogen: benchmarks/conservation.py
UNTOLD = ("ethanol_pimd", "mts_pimd", "mts_trpmd")  # measured too briefly, or not met
INNER_OF_ITS_OWN = ("mts_short_range", "mts_pimd", "mts_trpmd", "mts_nvt")  # their steps are nmts of others


def shipped(name):
    return RunInput.read(INPUTS / f"{name}.xml", INPUTS)


@pytest.mark.parametrize(
    "name", [one for one in shipped_inputs() if not has_work_from_outside(shipped(one).systems[0])]
)
def test_each_shipped_input_that_conserves_states_what_it_allows(name):
    """The drift of ring polymers with hydrogen is of fourth order in the time step: 2.2 meV at 0.5 fs, 0.1 at 0.25."""
    run = shipped(name)
    if name in UNTOLD:
        assert (
            allowed_drift(run) is None and "no tolerance is stated for the conserved quantity" in run.path.read_text()
        )
    else:
        assert allowed_drift(run) in (0.1, 0.3)
    if run.systems[0].beads > 1 and name not in INNER_OF_ITS_OWN:
        assert run.systems[0].timestep <= LONGEST


def write_properties(folder, prefix, drift, atoms, noise=1e-4):
    time = np.arange(0, 1.0, 0.005)
    conserved = -3e4 + drift * atoms * time / 1000 + noise * np.random.default_rng(1).normal(size=len(time))
    header = [
        "# column 1 --> step : s",
        "# column 2 --> time{picosecond} : t",
        "# column 3 --> conserved{electronvolt} : c",
    ]
    rows = [f"{20 * k} {t:.6e} {c:.10e}" for k, (t, c) in enumerate(zip(time, conserved, strict=True))]
    (folder / f"{prefix}.out").write_text("\n".join(header + rows) + "\n")


@pytest.mark.parametrize(("drift", "words"), [(0.02, "the input allows 0.1"), (2.2, "too much, the input allows 0.1")])
def test_the_end_of_a_run_tells_its_drift(tmp_path, drift, words):
    copy = copy_shipped_input("water", tmp_path)
    run = RunInput.read(copy)
    write_properties(copy.parent, "water", drift, 192)
    found = drift_of_run(run)
    assert found["value"] == pytest.approx(drift, abs=0.005)
    assert words in drift_in_words(run) and drift_in_words(run).startswith("conserved quantity: it drifts by")


def test_without_a_stated_tolerance_only_a_large_drift_is_told(tmp_path):
    copy = copy_shipped_input("water", tmp_path)
    copy.write_text(copy.read_text().replace("drifts by less than", "may drift by"))
    run = RunInput.read(copy)
    assert allowed_drift(run) is None
    write_properties(copy.parent, "water", 0.02, 192)
    assert drift_in_words(run) == ""
    write_properties(copy.parent, "water", 2.2, 192)
    assert "up to 0.3 needs a reason" in drift_in_words(run)


@pytest.mark.parametrize(
    ("value", "error", "colour"),
    [(0.02, 0.01, "good"), (0.2, 0.01, "bad"), (0.06, 0.04, "fair"), (0.2, 0.4, "unknown")],
)
def test_a_stated_tolerance_is_what_counts(value, error, colour):
    assert verdict_of_drift({"drift": {"value": value, "error": error}}, allowed=0.1)["colour"] == colour
