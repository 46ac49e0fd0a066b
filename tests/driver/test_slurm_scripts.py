"""The job scripts for Slurm, with stand-ins for Slurm's own commands and, for the one with TCP, the real i-PI."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import ase.io
import numpy as np
import pytest
from places import HELPERS, INPUTS
from toy import water

PATIENCE = 60.0
TASKS = 2
INPUT = """
<simulation verbosity='low' floatformat='%.17e'>
  <output prefix='out'><properties filename='energy' stride='1'> [step, potential, conserved] </properties></output>
  <total_steps> {steps} </total_steps>
  <prng><seed>3</seed></prng>
  {forcefield}
  <system>
    <initialize nbeads='4'>
      <file mode='ase'>start.extxyz</file><velocities mode='thermal' units='kelvin'>300</velocities>
    </initialize>
    <forces><force forcefield='springs'/></forces>
    <motion mode='dynamics'><dynamics mode='nve'><timestep units='femtosecond'>0.1</timestep></dynamics></motion>
    <ensemble><temperature units='kelvin'>300</temperature></ensemble>
  </system>
</simulation>
"""
SOCKET = """<ffsocket name="springs" mode="unix" pbc='false'>
    <address>
      elsewhere </address> <latency>1e-3</latency> <timeout> 0 </timeout>
  </ffsocket>"""
MPI = "<ffmpi mode='mpi' name='springs'></ffmpi>"
STAND_INS = {
    "scontrol": """
        if [ "$1" = requeue ]; then echo "$2" >>requeued; else for node in 1 2 3; do echo localhost; done; fi
    """,
    # starts the command as many times as there are tasks, and ends as srun does: with the highest status
    "srun": """
        echo "$*" >>srun.arguments
        while case "$1" in --*) true ;; *) false ;; esac; do
          case "$1" in --multi-prog) cp "$2" tasks; exec sleep 0.$((SLURM_NTASKS)) ;; esac
          shift
        done
        pids=""
        for task in $(seq "$SLURM_NTASKS"); do "$@" >>server_$task.log 2>&1 & pids="$pids $!"; done
        trap 'kill $pids' TERM
        status=0
        for pid in $pids; do wait "$pid" || status=$?; done
        exit $status
    """,
    "beadwise": f'exec "{sys.executable}" -m beadwise.driver "$@"',
    "i-pi": f'exec "{Path(sys.executable).with_name("i-pi")}" "$@"',
}


class Job:
    """A folder with an input, in which a job script is run as Slurm would."""

    def __init__(self, folder: Path, number: int):
        self.folder = folder
        self.commands = folder / "bin"
        self.commands.mkdir()
        for name, text in STAND_INS.items():
            self.stand_in(name, text)
        ase.io.write(folder / "start.extxyz", water(), format="extxyz")
        self.environment = {
            **os.environ,
            "PATH": f"{self.commands}:{os.environ['PATH']}",
            "PYTHONPATH": str(HELPERS),
            "SLURM_JOB_ID": str(number),
            "SLURM_JOB_NODELIST": "node[1-3]",
            "SLURM_NTASKS": str(TASKS),
            "SLURM_CPUS_PER_TASK": "1",
            "MODEL": "springs:slow",
            "PATIENCE": "5",
        }
        self.running: list[subprocess.Popen] = []

    def stand_in(self, name: str, text: str) -> None:
        path = self.commands / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def write_input(self, steps: int, forcefield: str = SOCKET) -> None:
        (self.folder / "input.xml").write_text(INPUT.format(steps=steps, forcefield=forcefield).strip())

    def start(self, script: str, **settings: str) -> subprocess.Popen[str]:
        self.running.append(
            subprocess.Popen(
                [INPUTS / script],
                cwd=self.folder,
                env={**self.environment, **settings},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        )
        return self.running[-1]

    def run(self, script: str, **settings: str) -> tuple[int, str]:
        job = self.start(script, **settings)
        output, _ = job.communicate(timeout=PATIENCE)
        return job.returncode, output

    def text(self, name: str) -> str:
        path = self.folder / name
        return path.read_text() if path.exists() else ""

    def logs(self) -> str:
        return "\n".join(f"{path.name}: {path.read_text()[-1500:]}" for path in sorted(self.folder.glob("*.log")))

    def wait_until(self, reached) -> None:
        deadline = time.monotonic() + PATIENCE
        while not reached():
            assert time.monotonic() < deadline, self.logs()
            time.sleep(0.02)

    def steps(self) -> list[int]:
        return [int(float(step)) for step in re.findall(r"^ +(\S+)", self.text("out.energy"), re.MULTILINE)]

    def kill_all(self) -> None:
        for job in self.running:
            try:
                os.killpg(job.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            job.communicate()


@pytest.fixture
def job(tmp_path):
    job = Job(tmp_path, number=time.monotonic_ns() // 1000)
    yield job
    job.kill_all()


@pytest.mark.parametrize("script", ["slurm_tcp.sh", "slurm_mpi.sh"])
def test_the_script_is_sound(script):
    path = INPUTS / script
    assert os.access(path, os.X_OK)
    checker = ["shellcheck"] if shutil.which("shellcheck") else ["bash", "-n"]
    checked = subprocess.run([*checker, path], capture_output=True, text=True, timeout=PATIENCE)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_tcp_to_the_end(job):
    job.write_input(steps=6)
    status, output = job.run("slurm_tcp.sh", WANT="dipole")
    assert status == 0, output + job.logs()
    assert job.steps() == list(range(7))
    for task in range(1, TASKS + 1):
        assert "dipole to i-PI at localhost:2" in job.text(f"server_{task}.log")
        assert "Error" not in job.text(f"server_{task}.log")
    assert "--no-kill --wait=0 --kill-on-bad-exit=0 --cpus-per-task=1 beadwise serve" in job.text("srun.arguments")
    assert "--threads 1" in job.text("srun.arguments")
    assert not list(job.folder.glob("beadwise-*")) and not job.text("requeued")


def test_tcp_stopped_by_the_time_limit_and_submitted_again(job):
    """The continued run is the run without interruption."""
    job.write_input(steps=150)  # many more than i-PI makes in the second that it takes to notice the signal
    script = job.start("slurm_tcp.sh", AGAIN="yes", SPRINGS_SECONDS="0.05")
    job.wait_until(lambda: len(job.steps()) > 4)
    os.kill(script.pid, signal.SIGTERM)  # to the script alone, as --signal=B:TERM does
    output, _ = script.communicate(timeout=PATIENCE)
    assert script.returncode == 0, output + job.logs()
    assert "<step>" in job.text("RESTART"), job.logs()
    assert job.text("requeued") == job.environment["SLURM_JOB_ID"] + "\n"
    assert len(job.steps()) < 151

    status, output = job.run("slurm_tcp.sh", AGAIN="yes", SPRINGS_SECONDS="0")
    assert status == 0, output + job.logs()
    assert job.text("requeued").count("\n") == 1  # it ended by itself
    continued = np.loadtxt(job.folder / "out.energy")

    for path in (job.folder / "RESTART", job.folder / "out.energy"):
        path.unlink()
    status, output = job.run("slurm_tcp.sh", SPRINGS_SECONDS="0")
    assert status == 0, output + job.logs()
    whole = np.loadtxt(job.folder / "out.energy")
    assert sorted(set(continued[:, 0])) == sorted(whole[:, 0]) == list(range(151))
    np.testing.assert_allclose(continued, whole[continued[:, 0].astype(int)], rtol=1e-9, atol=1e-12)


def test_tcp_stopped_by_a_signal_to_all_processes(job):
    """As by scancel: i-PI gets a second one from the script, and writes RESTART all the same."""
    job.write_input(steps=2000)
    script = job.start("slurm_tcp.sh", SPRINGS_SECONDS="0.02")
    job.wait_until(lambda: len(job.steps()) > 4)
    os.killpg(script.pid, signal.SIGTERM)
    script.communicate(timeout=PATIENCE)
    assert int(re.search(r"<step>\s*(\d+)", job.text("RESTART"))[1]) > 3, job.logs()


def test_tcp_goes_on_from_a_newer_checkpoint(job):
    job.write_input(steps=3)
    shutil.copy(job.folder / "input.xml", job.folder / "out.chk")
    (job.folder / "input.xml").write_text("<simulation/>")
    status, output = job.run("slurm_tcp.sh", CHECKPOINT="out.chk")
    assert status == 0, output + job.logs()
    assert job.steps() == list(range(4))


def test_tcp_without_servers_ends(job):
    """i-PI alone would wait for ever, and the job with it."""
    job.write_input(steps=1000)
    status, output = job.run("slurm_tcp.sh", MODEL="springs:failing_late", PATIENCE="2")
    assert "not all servers ended well" in output
    assert "atoms 3 and 7" in job.text("server_1.log")
    assert "<ffsocket" in job.text("RESTART"), job.logs()
    assert status == 1


def test_tcp_when_ipi_fails(job):
    job.write_input(steps=3)
    path = job.folder / "input.xml"
    path.write_text(path.read_text().replace("start.extxyz", "nowhere.extxyz"))
    status, output = job.run("slurm_tcp.sh", PATIENCE="30")
    assert status not in (0, 2), output
    assert "nowhere.extxyz" in job.text("i-pi.log")


def test_input_without_the_right_forcefield(job):
    job.write_input(steps=3, forcefield=SOCKET + SOCKET)
    assert job.run("slurm_tcp.sh") == (2, "Error: input.xml has 2 <ffsocket>; exactly one is needed\n")
    status, output = job.run("slurm_mpi.sh")
    assert status == 2
    assert output == "Error: input.xml has no <ffmpi>; one is needed, or slurm_tcp.sh for an <ffsocket>\n"
    job.write_input(steps=3, forcefield=MPI)
    status, output = job.run("slurm_mpi.sh", SLURM_NTASKS="1")
    assert (status, output) == (
        2,
        "Error: --ntasks is 1; i-PI and at least one server are needed, so at least 2\n",
    )


def test_mpi_by_srun(job):
    job.write_input(steps=3, forcefield=MPI)
    status, output = job.run("slurm_mpi.sh", SLURM_NTASKS="3", SLURM_CPUS_PER_TASK="4", MODEL="water")
    assert status == 0, output
    first, second = job.text("tasks").splitlines()
    assert first == "0 beadwise ipi input.xml"
    assert second == ("1-2 beadwise serve water --mpi --structure input.xml --want energy,forces,virial --threads 4")
    assert "--mpi=pmix --ntasks=3 --cpus-per-task=4 --kill-on-bad-exit=1 --multi-prog" in job.text("srun.arguments")
    assert not list(job.folder.glob("beadwise-*"))


def test_mpi_stopped_by_the_time_limit_and_submitted_again(job):
    """By the file that i-PI looks for."""
    job.write_input(steps=3, forcefield=MPI)
    job.stand_in(
        "mpiexec", 'echo "$*" >>mpiexec.arguments; until [ -e EXIT ]; do sleep 0.05; done; cp input.xml RESTART'
    )
    script = job.start("slurm_mpi.sh", LAUNCHER="mpiexec", AGAIN="yes", MODEL="water")
    job.wait_until(lambda: job.text("mpiexec.arguments"))
    os.kill(script.pid, signal.SIGTERM)
    output, _ = script.communicate(timeout=PATIENCE)
    assert script.returncode == 0, output
    assert not (job.folder / "EXIT").exists()
    assert job.text("requeued") == job.environment["SLURM_JOB_ID"] + "\n"

    job.stand_in("mpiexec", 'echo "$*" >>mpiexec.arguments; exit 3')
    (job.folder / "EXIT").touch()  # left behind, it would stop i-PI at once
    assert job.run("slurm_mpi.sh", LAUNCHER="mpiexec", AGAIN="yes", MODEL="water") == (3, "")
    assert not (job.folder / "EXIT").exists()
    serve = "-n 1 beadwise serve water --mpi --structure {} --want energy,forces,virial --threads 1"
    for line, name in zip(job.text("mpiexec.arguments").splitlines(), ("input.xml", "RESTART"), strict=True):
        assert line == f"-n 1 beadwise ipi {name} : {serve.format(name)}"


@pytest.fixture
def mpi_job(job):
    """With a real MPI and the real i-PI, in place of the stand-ins."""
    pytest.importorskip("mpi4py", reason="MPI is not installed: pip install 'beadwise[mpi]' and an MPI such as mpich")
    scripts = Path(sys.executable).parent
    path = f"{scripts}{os.pathsep}{os.environ['PATH']}"
    if shutil.which("mpiexec", path=path) is None:
        pytest.skip("no mpiexec on the search path: pip install mpich")
    job.environment |= {"PATH": f"{job.commands}{os.pathsep}{path}", "LAUNCHER": "mpiexec", "SPRINGS_SECONDS": "0"}
    return job


def test_mpi_to_the_end(mpi_job):
    """The same run as over TCP."""
    mpi_job.write_input(steps=4, forcefield=MPI)
    status, output = mpi_job.run("slurm_mpi.sh", SLURM_NTASKS="3")
    assert status == 0, output
    assert output.count("springs:slow serves energy, forces, virial to i-PI") == 1
    over_mpi = np.loadtxt(mpi_job.folder / "out.energy")
    assert mpi_job.steps() == list(range(5))

    for path in (mpi_job.folder / "RESTART", mpi_job.folder / "out.energy"):
        path.unlink()
    mpi_job.stand_in("i-pi", STAND_INS["i-pi"])
    mpi_job.write_input(steps=4)
    status, output = mpi_job.run("slurm_tcp.sh")
    assert status == 0, output + mpi_job.logs()
    np.testing.assert_allclose(over_mpi, np.loadtxt(mpi_job.folder / "out.energy"), rtol=1e-9, atol=1e-12)


def test_mpi_stopped_by_the_file_that_ipi_looks_for(mpi_job):
    """i-PI writes RESTART, the servers end with it, and the job goes on when it is submitted again."""
    mpi_job.write_input(steps=100000, forcefield=MPI)
    script = mpi_job.start("slurm_mpi.sh", AGAIN="yes", SPRINGS_SECONDS="0.02")
    mpi_job.wait_until(lambda: len(mpi_job.steps()) > 3)
    os.kill(script.pid, signal.SIGTERM)
    output, _ = script.communicate(timeout=PATIENCE)
    assert script.returncode == 0, output
    assert not (mpi_job.folder / "EXIT").exists()
    assert mpi_job.text("requeued") == mpi_job.environment["SLURM_JOB_ID"] + "\n"

    restart = mpi_job.text("RESTART")
    reached = int(re.search(r"<step>\s*(\d+)", restart)[1])
    assert 3 <= reached < 100000
    (mpi_job.folder / "RESTART").write_text(restart.replace("100000", str(reached + 3)))
    status, output = mpi_job.run("slurm_mpi.sh", AGAIN="yes")
    assert status == 0, output
    assert mpi_job.steps()[-1] == reached + 3
    assert mpi_job.text("requeued").count("\n") == 1  # it ended by itself


@pytest.mark.parametrize(
    ("right", "wrong", "reason"),
    [
        ("<force ", "<force nbeads='many' ", "'many'"),  # before i-PI has started MPI
        ("stride='1'> [", "stride='1'> [ temper, ", "temper"),  # when it has
    ],
)
def test_mpi_when_ipi_fails(mpi_job, right, wrong, reason):
    """The servers, which wait for i-PI, end as well."""
    mpi_job.write_input(steps=3, forcefield=MPI)
    path = mpi_job.folder / "input.xml"
    path.write_text(path.read_text().replace(right, wrong))
    status, output = mpi_job.run("slurm_mpi.sh", SLURM_NTASKS="3")
    assert status not in (0, 2), output
    assert reason in output
