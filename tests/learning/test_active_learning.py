"""Active learning of a small box of q-TIP4P/F water with a real i-PI: to its end, killed, stopped, and flying apart."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from beadwise.driver.launch.exploration import check_input, explore, prepare, read_candidates
from beadwise.learning.data import read_frames
from beadwise.model import BeadwiseError, save
from beadwise.model.members import Members
from beadwise.runs.input.elements import InputError
from beadwise.runs.input.run_input import RunInput
from learning_folder import INPUT, PATIENCE, Folder, box, labelled, settings_of
from models import random_model
from rich.console import Console
from test_run import one_line

SLOW = """
import time
from pathlib import Path
from beadwise.model.evaluators import load_evaluator

class Slow:
    species = (1, 8)
    properties = ("energy", "forces", "virial")
    def __init__(self):
        self.own = load_evaluator("qtip4pf")
    def evaluate(self, batch, want):
        with open("{calls}", "a") as file:
            file.write("call\\n")
        time.sleep(0.3)
        return self.own.evaluate(batch, want)
"""


@pytest.fixture
def folder(tmp_path):
    folder = Folder(tmp_path)
    yield folder
    folder.kill_all()


def test_two_rounds(folder):
    status, output, errors = folder.run()
    assert (status, errors) == (0, ""), errors
    assert "2 rounds are done; model in" in output
    records = folder.records
    assert [record.number for record in records] == [1, 2, 3]
    # 32 start frames and 4 more after each round, a quarter of which is set aside
    assert [(record.training, record.validation) for record in records] == [(24, 8), (27, 9), (30, 10)]
    assert [record.new for record in records] == [4, 4, 0]
    for record in records[:2]:
        exploration = record.explorations[0]
        assert (exploration.outcome, exploration.steps, exploration.reason) == ("finished", 16, "")
        # the beads begin as one structure, which is looked at once
        assert exploration.seen == exploration.flagged == len(record.candidate_uncertainties) == 1 + 4 * 4
        assert set(record.selected_uncertainties) <= set(record.candidate_uncertainties)
        assert len(record.predicted_errors) == len(record.true_errors) == 4
        assert exploration.highest_uncertainty == pytest.approx(max(record.candidate_uncertainties), rel=1e-4)
    assert all(record.independent == 8 and record.calibration["energy"] > 0 for record in records)
    # beads of path integrals are no part of the start, so what they teach shows there
    assert np.mean(records[1].true_errors) < np.mean(records[0].true_errors)
    assert len(list((folder.path / "loop" / "labels").glob("*.xyz"))) == 8
    assert (folder.path / "final.safetensors").read_bytes() == (folder.path / "loop" / records[-1].model).read_bytes()
    assert (folder.path / "loop" / "report.html").read_text().startswith("<!DOCTYPE html>")
    told = [json.loads(line) for line in (folder.path / "loop" / "log.jsonl").read_text().splitlines()]
    assert [one["number"] for one in told if one["event"] == "round"] == [1, 2, 3]
    assert told[0]["event"] == "head" and told[-1]["errors"] == records[-1].errors
    frame = read_frames(folder.path / "loop" / "round_01" / "labelled.xyz")[0]
    np.testing.assert_allclose(frame.labels["forces"], labelled(frame.atoms).labels["forces"], atol=1e-5)
    first, second = (folder.path / "loop" / f"round_0{n}" / "cold" / "input.xml" for n in (1, 2))
    assert first.read_text() != second.read_text()  # other random numbers

    before = (folder.path / "loop" / "state.json").read_text()
    status, output, errors = folder.run()
    assert (status, errors) == (0, "") and "2 rounds are done" in output
    assert (folder.path / "loop" / "state.json").read_text() == before


def test_interrupted_and_killed_while_it_explores(folder):
    folder.write(rounds=1)
    folder.write_steps(100000)
    run = folder.path / "loop" / "round_01" / "cold"

    def has_begun() -> bool:
        table = run / "test.out"
        return table.exists() and len(table.read_text().splitlines()) > 5

    process = folder.start()
    folder.wait_until(has_begun)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert one_line(errors) == (
        "Error: interrupted in round 1 after evaluate; go on with `beadwise learn learn.toml`\n"
    )
    assert folder.processes() == []
    model = (folder.path / "loop" / "round_01" / "model.safetensors").stat()

    (run / "test.out").unlink()
    process = folder.start()
    folder.wait_until(has_begun)
    process.kill()
    process.communicate()
    folder.write_steps(8)
    status, output, errors = folder.run()
    assert (status, errors) == (0, ""), errors
    assert "1 round is done" in output
    assert (folder.path / "loop" / "round_01" / "model.safetensors").stat().st_mtime_ns == model.st_mtime_ns
    assert folder.records[0].explorations[0].steps == 8
    folder.wait_until(lambda: folder.processes() == [])


def test_killed_while_it_labels(folder):
    calls = folder.path / "calls"
    (folder.path / "slow_water.py").write_text(SLOW.replace("{calls}", str(calls)))
    folder.write(reference="slow_water:Slow", rounds=1)
    process = folder.start()
    labels = folder.path / "loop" / "labels"
    folder.wait_until(lambda: len(list(labels.glob("*.xyz"))) == 2)
    process.kill()
    process.communicate()
    before = {path: path.stat().st_mtime_ns for path in labels.glob("*.xyz")}
    status, _, errors = folder.run()
    assert (status, errors) == (0, ""), errors
    assert folder.records[0].new == 4 and len(list(labels.glob("*.xyz"))) == 4
    assert all(path.stat().st_mtime_ns == then for path, then in before.items())
    assert len(calls.read_text().splitlines()) <= 5  # the one that was under way is repeated
    assert len(list((folder.path / "loop").glob("round_01/cold/*.csv"))) == 1


def model_file(folder: Folder, size: float) -> Path:
    """A model of random weights with members, which knows nothing of water."""
    model = random_model(heads=("energy",))
    head = model.heads["energy"]
    scaled = replace(head, weights=size * head.weights)
    deviations = tuple(
        replace(head, offset=0 * head.offset, linear=0 * head.linear, weights=0.1 * sign * scaled.weights)
        for sign in (-1, -0.5, 0, 0.5, 1)
    )
    members = Members({"energy": deviations}, {"energy": 1.0})
    path = folder.path / "random.safetensors"
    save(replace(model, heads={**model.heads, "energy": scaled}, members=members), path)
    return path


def test_uncertain_beads_end_the_run(folder):
    folder.write_steps(100000)
    settings, model = settings_of(folder, flag=1e-6, stop=2e-6), model_file(folder, 1e-3)
    quiet = Console(file=open(os.devnull, "w"))
    for attempt in range(3):  # i-PI looks for EXIT once a second: now and then before its first step
        run = folder.path / f"run_{attempt}"
        found = explore(settings, folder.path / "cold.xml", run, model, 1, None, quiet)
        if found.steps:
            break
    assert found.outcome == "stopped" and 0 < found.steps < 100000
    assert "eV/Å" in found.reason and "at step 0" in found.reason
    candidates = read_candidates(run, "cold")
    assert len(candidates) == found.flagged == 1
    assert candidates[0].uncertainty > 2e-6 and candidates[0].atom_uncertainties.shape == (24,)


def test_beads_that_fly_apart_are_expected(folder):
    folder.write_steps(100000)
    settings = settings_of(folder, flag=1e-6, stop=1e30, envelope_stop=1e30)
    run = folder.path / "run"
    found = explore(
        settings,
        folder.path / "cold.xml",
        run,
        model_file(folder, 3000.0),
        1,
        None,
        Console(file=open(os.devnull, "w")),
    )
    assert found.outcome == "broken" and " Å apart; at least" in found.reason and "RESTART" not in found.reason
    assert found.seen == len(read_candidates(run, "cold")) > 0
    assert found.steps < 100000


def test_run_that_cannot_begin_is_an_error(folder):
    model = folder.path / "none.safetensors"
    with pytest.raises(BeadwiseError, match=r"none\.safetensors"):
        explore(settings_of(folder), folder.path / "cold.xml", folder.path / "run", model, 1, None, Console())


def test_inputs_are_prepared(folder):
    source = folder.path / "cold.xml"
    run = folder.path / "a" / "run"
    assert prepare(source, run, 7, None) == 4
    text = (run / "input.xml").read_text()
    assert f"beadwise-learn-{os.getpid()}-run" in text and "<seed>7</seed>" in text
    assert (run / "start.extxyz").read_text() == (folder.path / "start.extxyz").read_text()
    (run / "EXIT").touch()
    properties = ", ".join(30 * ["potential{electronvolt}"])  # longer than any name of a file
    source.write_text(INPUT.replace("[ step, potential ]", f"[ {properties} ]"))
    known = box(np.random.default_rng(9))
    structure = ase.io.read(folder.path / "start.extxyz")
    structure.set_masses(3 * structure.get_masses())
    ase.io.write(folder.path / "start.extxyz", structure)
    prepare(source, run, 7, known)
    assert not (run / "EXIT").exists()
    masses = [RunInput.read(path).only_system().atoms.masses for path in (source, run / "input.xml")]
    np.testing.assert_allclose(masses[1], masses[0], rtol=1e-7)
    np.testing.assert_allclose(ase.io.read(run / "start.extxyz").positions, known.positions, atol=1e-7)
    assert RunInput.read(run / "input.xml").total_steps == 16
    prepare(source, run, 7, Atoms("OHH", 2 * np.eye(3)))
    np.testing.assert_allclose(ase.io.read(run / "start.extxyz").cell.array, 6.8 * np.eye(3), atol=1e-6)
    two = folder.path / "two.xml"
    socket = INPUT[INPUT.index("<ffsocket") : INPUT.index("</ffsocket>") + len("</ffsocket>")]
    two.write_text(INPUT.replace("<system>", socket.replace("'model'", "'other'") + "<system>"))
    with pytest.raises(InputError, match="has 2 <ffsocket>"):
        check_input(two)
