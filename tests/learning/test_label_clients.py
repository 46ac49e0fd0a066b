"""Labels by clients of i-PI's protocol: good ones, and those that die, hang and talk nonsense."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from ase.build import molecule
from beadwise.learning.labels.labeller import labeller
from beadwise.learning.labels.settings import LabelError
from beadwise.model import Batch
from beadwise.model.clients import scratch as label_scratch
from beadwise.model.clients.scratch import PREFIX, SOCKETS, sweep
from beadwise.model.evaluators import load_evaluator
from label_structures import argon, shaken, water
from places import HELPERS, INPUTS

CLIENT = HELPERS / "label_client.py"
LENNARD_JONES = "ase:ase.calculators.lj.LennardJones:sigma=2.6,epsilon=0.01,rc=6.0,smooth=true"


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """A folder for temporary files; nothing may be left there, nor a socket, but those of tests beside this one."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    yield folder
    assert not list(folder.iterdir())
    assert not [path for path in SOCKETS.glob(f"ipi_{PREFIX}*") if not of_another(path)]


def of_another(path):
    """Whether a socket belongs to another process that still runs."""
    process = int(path.name.split("-")[-2])
    return process != os.getpid() and Path(f"/proc/{process}").exists()


def by_client(tmp_path, habit="", address="{address}", workers=0, **values):
    """A labeller whose client has a habit, and writes what happens to a log."""
    log = tmp_path / "client_calls"
    command = f"{sys.executable} {CLIENT} {address} {{structure}} {log} {habit}"
    return labeller({"client": command, "workers": workers, "timeout": 60, **values}, tmp_path / "labels", tmp_path)


def count(tmp_path, word):
    return (tmp_path / "client_calls").read_text().split().count(word)


def processes(tmp_path):
    """Ids of the clients that were started."""
    return {int(line.split()[0]) for line in (tmp_path / "client_calls").read_text().splitlines()}


def assert_all_ended(tmp_path):
    assert not [number for number in processes(tmp_path) if Path(f"/proc/{number}").exists()]


@pytest.mark.parametrize("address", ["{address}", "{host}:{port}"])
def test_a_client_gives_what_its_calculator_gives(tmp_path, scratch, address):
    frames = shaken(argon(), 3)
    by_socket = by_client(tmp_path, address=address).label(frames)
    direct = labeller({"reference": LENNARD_JONES, "workers": 0}, tmp_path / "direct").label(frames)
    for one, other in zip(by_socket, direct, strict=True):
        assert set(one.frame.labels) == set(other.frame.labels) == {"energy", "forces", "stress"}
        for name, label in other.frame.labels.items():
            assert np.abs(label).max() > 1e-4
            np.testing.assert_allclose(one.frame.labels[name], label, rtol=1e-9, atol=1e-12)
    assert count(tmp_path, "start") == 1 and count(tmp_path, "label") == 3
    assert_all_ended(tmp_path)


def test_charged_frames_need_a_word_for_the_charge(tmp_path, scratch):
    frames = shaken(argon(), 3)
    for frame, charge in zip(frames, (0, 1, 2), strict=True):
        frame.info["charge"] = charge
    labels = by_client(tmp_path).label(frames)
    assert labels[0].frame and not labels[1].frame and "a frame has the charge 1; client or" in labels[1].reason
    told = by_client(tmp_path, "none:{charge}", restart="species").label(frames)
    assert all(label.frame for label in told) and count(tmp_path, "start") >= 3
    assert_all_ended(tmp_path)


