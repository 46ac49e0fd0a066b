"""What is between us and i-PI's own script: second signals, checkpoints that are whole, RESTART after an exception."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import time
from socket import SO_LINGER, SOL_SOCKET, socket
from types import SimpleNamespace

import ase.build
import ase.io
import pytest
from beadwise.driver.doors import ipi_process
from ipi.utils import softexit

SIGNALS = """
import os, signal, sys
from beadwise.driver.doors import ipi_process
from ipi.utils.softexit import softexit
ipi_process.outlive_second_signals()
if "begun" in sys.argv:
    softexit.register_function(lambda: print("saved"))
    softexit.start()
for _ in range(3):
    os.kill(os.getpid(), int(sys.argv[1]))
softexit._thread.join()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_second_signals(number):
    """i-PI's own program ends at the second one before it has saved anything."""

    def run(*words):
        command = [sys.executable, "-c", SIGNALS, str(int(number)), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    begun, before = run("begun"), run()
    assert begun.returncode == 0 and "saved" in begun.stdout, begun.stderr
    assert before.returncode == 128 + number and before.stderr == ""


def test_signal_while_the_main_thread_waits_for_a_lock():
    """Python looks at it only when that wait ends, unless it is woken; the signal is given to another thread here."""
    program = (
        "import signal, threading; from beadwise.driver.doors import ipi_process; ipi_process.outlive_second_signals();"
        "lock = threading.Lock(); lock.acquire();"
        "send = lambda: signal.pthread_kill(threading.get_ident(), signal.SIGTERM);"
        "threading.Timer(0.2, send).start(); lock.acquire()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (128 + signal.SIGTERM, "")


def test_checkpoint_is_whole_or_the_old_one(tmp_path):
    path = tmp_path / "test.chk"
    path.write_text("old")
    with pytest.raises(OSError, match="full"), ipi_process._open_whole(str(path), "w") as file:
        file.write("half of the ne")
        raise OSError("full")
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["test.chk"]
    with ipi_process._open_whole(str(path), "w") as file:
        file.write("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new" and os.listdir(tmp_path) == ["test.chk"]


def test_it_looks_often_whether_it_is_to_end(monkeypatch):
    """I-PI waits for the last look before it ends."""
    monkeypatch.setattr(softexit, "SOFTEXITLATENCY", softexit.SOFTEXITLATENCY)
    ipi_process.look_often()
    monitor, pauses = softexit.Softexit(), []
    monitor._doloop[0], monitor.timeout = True, -1.0

    def sleep(seconds):
        pauses.append(seconds)
        monitor._doloop[0] = False

    monkeypatch.setattr(softexit, "time", SimpleNamespace(sleep=sleep, time=time.time))
    monitor._softexit_monitor()
    assert pauses == [ipi_process.LOOK_AFTER]


INPUT = """<simulation verbosity='low'>
  <output prefix='run'> <properties filename='out' stride='1'> [ step, potential ] </properties> </output>
  <total_steps> 6 </total_steps>
  <ffsocket mode='inet' name='springs'>
    <address> localhost </address> <port> {port} </port> <batch_size> 1 </batch_size> <latency> 1e-3 </latency>
  </ffsocket>
  <system>
    <initialize nbeads='1'> <file mode='ase' units='angstrom'> start.extxyz </file> </initialize>
    <forces> <force forcefield='springs'/> </forces>
    <motion mode='dynamics'> <dynamics mode='nve'> <timestep> 10 </timestep> </dynamics> </motion>
  </system>
</simulation>
"""


def test_a_server_that_is_killed_while_it_has_a_request(tmp_path):
    """Its system resets the connection; the other server gets the request."""
    with socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    ase.io.write(tmp_path / "start.extxyz", ase.build.molecule("H2O", vacuum=5), format="extxyz")
    (tmp_path / "input.xml").write_text(INPUT.format(port=port))
    beadwise = [sys.executable, "-m", "beadwise.driver"]
    with open(tmp_path / "log", "w") as log:
        started = {"cwd": tmp_path, "stdout": log, "stderr": log}
        ipi = subprocess.Popen([*beadwise, "ipi", "input.xml"], **started)
        fake = dying_client(port)
        serve = ["serve", "qtip4pf", "--tcp", f"localhost:{port}", "--structure", "start.extxyz"]
        server = subprocess.Popen([*beadwise, *serve], **started)
        try:
            fake.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))  # closing is a reset
            fake.close()
            assert ipi.wait(60) == 0, (tmp_path / "log").read_text()
        finally:
            for process in (ipi, server):
                process.kill()
                process.wait()
    assert len((tmp_path / "run.out").read_text().splitlines()) >= 7


def dying_client(port: int) -> socket:
    """A client that has taken a request and does not answer."""
    client, deadline = socket(), time.monotonic() + 60
    while client.connect_ex(("localhost", port)):  # i-PI is not there yet
        client.close()
        assert time.monotonic() < deadline
        time.sleep(0.05)
        client = socket()
    client.settimeout(60)
    received = b""
    while not received.endswith(b"GETFORCE    "):
        received += client.recv(4096)
        if received.endswith(b"STATUS      "):
            client.sendall(b"READY       ")
    return client
