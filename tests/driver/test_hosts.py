"""i-PI and its servers on several hosts, of which one is cut off from the others while it computes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import ase.io
import numpy as np
import pytest
from hosts import Hosts, NoNamespacesError
from places import HELPERS
from toy import water

PORT = 31415
HEAD, LOST = 1, 3
SERVERS = (2, 3, 4)
SECONDS = 0.1  # of one evaluation: nearly always a request is under way on every host
TIMEOUT = 3.0
PATIENCE = 60.0
TAKEN_BACK = "Timeout! request has been running"  # i-PI's words
INPUT = """
<simulation verbosity='low' floatformat='%.17e'>
  <output prefix='out'>
    <properties filename='energy' stride='1'> [step, potential, conserved, kinetic_cv] </properties>
    <trajectory filename='positions' stride='1' format='xyz'> positions </trajectory>
    <trajectory filename='moments' stride='1' extra_type='dipole'> extras </trajectory>
  </output>
  <total_steps>{steps}</total_steps>
  <prng><seed>11</seed></prng>
  <ffsocket mode='{mode}' name='springs'>
    <address>{address}</address><port>{port}</port><latency>1e-3</latency><timeout>{timeout}</timeout>{batch_size}
  </ffsocket>
  <system>
    <initialize nbeads='8'>
      <file mode='ase'>start.extxyz</file><velocities mode='thermal' units='kelvin'>300</velocities>
    </initialize>
    <forces><force forcefield='springs'/></forces>
    <motion mode='dynamics'>
      <dynamics mode='nvt'>
        <timestep units='femtosecond'>0.5</timestep>
        <thermostat mode='pile_l'><tau units='femtosecond'>50</tau></thermostat>
      </dynamics>
    </motion>
    <ensemble><temperature units='kelvin'>300</temperature></ensemble>
  </system>
