"""The driver with the real i-PI, and with ASE's socket server in its place."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from ase import units as ase_units
from ase.calculators.socketio import SocketIOCalculator
from ase.io import write
from beadwise.driver.doors.protocol import ProtocolError
from beadwise.driver.doors.sockets import serve
from beadwise.driver.doors.transport import tcp_socket, unix_socket
from beadwise.model import Batch, StructureError
from beadwise.runs.units import BOHR_PER_ANGSTROM, HARTREE_PER_ELECTRONVOLT
from fake_ipi import PATIENCE, SPECIES, FakeIpi, direct, in_background
from toy import KNOWN, Toy, water


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


@pytest.fixture
def address(request):
    """Transport, i-PI's lines and ASE's arguments for a fresh unix or TCP address."""
    if request.param != "tcp":
        name = f"beadwise_{os.getpid()}_{time.monotonic_ns() % 10**9}"
        yield unix_socket(name), f"<address>{name}</address>", {"unixsocket": name}
        Path(f"/tmp/ipi_{name}").unlink(missing_ok=True)
    else:
        port = free_port()
        yield tcp_socket("localhost", port), f"<address>localhost</address><port>{port}</port>", {"port": port}


def test_waits_for_ipi_to_come_up():
    port = free_port()
    server = in_background(serve, Toy(), tcp_socket("localhost", port), SPECIES, wait=20.0)
    time.sleep(0.5)
    with socket.create_server(("localhost", port)) as listener:
        ipi = FakeIpi(listener.accept()[0])
        ipi.initialize()
        ipi.exit()
    assert server.result(PATIENCE) is None


@pytest.mark.parametrize("address", ["unix", "tcp"], indirect=True)
def test_ase_as_the_server(address):
    transport, _, arguments = address
    atoms = water()
    server = in_background(serve, Toy(), transport, SPECIES, KNOWN, wait=20.0)
    # ASE's and i-PI's constants differ in the eighth digit: scale the structure and the answer accordingly
    length = BOHR_PER_ANGSTROM * ase_units.Bohr
    energy = HARTREE_PER_ELECTRONVOLT * ase_units.Hartree
    with SocketIOCalculator(timeout=PATIENCE, **arguments) as calculator:
        atoms.calc = calculator
        for _ in range(3):
            atoms.positions += np.random.default_rng(5).normal(0, 0.02, (6, 3))
            seen = atoms.copy()
            seen.set_cell(atoms.cell / length)
            seen.positions = atoms.positions / length
            expected = Toy().evaluate(Batch.from_ase(seen), KNOWN)
            volume = atoms.get_volume()
            virial = -atoms.get_stress(voigt=False) * volume
            close = {"rtol": 1e-9, "atol": 1e-13}
            np.testing.assert_allclose(atoms.get_potential_energy(), expected.energy[0] * energy, **close)
            np.testing.assert_allclose(atoms.get_forces(), expected.forces[0] * energy / length, **close)
            np.testing.assert_allclose(virial, expected.virial[0] * energy, **close)
        calculator.server.protocol.end()  # ASE itself closes without EXIT
    assert server.result(PATIENCE) is None


INPUT = """
<simulation verbosity='low' floatformat='%.17e'>
  <output prefix='out'>
    <properties filename='energy' stride='1'>
      [step, potential{{electronvolt}}, conserved{{electronvolt}}, virial_cv]
    </properties>
    <trajectory filename='extras' stride='1' extra_type='dipole,polarizability'> extras </trajectory>
  </output>
  <total_steps>{steps}</total_steps>
  <prng><seed>7</seed></prng>
  <ffsocket mode='{mode}' name='toy' pbc='false'>
    {address}<latency>1e-3</latency>{options}<parameters>{{structure: start.xyz}}</parameters>
  </ffsocket>
  <system>
    <initialize nbeads='4'>
      <file mode='ase'>start.xyz</file><velocities mode='thermal' units='kelvin'>300</velocities>
    </initialize>
    <forces><force forcefield='toy'/></forces>
    <motion mode='dynamics'><dynamics mode='nve'><timestep units='femtosecond'>0.1</timestep></dynamics></motion>
    <ensemble><temperature units='kelvin'>300</temperature></ensemble>
  </system>
</simulation>
"""


@pytest.fixture
def start_ipi(tmp_path):
    """Start i-PI in the test's folder; whatever still runs at the end of the test is killed."""
    running = []

    def start(lines: str, options: str = "", steps: int = 5, mode: str | None = None) -> subprocess.Popen:
        write(tmp_path / "start.xyz", water())
        mode = mode or ("inet" if "<port>" in lines else "unix")
        (tmp_path / "input.xml").write_text(INPUT.format(mode=mode, address=lines, options=options, steps=steps))
        command = [str(Path(sys.executable).with_name("i-pi")), "input.xml"]
        with (tmp_path / "ipi.log").open("a") as log:
            running.append(subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=subprocess.STDOUT))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.wait()


def last_extras(folder: Path) -> np.ndarray:
    """Dipole and polarizability of each bead at the last step, shape (beads, 12)."""
    return np.array([np.loadtxt(path)[-1] for path in sorted(folder.glob("out.extras_*"))])


