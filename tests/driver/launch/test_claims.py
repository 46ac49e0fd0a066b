"""Locks of folders and addresses: one of many gets it, a dead one holds nothing, and other machines are looked for."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from beadwise.driver.launch import claims
from beadwise.driver.launch.claims import LOCK, Holder, claimed
from beadwise.runs.input.elements import InputError
from beadwise.runs.input.run_input import RunInput

INPUT = """<simulation>
  <ffsocket mode='unix' name='a'><address>{address}</address></ffsocket>
  <ffsocket mode='inet' name='b'><address>localhost</address><port>{port}</port></ffsocket>
</simulation>"""


@pytest.fixture(autouse=True)
def no_patience(monkeypatch):
    monkeypatch.setattr(claims, "PATIENCE", 0.0)
    monkeypatch.setattr(claims, "SILENCE", 0.4)
    monkeypatch.setattr(claims, "BEAT", 0.1)
    monkeypatch.setattr(claims, "LOOK", 0.02)
    monkeypatch.setattr(claims, "SECOND_LOOK", 0.1)


@pytest.fixture
def simulation(tmp_path):
    return make(tmp_path)


def make(folder, address="one", port=40001):
    (folder / "input.xml").write_text(INPUT.format(address=f"{address}-{os.getpid()}", port=port))
    return RunInput.read(folder / "input.xml")


def try_to_claim(folder, everyone_is_here, results):
    everyone_is_here.wait()
    try:
        with claimed(RunInput.read(folder / "input.xml")):
            results.put(True)
            time.sleep(1.0)
    except InputError as error:
        results.put("another run" in str(error))
        results.put(False)


def test_one_of_many_that_start_together(simulation):
    context = multiprocessing.get_context("fork")
    everyone_is_here, results = context.Barrier(6), context.Queue()
    many = [context.Process(target=try_to_claim, args=(simulation.folder, everyone_is_here, results)) for _ in range(6)]
    for process in many:
        process.start()
    found = [results.get(timeout=30) for _ in range(1 + 2 * 5)]
    for process in many:
        process.join()
    assert found.count(False) == 5 and found.count(True) == 6  # five refusals that say why, and one claim
    assert not (simulation.folder / LOCK).exists()


def test_again_after_an_end_in_order(simulation):
    for _ in range(2):
        with claimed(simulation) as claim:
            claim.note_ipi(1)
        assert not (simulation.folder / LOCK).exists()


@pytest.mark.parametrize(("address", "port"), [("one", 40002), ("other", 40001)])
def test_same_address_in_another_folder(simulation, address, port, tmp_path_factory):
    other = make(tmp_path_factory.mktemp("other"), address, port)
    with claimed(simulation), pytest.raises(InputError, match="another run has its i-PI at"), claimed(other):
        pass
    with claimed(other):
        pass


def test_child_that_outlives_its_run_holds_the_claim(simulation, monkeypatch):
    """As i-PI while it writes its RESTART."""
    program = (
        "import os, subprocess, sys; from pathlib import Path; from beadwise.driver.launch.claims import claimed;"
        "from beadwise.runs.input.run_input import RunInput;"
        "stack = claimed(RunInput.read(Path('input.xml'))); claim = stack.__enter__();"
        "ipi = subprocess.Popen(['sleep', '60'], pass_fds=claim.descriptors, stdout=-3); claim.note_ipi(ipi.pid);"
        "print(ipi.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=simulation.folder, stdout=subprocess.PIPE, text=True, timeout=60
    )
    ipi = int(done.stdout.split()[0])
    assert done.returncode == -signal.SIGKILL
    try:
        with pytest.raises(InputError, match=f"that is gone, process {ipi}, has not ended"), claimed(simulation):
            pass
    finally:
        os.kill(ipi, signal.SIGKILL)
    monkeypatch.setattr(claims, "PATIENCE", 10.0)
    with claimed(simulation):
        pass


def without_locks(lock, operation):
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


@pytest.mark.parametrize("has_locks", [True, False])
def test_run_on_another_machine(simulation, has_locks, monkeypatch):
    """It holds a lock that is not seen here: its signs of life are."""
    if not has_locks:
        monkeypatch.setattr(claims.fcntl, "flock", without_locks)
    path = simulation.folder / LOCK
    path.write_text("node17 4711 4712\n".ljust(claims.LENGTH))
    is_over = threading.Event()

    def live():
        while not is_over.wait(0.05):
            os.utime(path)

    thread = threading.Thread(target=live)
    thread.start()
    try:
        with pytest.raises(InputError, match=r"another run is going on in .* \(process 4711 on node17\)"):
            with claimed(simulation):
                pass
    finally:
        is_over.set()
        thread.join()
    with claimed(simulation) as claim:  # it has gone without a word
        before = path.stat().st_mtime_ns
        deadline = time.monotonic() + 10
        while path.stat().st_mtime_ns == before and time.monotonic() < deadline:
            claim.beat()
        assert path.stat().st_mtime_ns > before
        assert Holder.read(claim.descriptors[0]).process == os.getpid()


def test_folder_that_cannot_be_written(simulation, monkeypatch):
    (simulation.folder / LOCK).mkdir()
    with pytest.raises(InputError, match=r"cannot write .*beadwise\.lock.*: Is a directory; i-PI needs to write there"):
        with claimed(simulation):
            pass
