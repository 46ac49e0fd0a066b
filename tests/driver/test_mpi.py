"""Ranks that share an evaluation, and i-PI's ffmpi, with a real MPI."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from ase.io import write
from places import HELPERS
from toy import water

pytest.importorskip("mpi4py", reason="MPI is not installed: pip install 'beadwise[mpi]' and an MPI such as mpich")
BIN = Path(sys.executable).parent
MPIEXEC = shutil.which("mpiexec", path=f"{BIN}{os.pathsep}{os.environ['PATH']}")
if MPIEXEC is None:
    pytest.skip("no mpiexec on the search path: pip install mpich", allow_module_level=True)
PATIENCE = 100
IPI = [sys.executable, "-m", "beadwise.driver", "ipi", "input.xml"]
SERVE = [sys.executable, "-m", "beadwise.driver", "serve"]
INPUT = """
<simulation verbosity='low' floatformat='%.17e'>
  <output prefix='out'>
    <properties filename='energy' stride='1'> [ step, potential, conserved, virial_cv ] </properties>
    <trajectory filename='extras' stride='1' extra_type='dipole,polarizability'> extras </trajectory>
  </output>
  <total_steps>{steps}</total_steps>
  <prng><seed>7</seed></prng>
  {forcefields}
  <system>
    <initialize nbeads='6'>
      <file mode='ase'>start.xyz</file><velocities mode='thermal' units='kelvin'>300</velocities>
    </initialize>
    <forces> {forces} </forces>
    <motion mode='dynamics'><dynamics mode='nve'><timestep units='femtosecond'>0.1</timestep></dynamics></motion>
    <ensemble><temperature units='kelvin'>300</temperature></ensemble>
  </system>
</simulation>
"""
SOCKET = "<ffsocket mode='unix' name='one'><address>{address}</address><latency>1e-3</latency></ffsocket>"
MPI = "<ffmpi mode='mpi' name='{name}'><batch_size>{batch}</batch_size></ffmpi>"


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(HELPERS), "OMP_NUM_THREADS": "1"}


def mpiexec(*programs: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run programs, each after the number of its ranks, as one job."""
    words = [MPIEXEC, *[word for program in programs for word in (":", "-n", *program)][1:]]
    return subprocess.run(words, cwd=folder, env=environment(), capture_output=True, text=True, timeout=PATIENCE)


def run_ipi(folder: Path, forcefields: str, forces: str, *servers: list[str], steps: int = 5):
    """i-PI and servers as one job; the arguments of a server follow the number of its ranks."""
    write(folder / "start.xyz", water())
    (folder / "input.xml").write_text(INPUT.format(forcefields=forcefields, forces=forces, steps=steps))
    programs = [[number, *SERVE, *arguments, "--mpi", "--structure", "start.xyz"] for number, *arguments in servers]
    return mpiexec(["1", *IPI], *programs, folder=folder)


def results(folder: Path) -> np.ndarray:
    """Everything that i-PI wrote, in one row."""
    files = [folder / "out.energy", *sorted(folder.glob("out.extras_*"))]
    assert len(files) == 7
    return np.concatenate([np.loadtxt(file).ravel() for file in files])


@pytest.mark.parametrize(("ranks", "size"), [(1, 1), (2, 2), (3, 3), (4, 2)])
def test_ranks_together(ranks, size, tmp_path, liquid):
    write(tmp_path / "water.xyz", liquid, format="extxyz")
    done = mpiexec(
        [str(ranks), sys.executable, str(HELPERS / "mpi_together.py"), "water.xyz", str(size)], folder=tmp_path
    )
    assert done.returncode == 0, done.stderr
    groups = json.loads(done.stdout)
    assert len(groups) == ranks // size
    for found in groups:
        assert (found["ranks"], found["group"]) == (ranks, size)
        for evaluator in ("model", "qtip4pf", "springs"):
            assert max(found[evaluator].values()) < 1e-12, found[evaluator]
        assert set(found["model"]) >= {"forces", "virial", "born_charges", "molecular_dipole", "polarizability"}
        assert "too close" in found["refusal"] or "0.017 Å apart" in found["refusal"]
        assert found["refusal again"] == found["refusal"]