def last_structures(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Cells and positions of the beads that i-PI left in its restart file, in bohr."""
    restart = (folder / "RESTART").read_text()
    arrays = {}
    for tag in ("q", "cell"):
        shape, numbers = re.search(rf"<{tag} shape='\(([\d, ]+)\)'>\s*\[([^\]]*)\]", restart).groups()
        arrays[tag] = np.array(numbers.split(","), float).reshape([int(size) for size in shape.split(",")])
    beads = len(arrays["q"])
    return np.repeat(arrays["cell"].reshape(1, 3, 3).transpose(0, 2, 1), beads, 0), arrays["q"].reshape(beads, -1, 3)


@pytest.mark.parametrize(
    ("address", "options"),
    [
        ("unix", "<batch_size>3</batch_size>"),
        ("tcp", "<batch_size>4</batch_size><consolidate_messages>True</consolidate_messages>"),
        ("tcp", ""),
        ("unix", "<consolidate_messages>False</consolidate_messages>"),
        ("shm", ""),
        ("shm", "<batch_size>1</batch_size><consolidate_messages>False</consolidate_messages>"),
        ("shm", "<batch_size>3</batch_size>"),
        ("shm", "<batch_size>16</batch_size>"),
    ],
    indirect=["address"],
)
def test_real_ipi(address, options, start_ipi, tmp_path, monkeypatch, request):
    monkeypatch.chdir(tmp_path)
    transport, lines, _ = address
    shared = request.node.callspec.params["address"] == "shm"
    ipi = start_ipi(lines, options, mode="shm" if shared else None)
    want = ("dipole", "polarizability")
    server = in_background(serve, Toy(), transport, None, want, wait=30.0, shared_memory=shared)
    assert server.result(PATIENCE) is None
    assert ipi.wait(PATIENCE) == 0, (tmp_path / "ipi.log").read_text()

    expected = direct(*last_structures(tmp_path))
    extras = last_extras(tmp_path)
    assert extras.shape == (4, 12)
    np.testing.assert_allclose(extras[:, :3] / BOHR_PER_ANGSTROM, expected.dipole, rtol=1e-9, atol=1e-12)
    polarizability = extras[:, 3:].reshape(4, 3, 3) / BOHR_PER_ANGSTROM**3
    np.testing.assert_allclose(polarizability, expected.polarizability, rtol=1e-9, atol=1e-12)

    steps, potential, conserved, *virial = np.loadtxt(tmp_path / "out.energy").T
    assert len(steps) == 6
    assert potential[-1] == pytest.approx(expected.energy.mean(), rel=1e-9)
    volume = np.linalg.det(last_structures(tmp_path)[0][0])
    virials = expected.virial.mean(0)[(0, 1, 2, 0, 0, 1), (0, 1, 2, 1, 2, 2)] * HARTREE_PER_ELECTRONVOLT / volume
    np.testing.assert_allclose([component[-1] for component in virial], virials, rtol=1e-9, atol=1e-15)
    assert np.ptp(conserved) < 1e-2 * np.ptp(potential)


@pytest.mark.parametrize("address", ["unix", "tcp"], indirect=True)
def test_ipi_killed_and_started_again(address, start_ipi):
    transport, lines, _ = address
    evaluated = []
    server = in_background(
        serve, Toy(), transport, SPECIES, ("dipole", "polarizability"), 30.0, lambda *pair: evaluated.append(pair)
    )
    ipi = start_ipi(lines, steps=100000)
    deadline = time.monotonic() + PATIENCE
    while len(evaluated) < 20 and time.monotonic() < deadline:
        time.sleep(0.02)
    ipi.kill()
    ipi.wait()
    assert not server.done()
    if "<port>" not in lines:  # left behind by a killed i-PI, whose successor refuses to start with it
        Path(transport.address).unlink()
    before = len(evaluated)
    ipi = start_ipi(lines, steps=3)
    assert server.result(PATIENCE) is None
    assert ipi.wait(PATIENCE) == 0
    assert len(evaluated) >= before + 4


@pytest.mark.parametrize(
    ("address", "mode", "options", "message"),
    [
        ("unix", "unix", "", "must go without --shm"),
        ("unix", "unix", "<batch_size>2</batch_size>", "must go without --shm"),
        ("shm", "shm", "", "needs --shm"),
        ("shm", "shm", "<batch_size>4</batch_size>", "needs --shm"),
    ],
    indirect=["address"],
)
def test_other_mode_than_that_of_ipi(address, mode, options, message, start_ipi):
    transport, lines, _ = address
    start_ipi(lines, options, steps=2, mode=mode)
    with pytest.raises(ProtocolError, match=message):
        serve(Toy(), transport, SPECIES, wait=30.0, shared_memory=mode == "unix")


@pytest.mark.parametrize("address", ["shm"], indirect=True)
def test_servers_share_one_ipi(address, start_ipi, tmp_path):
    """Several servers on one socket, each with segments of its own; i-PI removes all of them."""
    transport, lines, _ = address
    ipi = start_ipi(lines, "<slots>3</slots>", mode="shm")
    want = ("dipole", "polarizability")
    servers = [in_background(serve, Toy(), transport, SPECIES, want, 30.0, shared_memory=True) for _ in range(3)]
    assert [server.result(PATIENCE) for server in servers] == [None] * 3
    assert ipi.wait(PATIENCE) == 0
    assert not list(Path("/dev/shm").glob(f"*ipi_shm_{ipi.pid}_*"))


@pytest.mark.parametrize("address", ["unix"], indirect=True)
def test_ipi_survives_a_refusal(address, start_ipi):
    """A server that cannot answer leaves in a way that lets i-PI carry on with another one."""
    transport, lines, _ = address
    ipi = start_ipi(lines, steps=2)
    with pytest.raises(StructureError, match="i-PI sent 6 atoms"):
        serve(Toy(), transport, SPECIES[:3], wait=30.0)
    serve(Toy(), transport, SPECIES, ("dipole", "polarizability"), wait=30.0)
    assert ipi.wait(PATIENCE) == 0
