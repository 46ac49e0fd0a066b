"""``beadwise run`` with a real i-PI: to the end, interrupted, failing, and after somebody else's crash."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

import ase.io
import pytest
from places import MODULES
from toy import water

BEADS = 4
PATIENCE = 180  # s, on a machine that does other things, too
INPUT = """
<simulation verbosity='{verbosity}'>
  <output prefix='test'>
    <properties filename='out' stride='1'> [ step, time{{femtosecond}}, conserved, potential ] </properties>
    {outputs}
  </output>
  <total_steps> {steps} </total_steps>
  <ffsocket mode='{mode}' name='springs'> <address> {address} </address> <port> {port} </port> </ffsocket>
  <system>
    <initialize nbeads='4'>
      <file mode='ase' units='angstrom'> water.extxyz </file>
      <velocities mode='thermal' units='kelvin'> 300 </velocities>
    </initialize>
    <forces> <force forcefield='springs'/> </forces>
    <ensemble> <temperature units='kelvin'> 300 </temperature> </ensemble>
    <motion mode='dynamics'>
      <dynamics mode='nvt'>
        <timestep units='femtosecond'> 0.5 </timestep>
        <thermostat mode='pile_g'> <tau units='femtosecond'> 100 </tau> </thermostat>
      </dynamics>
    </motion>
  </system>