</simulation>
"""


class Run:
    """One i-PI on the first host and a server on each of the others, in a folder of its own."""

    def __init__(self, hosts: Hosts, folder: Path, steps: int, batch_size: str, wait: float):
        self.hosts, self.folder, self.steps = hosts, folder, steps
        write_input(folder, steps=steps, mode="inet", address=hosts.address(HEAD), port=PORT, batch_size=batch_size)
        self.servers = {host: self._serve(host, wait) for host in SERVERS}
        self.ipi = self._start(HEAD, [program("i-pi"), "input.xml"], "ipi.log")

    def _serve(self, host: int, wait: float) -> subprocess.Popen:
        address = f"{self.hosts.address(HEAD)}:{PORT}"
        options = ["--structure", "start.extxyz", "--want", "dipole", "--tcp", address, "--wait", str(wait)]
        command = [sys.executable, "-m", "beadwise.driver", "serve", "hosts:marking", *options]
        return self._start(host, command, f"server_{host}.log")

    def _start(self, host: int, command: list[str], log: str) -> subprocess.Popen:
        mark = str(self.folder / f"evaluating_{host}")
        with (self.folder / log).open("ab") as output:
            return self.hosts.start(host, command, self.folder, environment(SECONDS, mark), output)

    def text(self, name: str) -> str:
        path = self.folder / name
        return path.read_text() if path.exists() else ""

    def wait_for_step(self, step: int) -> None:
        wait_until(lambda: len(re.findall(r"^ +\d", self.text("out.energy"), re.MULTILINE)) > step, self)

    def wait_for_evaluation(self, host: int) -> None:
        """Return when a host has just begun to evaluate something."""
        mark = self.folder / f"evaluating_{host}"
        mark.unlink(missing_ok=True)
        wait_until(mark.exists, self)

    def cut_while_computing(self) -> None:
        """Cut a host off from the others in the middle of the run and of an evaluation."""
        self.wait_for_step(4)
        self.wait_for_evaluation(LOST)
        self.hosts.cut(LOST)

    def assert_right(self, expected: dict[str, np.ndarray]) -> None:
        assert self.ipi.wait(PATIENCE) == 0, self.text("ipi.log")
        for host in SERVERS:
            if host != LOST:
                assert self.servers[host].wait(PATIENCE) == 0, self.text(f"server_{host}.log")
        assert TAKEN_BACK in self.text("ipi.log")
        reached = trajectory(self.folder)
        assert reached.keys() == expected.keys()
        assert len(reached["out.energy"]) == self.steps + 1
        for name, numbers in reached.items():
            rows = len(numbers)
            np.testing.assert_allclose(numbers, expected[name][:rows], rtol=1e-9, atol=1e-12, err_msg=name)


def program(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def environment(seconds: float, mark: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(HELPERS), "SPRINGS_SECONDS": str(seconds), "EVALUATION_MARK": mark}


def write_input(folder: Path, batch_size: str = "", **values: object) -> None:
    ase.io.write(folder / "start.extxyz", water(), format="extxyz")
    (folder / "input.xml").write_text(INPUT.format(timeout=TIMEOUT, batch_size=batch_size, **values).strip())


def wait_until(reached, run: Run) -> None:
    deadline = time.monotonic() + PATIENCE
    while not reached():
        assert time.monotonic() < deadline, {path.name: path.read_text()[-2000:] for path in run.folder.glob("*.log")}
        time.sleep(0.005)


def trajectory(folder: Path) -> dict[str, np.ndarray]:
    """Numbers of all of i-PI's files, a row per step and, for the structures, per atom."""
    numbers = {"out.energy": np.loadtxt(folder / "out.energy")}
    for path in sorted(folder.glob("out.moments_*")):
        numbers[path.name] = np.loadtxt(path)
    for path in sorted(folder.glob("out.positions_*")):
        rows = [line.split()[1:] for line in path.read_text().splitlines() if re.match(r" *[HO] ", line)]
        numbers[path.name] = np.array(rows, float)
    assert len(numbers) == 17
    return numbers


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """What one server gives that nothing happens to; longer than any of the runs."""
    folder = tmp_path_factory.mktemp("undisturbed")
    address = f"beadwise-hosts-{os.getpid()}"
    write_input(folder, steps=60, mode="unix", address=address, port=PORT)
    calm = {**os.environ, "PYTHONPATH": str(HELPERS)}
    server = [sys.executable, "-m", "beadwise.driver", "serve", "springs:springs", "--structure", "start.extxyz"]
    serving = subprocess.Popen([*server, "--want", "dipole", "--unix", address], cwd=folder, env=calm)
    try:
        with (folder / "ipi.log").open("w") as log:
            command = [program("i-pi"), "input.xml"]
            subprocess.run(command, cwd=folder, stdout=log, stderr=log, timeout=PATIENCE, check=True)
        assert serving.wait(PATIENCE) == 0
    finally:
        serving.kill()
        serving.wait()
        Path(f"/tmp/ipi_{address}").unlink(missing_ok=True)
    return trajectory(folder)


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Start a run on hosts of its own."""
    clusters = []

    def start_run(steps: int, batch_size: str = "", wait: float = 60.0) -> Run:
        try:
            clusters.append(Hosts(4))
        except NoNamespacesError as reason:
            pytest.skip(str(reason))
        return Run(clusters[-1], tmp_path_factory.mktemp("run"), steps, batch_size, wait)

    yield start_run
    for hosts in clusters:
        hosts.close()


@pytest.fixture(scope="module")
def cut_off(start):
    """Runs of which one host has been cut off for good, without and with batches."""
    runs = []
    for batch_size in ("", "<batch_size>3</batch_size>"):
        runs.append(start(12, batch_size, wait=5.0))
        runs[-1].cut_while_computing()  # at once, or a run that is not looked at may end before
    return runs


@pytest.mark.parametrize("batched", [False, True])
def test_the_run_goes_on_and_ends_right(cut_off, expected, batched):
    run = cut_off[batched]
    run.assert_right(expected)


def test_a_host_comes_back(start, expected):
    """It connects again and gets work, whether it hears first that i-PI took the request back or that it hung up."""
    run = start(50)
    run.cut_while_computing()
    wait_until(lambda: TAKEN_BACK in run.text("ipi.log"), run)
    run.hosts.mend(LOST)
    run.wait_for_evaluation(LOST)
    assert run.ipi.poll() is None
    run.assert_right(expected)
    assert run.servers[LOST].wait(PATIENCE) == 0, run.text(f"server_{LOST}.log")


def test_what_was_cut_off_ends_by_itself(cut_off):
    """Its system notices that nothing comes back any more, and it looks for i-PI once more before it gives up."""
    for run in cut_off:
        assert run.servers[LOST].wait(PATIENCE) == 2
        log = run.text(f"server_{LOST}.log")
        assert "Traceback" not in log
        assert re.fullmatch(r"Error: .*10\.0\.0\.1:31415.* within 5 s.*", log.splitlines()[-1])