def test_beadwise_is_a_client(tmp_path, scratch):
    """``beadwise serve``, with dipoles in its extras."""
    frames = shaken(water(), 2)
    options = "--unix {address} --structure {structure} --want dipole"
    command = f"{sys.executable} -m beadwise.driver serve qtip4pf {options}"
    labels = labeller({"client": command, "workers": 0, "timeout": 60}, tmp_path / "labels").label(frames)
    direct = load_evaluator("qtip4pf").evaluate(Batch.from_ase(frames), ["energy", "forces", "virial", "dipole"])
    for number, label in enumerate(labels):
        got = label.frame.labels
        for name in ("energy", "forces", "dipole"):
            np.testing.assert_allclose(got[name], direct[name][number], rtol=1e-6, atol=1e-6)  # two sets of constants
        stress = -direct.virial[number] / frames[number].get_volume()
        np.testing.assert_allclose(got["stress"], stress, rtol=1e-6, atol=1e-9)


def test_a_client_without_stress(tmp_path, scratch):
    labels = by_client(tmp_path, "stressless").label(shaken(argon(), 1))[0].frame.labels
    assert set(labels) == {"energy", "forces"}


def test_isolated_atoms_get_a_box_and_no_stress(tmp_path, scratch):
    dimer = argon()[:2]
    dimer.set_cell(None)
    dimer.pbc = False
    labels = by_client(tmp_path).label([dimer])[0].frame.labels
    direct = labeller({"reference": LENNARD_JONES, "workers": 0}, tmp_path / "direct").label([dimer])[0].frame.labels
    assert set(labels) == {"energy", "forces"}
    np.testing.assert_allclose(labels["forces"], direct["forces"], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("restart", "starts"), [("species", 2), ("always", 4)])
def test_when_a_client_is_started_anew(tmp_path, scratch, restart, starts):
    first, second = shaken(argon(), 2)
    wider = first.copy()
    wider.set_cell(first.cell.array * 1.01, scale_atoms=True)
    labels = by_client(tmp_path, restart=restart).label([first, argon()[:5], wider, second])
    assert all(label.frame for label in labels) and count(tmp_path, "start") == starts
    assert_all_ended(tmp_path)


def test_a_client_that_stays(tmp_path, scratch):
    frames = shaken(argon(), 2)
    with by_client(tmp_path) as reference:
        for frame in frames:
            reference.label([frame])
        (process,) = processes(tmp_path)
        assert Path(f"/proc/{process}").exists()
    assert count(tmp_path, "start") == 1
    assert_all_ended(tmp_path)


@pytest.mark.parametrize(
    ("habit", "message"),
    [
        (
            "dies:2",
            r"ended with status 3 in the middle of an answer; its last words: .*ABORT\] the electrons went home",
        ),
        ("nan:2", "answered what i-PI's protocol does not know"),
        ("nonsense:2", "answered what i-PI's protocol does not know"),
    ],
)
def test_a_client_that_fails_fails_one_label(tmp_path, scratch, habit, message):
    frames = shaken(argon(), 4)
    labels = by_client(tmp_path, habit).label(frames)
    # the second label of each life: the first client answers once, the second, too
    assert [label.frame is not None for label in labels] == [True, False, True, False]
    reason = labels[1].reason
    assert reason.startswith(f"the client {Path(sys.executable).name} ") and "\n" not in reason
    assert re.search(message, reason), reason
    kept = [path.read_text() for path in (tmp_path / "labels").glob("*.failed.txt")]
    assert len(kept) == 2 and all("Something dreadful" in text for text in kept)
    assert_all_ended(tmp_path)


def test_a_client_that_hangs(tmp_path, scratch):
    frames = shaken(argon(), 2)
    began = time.monotonic()
    labels = by_client(tmp_path, "hangs:2", timeout=4).label(frames)
    assert time.monotonic() - began < 20
    assert labels[0].frame is not None and "did not answer within 4 s; its last words: Some" in labels[1].reason
    assert_all_ended(tmp_path)


@pytest.mark.parametrize(
    ("habit", "message"),
    [
        ("refuses", "ended with status 1 before it connected; its last words: no licence"),
        ("silent", "did not answer within 1.5 s"),
    ],
)
def test_a_client_that_never_connects(tmp_path, scratch, habit, message):
    with pytest.raises(LabelError, match=f"none of 1 structures could be labelled by python.*{message}"):
        by_client(tmp_path, habit, timeout=1.5 if habit == "silent" else 60).label([argon()])
    assert_all_ended(tmp_path)