@pytest.fixture(scope="module")
def over_a_socket(tmp_path_factory) -> np.ndarray:
    folder = tmp_path_factory.mktemp("socket")
    address = f"beadwise-mpi-{os.getpid()}"
    write(folder / "start.xyz", water())
    text = INPUT.format(forcefields=SOCKET.format(address=address), forces="<force forcefield='one'/>", steps=5)
    (folder / "input.xml").write_text(text)
    serve = [
        *SERVE,
        "springs:springs",
        "--unix",
        address,
        "--structure",
        "start.xyz",
        "--want",
        "dipole,polarizability",
    ]
    with subprocess.Popen(serve, cwd=folder, env=environment()):
        subprocess.run(IPI, cwd=folder, check=True, timeout=PATIENCE, capture_output=True)
    return results(folder)


@pytest.mark.parametrize(("ranks", "size", "batch"), [(1, 1, 1), (2, 1, 4), (2, 2, 6), (3, 2, 2)])
def test_ffmpi(ranks, size, batch, tmp_path, over_a_socket):
    server = [str(ranks), "springs:springs", "--want", "dipole,polarizability", "--group-size", str(size)]
    done = run_ipi(tmp_path, MPI.format(name="one", batch=batch), "<force forcefield='one'/>", server)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("springs:springs serves energy, forces, virial, dipole, polarizability to i-PI") == 1
    np.testing.assert_allclose(results(tmp_path), over_a_socket, rtol=1e-9, atol=1e-12)


def test_two_forcefields(tmp_path, over_a_socket):
    """Half of the forces from each of two force fields, whose servers are in one job."""
    forcefields = MPI.format(name="one", batch=2) + MPI.format(name="other", batch=3)
    forces = "<force forcefield='one' weight='0.5'/><force forcefield='other' weight='0.5'/>"
    arguments = ["springs:springs", "--want", "dipole,polarizability"]
    done = run_ipi(
        tmp_path,
        forcefields,
        forces,
        ["2", *arguments, "--mpi-name", "one", "--group-size", "2"],
        ["1", *arguments, "--mpi-name", "other"],
    )
    assert done.returncode == 0, done.stdout + done.stderr
    energies = slice(0, 6 * 9)
    np.testing.assert_allclose(results(tmp_path)[energies], over_a_socket[energies], rtol=1e-9, atol=1e-12)


def test_structure_that_cannot_be_answered(tmp_path):
    server = ["1", "springs:failing_late", "--want", "dipole,polarizability"]
    done = run_ipi(tmp_path, MPI.format(name="one", batch=6), "<force forcefield='one'/>", server, steps=1000)
    assert done.returncode != 0
    assert done.stderr.count("Error: atoms 3 and 7 are 0.100 Å apart") == 1
    assert "Traceback" not in done.stderr
    assert (tmp_path / "RESTART").exists()  # i-PI was stopped softly
    assert not (tmp_path / "EXIT").exists()


def test_ipi_that_fails(tmp_path):
    """i-PI asks for extras that are not served: it ends with an exception, and the job must not hang."""
    done = run_ipi(tmp_path, MPI.format(name="one", batch=6), "<force forcefield='one'/>", ["2", "springs:springs"])
    assert done.returncode != 0
    assert "Extra type 'dipole' is not among" in done.stderr


