"""Every way in which a run ends, with a real i-PI: what is said, with which status, and how it goes on."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from test_run import EXTRAS, PATIENCE, Folder, one_line

CHECKPOINT = EXTRAS + "<checkpoint filename='chk' stride='4'/>"
ADVICE = re.compile(
    r"(?:continue|start again)(?: from step \d+)? with `([^`]+)`(?: and the options of this run: ([^;\n]*))?"
)


@pytest.fixture
def folder(tmp_path):
    folder = Folder(tmp_path)
    folder.write_input(steps=100000, outputs=CHECKPOINT)
    yield folder
    for process in folder.processes():
        os.kill(process, signal.SIGCONT)
    folder.kill_all()


def command_of(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def find(folder: Folder, word: bytes) -> int:
    return next(pid for pid in folder.processes() if word in command_of(pid))


def ipi(folder: Folder) -> int:
    return find(folder, b"i-pi\0")


def server(folder: Folder) -> int:
    return find(folder, b"serve\0")


def advised(message: str) -> list[str]:
    """Arguments of `beadwise` that a message advises."""
    command, options = ADVICE.search(message).groups()
    return shlex.split(command)[1:] + shlex.split(options or "")


def go_on(folder: Folder, message: str, steps: int) -> None:
    """Do what a message advises, to so many steps; every step must then be there, and be what it was."""
    before = np.loadtxt(folder.path / "test.out")
    _, source, *options = advised(message)
    path = folder.path / source
    path.write_text(re.sub(r"(<total_steps>).*?(<)", rf"\g<1> {steps} \g<2>", path.read_text()))
    status, _, errors = folder.run(source, *options, model=None)
    assert status == 0, errors
    after = np.loadtxt(folder.path / "test.out")
    assert set(after[:, 0]) == set(range(steps + 1))
    for row in before:
        for same in after[after[:, 0] == row[0]]:
            np.testing.assert_allclose(same, row, rtol=1e-6)


def test_signal_to_all_processes_as_batch_systems_send_it(folder):
    process = folder.start("input.xml", model="springs:springs")
    folder.wait_for_steps(5)
    for number in sorted(folder.processes(), reverse=True):  # children first: i-PI gets a second one from its parent
        os.kill(number, signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    step = folder.step_of_restart()
    assert process.returncode == 1 and step >= 5
    assert f"interrupted; i-PI was stopped at step {step}, continue with `beadwise run RESTART`" in one_line(errors)
    folder.assert_clean()
    go_on(folder, errors, step + 3)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_to_ipi_alone(folder, number):
    process = folder.start("input.xml")
    folder.wait_for_steps(5)
    os.kill(ipi(folder), number)
    output, errors = process.communicate(timeout=60)
    step = folder.step_of_restart()
    assert process.returncode == 1 and "finished" not in output
    assert f"by a signal to i-PI; i-PI was stopped at step {step}, continue with `beadwise run RESTART`" in one_line(
        errors
    )
    assert advised(errors) == ["run", "RESTART", "--model", "springs:springs"]
    folder.assert_clean()


def test_signal_to_an_ipi_that_has_not_begun(folder):
    process = folder.start("input.xml")
    deadline = time.monotonic() + 60
    while not any(b"i-pi\0" in command_of(pid) for pid in folder.processes()) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(ipi(folder), signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1 and "interrupted by a signal to i-PI; " in one_line(errors)
    assert advised(errors)[:2] == ["run", "input.xml"]
    folder.assert_clean()


def test_ipi_killed_with_a_checkpoint(folder):
    process = folder.start("input.xml")
    folder.wait_for_steps(9)
    os.kill(ipi(folder), signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1 and "i-PI failed with status -9 (SIGKILL)" in one_line(errors)
    found = re.search(r"continue from step (\d+) with `beadwise run test.chk` and", errors)
    assert found and int(found[1]) >= 8 and int(found[1]) % 4 == 0
    folder.assert_clean()
    go_on(folder, errors, int(found[1]) + 6)


def test_ipi_killed_without_a_checkpoint(folder):
    (folder.path / "RESTART").write_text("<simulation> <step> 7 </step> </simulation>")  # of an older run
    folder.write_input(steps=100000)
    process = folder.start("input.xml")
    folder.wait_for_steps(3)
    os.kill(ipi(folder), signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "before it could write a RESTART, start again with `beadwise run input.xml` and the options" in one_line(
        errors
    )


@pytest.mark.parametrize("victim", [server, ipi])
def test_stopped_process(folder, victim):
    process = folder.start("input.xml")
    folder.wait_for_steps(5)
    number = victim(folder)
    os.kill(number, signal.SIGSTOP)
    _, errors = process.communicate(timeout=90)
    step = folder.step_of_restart()
    what = "a server" if victim is server else "i-PI"
    assert process.returncode == 1
    assert one_line(errors).startswith(
        f"Error: a signal had stopped {what}, process {number}, so the run did not go on; "
    )
    assert f"i-PI was stopped at step {step}, continue with `beadwise run RESTART`" in errors
    folder.assert_clean()


def test_files_that_may_not_grow(folder):
    """As with a full disk or a quota: what cannot be written fails, and shorter files still can."""
    limited = "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (40000, 40000)); "
    command = [sys.executable, "-c", limited + "runpy.run_module('beadwise.driver', run_name='__main__')"]
    environment = {**os.environ, "PYTHONPATH": folder.modules, "BEADWISE_TEST": folder.mark}
    done = subprocess.run(
        [*command, "run", "input.xml", "--model", "springs:springs"],
        cwd=folder.path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    step = folder.step_of_restart()
    assert done.returncode == 1 and step > 5
    assert one_line(done.stderr).startswith(f"Error: cannot write in '{folder.path}': File too large; ")
    assert f"i-PI was stopped at step {step}, continue with `beadwise run RESTART`" in done.stderr
    folder.assert_clean()


def test_walltime(folder, monkeypatch):
    monkeypatch.setenv("SPRINGS_SECONDS", "0.1")  # the time passes without much work
    process = folder.start("input.xml", "--walltime", "20s", model="springs:slow")
    output, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors) == (3, "")
    step = folder.step_of_restart()
    last = output.splitlines()[-1]
    assert last.startswith(
        f"the time is over; i-PI was stopped at step {step}, continue with `beadwise run RESTART` and"
    )
    assert advised(last) == ["run", "RESTART", "--model", "springs:slow", "--walltime", "20s"]
    folder.assert_clean()


@pytest.mark.parametrize("verbosity", ["low", "quiet"])
def test_total_time_of_ipi(folder, verbosity):
    folder.write_input(steps=100000, verbosity=verbosity)
    path = folder.path / "input.xml"
    path.write_text(path.read_text().replace("<ffsocket", "<total_time> 2 </total_time> <ffsocket"))
    status, output, errors = folder.run("input.xml")
    assert (status, errors) == (3, "")
    step = folder.step_of_restart()
    assert f"the <total_time> of i-PI is over; i-PI was stopped at step {step}, continue with" in output
    folder.assert_clean()


def test_shared_memory_of_a_killed_ipi(folder):
    folder.write_input(steps=100000, mode="shm")
    process = folder.start("input.xml")
    folder.wait_for_steps(3)
    number = ipi(folder)
    assert list(Path("/dev/shm").glob(f"ipi_shm_{number}_*"))
    os.kill(number, signal.SIGKILL)
    process.communicate(timeout=60)
    assert not list(Path("/dev/shm").glob(f"ipi_shm_{number}_*"))
    folder.assert_clean()


def test_second_run_is_refused_and_a_dead_one_forgotten(folder, tmp_path_factory):
    first = folder.start("input.xml")
    folder.wait_for_steps(3)
    status, _, errors = folder.run("input.xml")
    assert status == 2
    assert one_line(errors).startswith(f"Error: another run is going on in '{folder.path}' (process {first.pid} on ")
    other = Folder(tmp_path_factory.mktemp("other"))
    other.write_input(address=folder.address)
    status, _, errors = other.run("input.xml")
    assert status == 2 and f"another run has its i-PI at /tmp/ipi_{folder.address}" in one_line(errors)
    assert first.poll() is None

    for number in [first.pid, ipi(folder)]:
        os.kill(number, signal.SIGKILL)
    first.communicate()
    assert (folder.path / ".beadwise.lock").exists()
    folder.write_input(steps=4)
    status, output, errors = folder.run("input.xml")
    assert (status, errors) == (0, "") and "finished at step 4" in output
    folder.assert_clean()
    assert not (folder.path / ".beadwise.lock").exists()