def test_periodic_atoms_without_a_cell(tmp_path, scratch):
    atoms = molecule("H2O")
    atoms.pbc = True
    with pytest.raises(LabelError, match="of no volume"):
        by_client(tmp_path).label([atoms])


def test_what_is_filled_in(tmp_path, scratch):
    """Files with braces of their own; a client that only shows what it got, and ends."""
    words = "{address} {structure} | {cell_a} | {cell_c} | {cell}"
    (tmp_path / "x.inp").write_text(f"here: {words}\n${{address}} {{x}} {{}} {{Address}}\n")
    (tmp_path / "binary").write_bytes(b"\xff\x00{cell}")
    values = {"client": "cat x.inp binary", "files": ["x.inp", "binary"], "workers": 0}
    with pytest.raises(LabelError, match="status 0 before it connected"):
        labeller(values, tmp_path / "labels", tmp_path).label([water()])
    (kept,) = (tmp_path / "labels").glob("*.failed.txt")
    shown = next(line for line in kept.read_text(errors="replace").splitlines() if line.startswith("here: "))
    address, first, third, whole = shown.split("|")
    assert address.split()[1].startswith(PREFIX) and address.split()[2] == "structure.xyz"
    cell = water().cell.array
    np.testing.assert_allclose([float(number) for number in first.split()], cell[0])
    np.testing.assert_allclose([float(number) for number in third.split()], cell[2])
    np.testing.assert_allclose([float(number) for number in whole.split()], cell.ravel())
    assert "${address} {x} {} {Address}" in kept.read_text(errors="replace")


def test_files_of_a_client_tell_references_apart(tmp_path, scratch):
    (tmp_path / "x.inp").write_text("1")
    label = by_client(tmp_path, files=["x.inp"]).label([argon()])[0]
    assert not label.was_kept and by_client(tmp_path, files=["x.inp"]).label([argon()])[0].was_kept
    (tmp_path / "x.inp").write_text("2")
    assert not by_client(tmp_path, files=["x.inp"]).label([argon()])[0].was_kept


def test_what_a_killed_process_left_is_removed(scratch):
    dead = 2**22 + 1  # more than Linux gives
    left = scratch / f"{label_scratch._prefix()}{dead}-abc"
    left.mkdir()
    socket = SOCKETS / f"ipi_{label_scratch._prefix()}{dead}-abc"
    socket.touch()
    kept = label_scratch.scratch_folder()
    assert not left.exists() and not socket.exists() and kept.exists()
    sweep()
    assert kept.exists()
    kept.rmdir()


@pytest.mark.skipif(shutil.which("cp2k.psmp") is None, reason="CP2K is not installed")
def test_cp2k(tmp_path, scratch, liquid):
    """C-NNP, which the shipped model is fitted to, through the shipped input."""
    frames = [liquid, *shaken(liquid, 1)]
    values = {
        "client": "cp2k.psmp -i water_cnnp.inp -o water_cnnp.out",
        "files": ["water_cnnp.inp"],
        "restart": "species",
        "workers": 0,
    }
    reference = labeller(values, tmp_path / "labels", INPUTS)
    reference.check()
    labels = [label.frame.labels for label in reference.label(frames)]
    model = load_evaluator("water").evaluate(Batch.from_ase(frames), ["energy", "forces", "virial"])
    errors = np.array([label["forces"] for label in labels]) - model.forces
    assert np.sqrt((errors**2).mean()) < 0.08
    difference = labels[1]["energy"] - labels[0]["energy"] - (model.energy[1] - model.energy[0])
    assert abs(difference) < 0.003 * len(frames[0])
    stress = -model.virial[0] / frames[0].get_volume()
    np.testing.assert_allclose(labels[0]["stress"], stress, rtol=0, atol=1.5e-3)
