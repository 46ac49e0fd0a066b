"""What fits and loops tell while they go on: lines of JSON, TensorBoard, and trackers of other packages."""

import json
import math
import sys
from itertools import pairwise

import numpy as np
import pytest
from ase.io import write
from beadwise.driver.commands.group import main
from beadwise.driver.launch.learn import _of_round
from beadwise.learning.logs.journal import JsonLines, LogError, journal
from beadwise.learning.logs.trackers import tracker_of
from beadwise.learning.loop.state import ExplorationRecord, RoundRecord
from click.testing import CliRunner
from models import labelled, random_model, random_structure
from packages import install
from test_run import one_line

CONFIGURATION = """
[data]
train = ["frames.xyz"]
validation = ["frames.xyz"]
[density]
cutoff = 3.0
radial = 3
l_max = 3
[energy]
[dipole]
[network]
hidden = [4]
epochs = 3
batch = 2
[output]
model = "model.safetensors"
report = "report"
"""
SOURCE = """
entries = []


class Tracker:
    def __init__(self, where):
        self.where = where

    def record(self, entry):
        entries.append((self.where, entry))

    def close(self):
        entries.append((self.where, None))
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    truth = random_model()
    write(tmp_path / "frames.xyz", [labelled(truth, random_structure(seed)) for seed in range(3)])
    (tmp_path / "fit.toml").write_text(CONFIGURATION)
    install(tmp_path, "own_tracker", SOURCE, beadwise_trackers={"own": "own_tracker:Tracker", "bad": "own_tracker:no"})
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_tracker", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lines_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_fit_tells_its_heads_passes_and_errors(folder):
    pytest.importorskip("torch", reason="torch is not installed; only fits of networks need it")
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    arguments = ["fit", "fit.toml", "--track", "tensorboard:board", "--track", "own:here"]
    done = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    told = lines_of(folder / "report" / "log.jsonl")
    events = [one["event"] for one in told]
    assert events[0] == "begin" and events[-1] == "end"
    assert {one["name"] for one in told if one["event"] == "head"} == {"energy", "dipole"}
    passes = [one for one in told if one["event"] == "pass"]
    assert [one["number"] for one in passes] == [1, 2, 3] and passes[0]["of"] == 3
    assert all(one["loss"] > 0 and one["learning_rate"] > 0 for one in passes)
    errors = next(one for one in told if one["event"] == "errors")
    assert set(errors["properties"]) >= {"energy", "forces", "dipole"}
    assert errors["properties"]["forces"]["root_mean_square_error"] > 0 and errors["properties"]["forces"]["unit"]
    assert all(later["seconds"] >= one["seconds"] for one, later in pairwise(told))

    board = accumulator.EventAccumulator(str(folder / "board"))
    board.Reload()
    drawn = board.Scalars("pass/loss")
    assert [one.step for one in drawn] == [1, 2, 3]
    np.testing.assert_allclose([one.value for one in drawn], [one["loss"] for one in passes], rtol=1e-6)
    assert "errors/properties/dipole/root_mean_square_error" in board.Tags()["scalars"]

    own = sys.modules["own_tracker"].entries
    assert [entry for where, entry in own[:-1]] == told and own[-1] == ("here", None)

    done = CliRunner().invoke(main, arguments[:2], catch_exceptions=False)
    assert [one["event"] for one in lines_of(folder / "report" / "log.jsonl")] == events  # of the last fit alone


def test_a_round_is_numbers_and_texts():
    explored = ExplorationRecord("cold", steps=16, highest_uncertainty=0.2)
    record = RoundRecord(2, "a.safetensors", errors={"validation": {"forces": 30.0}}, explorations=[explored])
    record.candidate_uncertainties = [0.1, 0.2]
    told = _of_round(record)
    assert told["number"] == 2 and told["errors"]["validation"]["forces"] == 30.0
    assert told["counts"]["candidate_uncertainties"] == 2 and told["explored"]["cold"]["steps"] == 16


def test_a_log_that_goes_on(tmp_path):
    for _ in range(2):
        with journal(JsonLines(tmp_path / "new" / "log.jsonl", continues=True)) as told:
            told.tell("round", number=1, error=math.inf)
    assert [one["error"] for one in lines_of(tmp_path / "new" / "log.jsonl")] == [None, None]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tensorbord:here", "no tracker 'tensorbord'; allowed are tensorboard, own, bad; did you mean 'tensorboard'?"),
        ("tensorboard", "names no folder; allowed is tensorboard:FOLDER"),
        ("bad:here", "the tracker 'bad' of own_tracker:no cannot be imported"),
    ],
)
def test_trackers_that_there_are_not(text, message, folder):
    done = CliRunner().invoke(main, ["fit", "fit.toml", "--track", text])
    assert done.exit_code == 2 and message in one_line(done.stderr)
    assert not (folder / "model.safetensors").exists()


def test_what_is_not_installed_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto", None)
    with pytest.raises(LogError, match=r"pip install 'beadwise\[tensorboard\]'"):
        tracker_of("tensorboard:here")


def test_a_log_that_cannot_be_written(folder):
    (folder / "report").write_text("a file")
    done = CliRunner().invoke(main, ["fit", "fit.toml"])
    assert done.exit_code == 2 and "cannot write the log" in one_line(done.stderr)
