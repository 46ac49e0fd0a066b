"""What is between us and i-PI's own script: second signals, checkpoints that are whole, RESTART after an exception."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from beadwise.driver.doors import ipi_process

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
