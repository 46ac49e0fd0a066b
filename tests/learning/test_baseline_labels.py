"""The files that keep what a baseline says: what is evaluated anew, failures, interruptions."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from ase.io import write
from beadwise.learning.fitting.baseline_labels import CachedBaseline, without_baseline
from beadwise.model import BaselineError, Batch
from delta import (
    ENERGIES,
    LENNARD_JONES,
    Own,
    assert_one_line,
    configuration,
    frames,
    invoke,
    kept_files,
)
from models import labelled, random_model, random_structure

PATIENCE = 90  # seconds
SLOW = '''
import os, time
from ase.calculators.calculator import Calculator, all_changes

class Slow(Calculator):
    """Springs to the origin that take their time, and write down what they were asked."""

    implemented_properties = ["energy", "forces"]

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        time.sleep(0.05)
        with open("calls.log", "a") as file:
            file.write(f"{os.getpid()} {self.atoms.positions.sum():.9f}\\n")
        self.results = {"energy": 0.01 * (self.atoms.positions**2).sum(), "forces": -0.02 * self.atoms.positions}
'''


def test_only_what_is_missing_is_evaluated(tmp_path, own):
    evaluator, some = own(Own()), frames(6)
    baseline = CachedBaseline("own", tmp_path)
    seen = []
    baseline.prepare(some, lambda *state: seen.append(state))
    assert seen == [("baseline own", done, 6) for done in range(7)] and len(evaluator.batches) == 6
    files = kept_files(tmp_path)
    assert len(files) == 6
    for file in files[::2]:
        file.unlink()
    seen.clear()
    again = CachedBaseline("own", tmp_path)
    again.prepare([*some, *some], lambda *state: seen.append(state))
    assert seen == [("baseline own", done, 6) for done in range(3, 7)] and len(evaluator.batches) == 9
    without_baseline(some, again)
    again.evaluate(Batch.from_ase([frame.atoms for frame in some]), ["forces"])
    assert len(evaluator.batches) == 9


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[: len(content) // 2],
        lambda content: content[:200] + bytes(60) + content[260:],
        lambda content: b"no archive at all",
        lambda content: b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (), }" + bytes(8),
    ],
    ids=["empty", "half", "overwritten", "text", "an array"],
)
def test_damaged_files_are_evaluated_anew(tmp_path, own, damage):
    evaluator, some = own(Own()), frames(1)
    baseline = CachedBaseline("own", tmp_path)
    baseline.prepare(some)
    (file,) = kept_files(tmp_path)
    whole = without_baseline(some, baseline)[0].labels
    file.write_bytes(damage(file.read_bytes()))
    baseline.prepare(some)
    assert len(evaluator.batches) == 2
    np.testing.assert_array_equal(without_baseline(some, baseline)[0].labels["forces"], whole["forces"])
    assert len(evaluator.batches) == 2 and kept_files(tmp_path) == [file]


@pytest.mark.parametrize("change", [{"forces": None}, {"forces": np.zeros((1, 3))}, {"dipole": np.zeros(3)}])
def test_files_that_hold_something_else_are_evaluated_anew(tmp_path, own, change):
    evaluator, some = own(Own()), frames(1)
    baseline = CachedBaseline("own", tmp_path)
    baseline.prepare(some)
    (file,) = kept_files(tmp_path)
    with np.load(file) as archive:
        content = {**archive, **change}
    np.savez(file, **{name: value for name, value in content.items() if value is not None})
    baseline.prepare(some)
    assert len(evaluator.batches) == 2


def test_a_frame_that_fails_is_named_and_others_are_kept(tmp_path, own):
    some = frames(5)
    own(Own(fails=some[3].atoms))
    baseline = CachedBaseline("own", tmp_path)
    message = "baseline own cannot be evaluated for frame 3 of 'a.xyz': its electrons find no ground state"
    with pytest.raises(BaselineError, match=message):
        baseline.prepare(some)
    assert len(kept_files(tmp_path)) == 3


def test_a_frame_that_fails_in_a_process_of_its_own(tmp_path):
    some = frames(12)
    some[4].atoms.positions[1] = some[4].atoms.positions[0] + 0.01
    baseline = CachedBaseline(LENNARD_JONES, tmp_path)
    before = dict(os.environ)
    with pytest.raises(BaselineError, match=r"for frame 4 of 'a.xyz': atoms 0 and 1 of bead 0 are 0.0173 Å apart"):
        baseline.prepare(some, workers=2)
    assert 1 <= len(kept_files(tmp_path)) <= 11 and dict(os.environ) == before


def test_answers_that_are_not_finite_are_not_kept(tmp_path, own):
    evaluator = own(Own())
    evaluator._evaluate_bead = lambda batch, bead: dict.fromkeys(ENERGIES, np.full((3, 3), np.nan))
    with pytest.raises(BaselineError, match=r"for frame 0 of 'a.xyz': its energy is not finite"):
        CachedBaseline("own", tmp_path).prepare(frames(1))
    assert not kept_files(tmp_path)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "baselines").write_text("a file")
    write(tmp_path / "train.xyz", labelled(random_model(heads=["energy"]), random_structure(0, 2)))
    (tmp_path / "valid.xyz").write_bytes((tmp_path / "train.xyz").read_bytes())
    result = invoke("fit", configuration(tmp_path, LENNARD_JONES))
    assert_one_line(result, "frame 0 of", "its answer cannot be kept in", "baselines/lennard-jones")


def test_an_answer_depends_on_all_that_tells_structures_apart(tmp_path, own):
    evaluator, atoms = own(Own()), random_structure()
    variants = [atoms, *(atoms.copy() for _ in range(6))]
    variants[1].positions[0, 0] += 1e-9
    variants[2].set_cell(atoms.cell.array * 1.001)
    variants[3].pbc = False
    variants[4].numbers[:2] = [1, 8]
    variants[5].info["charge"] = 1.0
    variants[6].info["charge"] = 0.0
    for variant in variants:
        CachedBaseline("own", tmp_path).evaluate(Batch.from_ase(variant), ["energy"])
    evaluator.provider = "own 2.0"
    CachedBaseline("own", tmp_path).evaluate(Batch.from_ase(atoms), ["energy"])
    assert len(evaluator.batches) == len(kept_files(tmp_path)) == 8


def test_short_and_full_names_are_one_baseline(tmp_path, own):
    own(Own())
    short, full = (CachedBaseline(name, tmp_path) for name in ("GFN1-xTB", "tblite:GFN1-xTB"))
    assert short.name == full.name == "tblite:GFN1-xTB" and short.folder == full.folder == tmp_path / "GFN1-xTB"


def test_cores_where_the_system_does_not_tell_which_may_be_used(tmp_path, own, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    own(Own())
    CachedBaseline("own", tmp_path).prepare(frames(2))
    assert len(kept_files(tmp_path)) == 2


def is_alive(process):
    """Whether a process is there and is more than the remains of one that nobody waited for."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="tells processes that are left by /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_a_fit_goes_on_where_it_was_ended(tmp_path, number):
    (tmp_path / "slow_springs.py").write_text(SLOW)
    model = random_model(heads=["energy"])
    write(tmp_path / "train.xyz", [labelled(model, random_structure(seed, 2)) for seed in range(40)])
    write(tmp_path / "valid.xyz", [labelled(model, random_structure(seed, 2)) for seed in range(38, 42)])
    command = [sys.executable, "-m", "beadwise.driver", "fit", configuration(tmp_path, "ase:slow_springs.Slow").name]
    log = tmp_path / "calls.log"

    def calls():
        lines = log.read_text().splitlines(keepends=True) if log.exists() else []
        return [line.split() for line in lines if line.endswith("\n")]

    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # where the tests run in the background, a shell has told them to ignore what Ctrl-C sends
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    fitting = subprocess.Popen(command, cwd=tmp_path, start_new_session=True, preexec_fn=heed, **pipes)
    try:
        until(lambda: len(calls()) >= 6 or fitting.poll() is not None)
        if number == signal.SIGINT:
            os.killpg(fitting.pid, number)  # as a terminal does
        else:
            fitting.kill()
        _, complaint = fitting.communicate(timeout=PATIENCE)
    finally:
        fitting.kill()
        fitting.wait()
    assert fitting.returncode == (1 if number == signal.SIGINT else -signal.SIGKILL)
    if number == signal.SIGINT:
        assert complaint.strip() == "Error: interrupted"
    until(lambda: not any(is_alive(process) for process, _ in calls()))
    first, kept = calls(), len(kept_files(tmp_path / "baselines"))
    assert 6 - 2 <= kept <= len(first) < 40

    done = subprocess.run(command, cwd=tmp_path, timeout=PATIENCE, check=False, **pipes)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    second = calls()[len(first) :]
    assert len(second) == 42 - kept == len({position for _, position in second})
    finished = {position for _, position in calls()}
    assert len(finished) == 42 and len(kept_files(tmp_path / "baselines")) == 42
    assert not any(is_alive(process) for process, _ in second)