</simulation>
"""
EXTRAS = "<trajectory filename='moments' extra_type='dipole,polarizability'> extras </trajectory>"


class Folder:
    """A folder with a small input, in which ``beadwise`` is run."""

    def __init__(self, path: Path):
        self.path = path
        self.modules = MODULES
        self.mark = uuid.uuid4().hex[:12]
        self.address = f"beadwise-test-{self.mark}"
        self.socket = Path(f"/tmp/ipi_{self.address}")
        ase.io.write(path / "water.extxyz", water(), format="extxyz")

    def write_input(self, steps=6, mode="unix", address=None, port=65000, outputs=EXTRAS, verbosity="low") -> None:
        text = INPUT.format(
            steps=steps, mode=mode, address=address or self.address, port=port, outputs=outputs, verbosity=verbosity
        )
        (self.path / "input.xml").write_text(text.strip())

    def start(self, *arguments: str, model: str | None = "springs:springs") -> subprocess.Popen[str]:
        options = [] if model is None else ["--model", model]
        return subprocess.Popen(
            [sys.executable, "-m", "beadwise.driver", "run", *arguments, *options],
            cwd=self.path,
            env={**os.environ, "PYTHONPATH": self.modules, "BEADWISE_TEST": self.mark},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, model: str | None = "springs:springs") -> tuple[int, str, str]:
        process = self.start(*arguments, model=model)
        output, errors = process.communicate(timeout=PATIENCE)
        return process.returncode, output, errors

    def step_of_restart(self) -> int:
        found = re.search(r"<step>\s*(\d+)", (self.path / "RESTART").read_text())
        return int(found.group(1)) if found else 0

    def last_step(self) -> int:
        return int(float((self.path / "test.out").read_text().splitlines()[-1].split()[0]))

    def wait_for_steps(self, steps: int) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            path = self.path / "test.out"
            if path.exists() and len(re.findall(r"^ ", path.read_text(), re.MULTILINE)) > steps:
                return
            time.sleep(0.05)
        raise AssertionError(f"i-PI did not reach step {steps}")

    def processes(self) -> list[int]:
        """Whatever was started from here and is still there."""
        return [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/environ") if self._is_ours(path)]

    def _is_ours(self, environment: Path) -> bool:
        try:
            return f"BEADWISE_TEST={self.mark}".encode() in environment.read_bytes()
        except OSError:
            return False

    def kill_all(self) -> None:
        for process in self.processes():
            os.kill(process, signal.SIGKILL)
        self.socket.unlink(missing_ok=True)

    def assert_clean(self) -> None:
        assert self.processes() == []
        assert not self.socket.exists()


@pytest.fixture
def folder(tmp_path):
    folder = Folder(tmp_path)
    folder.write_input()
    yield folder
    folder.kill_all()


def one_line(errors: str) -> str:
    assert errors.startswith("Error: ") and errors.count("\n") == 1, errors
    return errors


def test_runs_to_the_end_and_goes_on_from_restart(folder, monkeypatch):
    folder.write_input(outputs=EXTRAS + "<trajectory filename='a' bead='0' extra_type='dipole'> extras </trajectory>")
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(folder.socket))
    monkeypatch.delenv("BEADWISE_PICTURES")
    status, output, errors = folder.run("input.xml", "--workers", "2", "--threads", "1")
    assert (status, errors) == (0, "")
    assert f"removed {folder.socket}, left behind by an i-PI that is gone" in output
    assert "/6" in output and "finished at step 6" in output
    assert folder.last_step() == folder.step_of_restart() == 6
    assert len((folder.path / "test.moments_0").read_text().splitlines()) == 2 * 7
    assert (folder.path / "test.energies.png").read_bytes().startswith(b"\x89PNG")
    assert (folder.path / "test.report.html").is_file()
    assert "I-PI reports success" in (folder.path / "test.log").read_text()
    folder.assert_clean()

    status, _, errors = folder.run("RESTART")
    assert status == 2 and "step 6 of 6" in one_line(errors)
    restart = folder.path / "RESTART"
    restart.write_text(re.sub(r"<total_steps>.*?</total_steps>", "<total_steps>9</total_steps>", restart.read_text()))
    made = [folder.path / f"test.{name}" for name in ("energies.png", "report.html")]
    for path in made:
        path.unlink()
    monkeypatch.setenv("BEADWISE_PICTURES", "none")
    status, output, errors = folder.run("RESTART")
    assert (status, errors) == (0, "") and "/9" in output
    assert not any(path.exists() for path in made)
    assert folder.last_step() == folder.step_of_restart() == 9
    folder.assert_clean()


def test_tcp(folder):
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
        folder.write_input(steps=2, mode="inet", address="localhost", port=port)
        probe.listen()
        status, _, errors = folder.run("input.xml")
        assert status == 2 and f"localhost:{port}" in one_line(errors)
    status, _, errors = folder.run("input.xml")
    assert (status, errors) == (0, "")
    folder.assert_clean()


def test_shared_memory(folder):
    folder.write_input(mode="shm")
    status, _, errors = folder.run("input.xml")
    assert (status, errors) == (0, "")
    assert folder.last_step() == 6
    folder.assert_clean()
    folder.write_input(mode="smoke")
    status, _, errors = folder.run("input.xml")
    assert status == 2 and "<ffsocket> has the mode 'smoke'; allowed are unix, inet, shm" in one_line(errors)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_run_leaves_a_restart(folder, number):
    folder.write_input(steps=100000)
    process = folder.start("input.xml", model="springs:slow")
    folder.wait_for_steps(3)
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    step = folder.step_of_restart()
    assert f"interrupted; i-PI was stopped at step {step}, continue with `beadwise run RESTART`" in one_line(errors)
    folder.assert_clean()
    assert step >= 3


def test_killed_run_takes_its_children_with_it(folder):
    folder.write_input(steps=100000)
    process = folder.start("input.xml")
    folder.wait_for_steps(3)
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 10
    while folder.processes() and time.monotonic() < deadline:
        time.sleep(0.1)
    folder.assert_clean()
    assert folder.step_of_restart() >= 3


@pytest.mark.parametrize("model", ["failing_late", "failing_at_once"])
def test_bad_structure(folder, model):
    folder.write_input(steps=100000)
    status, _, errors = folder.run("input.xml", "--workers", "2", model=f"springs:{model}")
    assert status == 2
    message = one_line(errors)
    assert message.startswith("Error: atoms 3 and 7 are 0.100 Å apart; must be at least 0.3 Å; i-PI was stopped")
    folder.assert_clean()
    step = folder.step_of_restart()
    assert f"at step {step}," in message
    assert step == 0 if model == "failing_at_once" else step > 3

    restart = folder.path / "RESTART"
    restart.write_text(restart.read_text().replace("100000", str(step + 2)))
    assert folder.run("RESTART")[0] == 0
    assert folder.last_step() == step + 2


def test_interrupted_while_a_server_computes(folder, monkeypatch):
    monkeypatch.setenv("SPRINGS_SECONDS", "100")
    process = folder.start("input.xml", model="springs:slow")
    deadline = time.monotonic() + 90  # of a machine that does much else
    while (
        not (folder.path / "test.log").exists()
        or "Added to the client list" not in (folder.path / "test.log").read_text()
    ):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1 and "stopped at step 0, continue with" in one_line(errors)
    folder.assert_clean()


def test_ipi_told_to_stop(folder):
    folder.write_input(steps=100000)
    (folder.path / "EXIT").touch()  # of an older run
    process = folder.start("input.xml")
    folder.wait_for_steps(2)
    (folder.path / "EXIT").touch()
    output, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
    assert f"finished at step {folder.step_of_restart()} of 100000, as i-PI was told" in output


def test_server_killed(folder):
    folder.write_input(steps=100000)
    process = folder.start("input.xml")
    folder.wait_for_steps(2)
    server = next(pid for pid in folder.processes() if b"serve" in Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(server, signal.SIGKILL)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1 and "a server failed" in one_line(errors)
    assert folder.step_of_restart() >= 2
    folder.assert_clean()


def test_ipi_killed(folder):
    folder.write_input(steps=100000)
    process = folder.start("input.xml")
    folder.wait_for_steps(2)
    ipi = next(pid for pid in folder.processes() if b"i-pi\0" in Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(ipi, signal.SIGKILL)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1 and "i-PI failed with status -9" in one_line(errors)
    folder.assert_clean()


def test_input_that_ipi_refuses(folder):
    (folder.path / "RESTART").write_text("of an older run")
    text = (folder.path / "input.xml").read_text()
    (folder.path / "input.xml").write_text(text.replace("pile_g", "pile_x"))
    status, _, errors = folder.run("input.xml")
    assert status == 2 and "i-PI refused 'input.xml'" in one_line(errors) and "pile_x" in errors
    folder.assert_clean()


def test_extras_that_nobody_provides(folder):
    folder.write_input(outputs="<trajectory filename='a' extra_type='temper'> extras </trajectory>")
    status, _, errors = folder.run("input.xml")
    assert status == 2 and "'temper' is not among the extras that were sent" in one_line(errors)
    folder.assert_clean()


@pytest.mark.parametrize(
    ("model", "status", "reason"),
    [
        ("springs:broken", 1, "no licence for this model"),
        ("springs:nothing", 2, "cannot import the evaluator 'springs:nothing'"),
        ("springs:without_polarizability", 2, "does not provide polarizability"),
        ("other=springs:springs", 2, "'other' is no <ffsocket> of 'input.xml'; it has springs"),
    ],
)
def test_model_that_cannot_serve(folder, model, status, reason):
    received, _, errors = folder.run("input.xml", model=model)
    assert received == status and reason in one_line(errors)
    assert not (folder.path / "test.log").exists()
    folder.assert_clean()


def test_socket_of_a_live_ipi_is_left_alone(folder):
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(folder.socket))
        other.listen()
        status, _, errors = folder.run("input.xml")
        assert status == 2 and "another i-PI listens at" in one_line(errors)
        assert folder.socket.exists()
        other.settimeout(0.1)
        with pytest.raises(TimeoutError):
            other.accept()