@pytest.mark.parametrize("to_launcher", [True, False])
def test_signal_to_the_job(to_launcher, tmp_path):
    """By the launcher, or to every process as batch systems do: i-PI writes its RESTART before the ranks end."""
    write(tmp_path / "start.xyz", water())
    text = INPUT.format(forcefields=MPI.format(name="one", batch=6), forces="<force forcefield='one'/>", steps=1000000)
    (tmp_path / "input.xml").write_text(text)
    serve = [*SERVE, "springs:springs", "--want", "dipole,polarizability", "--mpi", "--structure", "start.xyz"]
    command = [MPIEXEC, "-n", "1", *IPI, ":", "-n", "2", *serve, "--group-size", "2"]
    marked = {**environment(), "BEADWISE_MARK": str(tmp_path)}
    with subprocess.Popen(command, cwd=tmp_path, env=marked, stdout=subprocess.DEVNULL) as job:
        energies = tmp_path / "out.energy"
        deadline = time.monotonic() + PATIENCE
        while not (energies.exists() and energies.read_text().count("\n") > 8) and time.monotonic() < deadline:
            time.sleep(0.05)
        for number in [job.pid] if to_launcher else marked_processes(str(tmp_path)):
            os.kill(number, signal.SIGTERM)
        job.wait(PATIENCE)
    assert re.search(r"<step>\s*[1-9]", (tmp_path / "RESTART").read_text())
    assert not (tmp_path / "EXIT").exists()
    assert not marked_processes(str(tmp_path))


def marked_processes(mark: str) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"BEADWISE_MARK={mark}".encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (("nbeads='6'", "nbeads='many'"), "many"),
        (("<simulation", "<simulations"), "mismatched tag"),
        (("<total_steps>", "<steps>"), "mismatched tag"),
    ],
)
def test_input_that_is_refused(spoil, message, tmp_path):
    write(tmp_path / "start.xyz", water())
    text = INPUT.format(forcefields=MPI.format(name="one", batch=1), forces="<force forcefield='one'/>", steps=5)
    (tmp_path / "input.xml").write_text(text.replace(*spoil))
    serve = [*SERVE, "springs:springs", "--mpi", "--structure", "start.xyz"]
    done = mpiexec(["1", *IPI], ["2", *serve], folder=tmp_path)
    assert done.returncode != 0
    assert message in done.stderr


def test_model_that_does_not_exist(tmp_path):
    done = run_ipi(tmp_path, MPI.format(name="one", batch=1), "<force forcefield='one'/>", ["2", "nothing"])
    assert done.returncode == 2
    assert "Error: no model 'nothing'" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_ipi(tmp_path):
    done = mpiexec(["2", *SERVE, "springs:springs", "--mpi"], folder=tmp_path)
    assert done.returncode == 2
    assert "Error: rank 0 of the job must be i-PI: `mpiexec -n 1 beadwise ipi" in done.stderr


def test_group_behind_a_socket(tmp_path, over_a_socket):
    address = f"beadwise-group-{os.getpid()}"
    write(tmp_path / "start.xyz", water())
    text = INPUT.format(forcefields=SOCKET.format(address=address), forces="<force forcefield='one'/>", steps=5)
    (tmp_path / "input.xml").write_text(text)
    with subprocess.Popen(IPI, cwd=tmp_path, stdout=subprocess.DEVNULL) as ipi:
        serve = [*SERVE, "springs:springs", "--unix", address, "--structure", "start.xyz", "--group-size", "2"]
        done = mpiexec(["4", *serve, "--want", "dipole,polarizability"], folder=tmp_path)
        assert done.returncode == 0, done.stderr
        assert ipi.wait(PATIENCE) == 0
    assert done.stdout.count("serves") == 2  # two groups, each a server of its own
    np.testing.assert_allclose(results(tmp_path), over_a_socket, rtol=1e-9, atol=1e-12)


LATE_ANSWER = """
from types import SimpleNamespace
from mpi4py import MPI
from beadwise.driver.doors.mpi_rank_of_ipi import _receive_last_answers
ranks = MPI.COMM_WORLD
sent = [ranks.Isend(bytes(40), dest=0, tag=tag) for tag in (4, 5)]  # RESULT and EXTRA
_receive_last_answers([SimpleNamespace(comm=ranks, _ranks={0: {"rank": 0, "state": "BUSY"}})])
MPI.Request.Waitall(sent)
MPI.Finalize()
"""


def test_answers_that_ipi_does_not_wait_for_any_more():
    """MPICH ends with an error where a message was never received."""
    done = subprocess.run([sys.executable, "-c", LATE_ANSWER], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
