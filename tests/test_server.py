"""The serving loop against a scripted i-PI, the real i-PI, and ASE's socket server."""

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
from beadwise.driver.protocol import ProtocolError
from beadwise.driver.server import serve
from beadwise.driver.transport import TransportError, tcp_socket, unix_socket
from beadwise.driver.units import BOHR_PER_ANGSTROM, HARTREE_PER_ELECTRONVOLT
from beadwise.model import PROPERTIES, Batch, PropertyError, Response, StructureError
from fake_ipi import FakeIpi, Pairs, in_background
from toy import Toy, water

SPECIES = water().numbers
PATIENCE = 60


def structures(beads: int) -> tuple[np.ndarray, np.ndarray]:
    """Cells and positions of different beads, in bohr."""
    frames = [water(seed) for seed in range(beads)]
    cells = np.array([frame.cell.array * (1 + 0.01 * bead) for bead, frame in enumerate(frames)])
    return cells * BOHR_PER_ANGSTROM, np.array([frame.positions for frame in frames]) * BOHR_PER_ANGSTROM


def direct(cells: np.ndarray, positions: np.ndarray) -> Response:
    """Everything of structures given in bohr, in eV, Å, e."""
    batch = Batch(SPECIES, positions / BOHR_PER_ANGSTROM, cells / BOHR_PER_ANGSTROM, np.ones(3, bool))
    return Toy().evaluate(batch, PROPERTIES)


def assert_same(received: tuple, expected: Response) -> None:
    energies, forces, virials, extras = received
    hartree, bohr = 1 / HARTREE_PER_ELECTRONVOLT, 1 / BOHR_PER_ANGSTROM
    close = {"rtol": 1e-12, "atol": 1e-12}
    np.testing.assert_allclose(energies * hartree, expected.energy, **close)
    np.testing.assert_allclose(forces * hartree / bohr, expected.forces, **close)
    np.testing.assert_allclose(virials * hartree, expected.virial, **close)
    for bead, extra in enumerate(extras):
        np.testing.assert_allclose(np.array(extra["dipole"]) * bohr, expected.dipole[bead], **close)
        volumes = np.reshape(extra["polarizability"], (3, 3)) * bohr**3
        np.testing.assert_allclose(volumes, expected.polarizability[bead], **close)


@pytest.mark.parametrize("fragment", [None, 1, 7])
@pytest.mark.parametrize("consolidated", [True, False])
@pytest.mark.parametrize("beads", [1, 3])
def test_conversation(beads, consolidated, fragment):
    transport = Pairs(fragment=fragment)
    server = in_background(serve, Toy(), transport, SPECIES, PROPERTIES[:5])
    ipi = transport.servers[0]
    ipi.initialize(f" model : toy , , batch_size:{beads}" if beads > 1 else "")
    cells, positions = structures(beads)
    for shift in (0.0, 0.3):
        ipi.request(cells, positions + shift, consolidated)
        assert_same(ipi.forces(beads, 6), direct(cells, positions + shift))
        assert ipi.status() == "READY"
    ipi.exit()
    assert server.result(PATIENCE) is None


@pytest.mark.parametrize(("real", "padding"), [(1, 3), (3, 1)])
def test_padding_is_evaluated_once(real, padding):
    transport, toy, seen = Pairs(), Toy(), []
    server = in_background(
        serve, toy, transport, SPECIES, ("dipole", "polarizability"), on_evaluation=lambda *pair: seen.append(pair)
    )
    ipi = transport.servers[0]
    ipi.initialize(" batch_size:4")
    padded = [np.concatenate([array, array[-1:].repeat(padding, 0)]) for array in structures(real)]
    ipi.request(*padded)
    assert_same(ipi.forces(4, 6), direct(*padded))
    ipi.exit()
    server.result(PATIENCE)
    assert [batch.beads for batch in toy.batches] == [real]
    assert [(batch.beads, len(response.dipole)) for batch, response in seen] == [(real, real)]


def test_species_from_the_parameters_of_ipi(tmp_path):
    write(tmp_path / "start.xyz", water())
    transport = Pairs()
    server = in_background(serve, Toy(), transport, None, PROPERTIES[:5])
    ipi = transport.servers[0]
    ipi.initialize(f" template : {tmp_path / 'start.xyz'} , ")
    cells, positions = structures(1)
    ipi.request(cells, positions)
    assert_same(ipi.forces(1, 6), direct(cells, positions))
    ipi.exit()
    server.result(PATIENCE)


def test_no_species():
    transport = Pairs()
    server = in_background(serve, Toy(), transport, None)
    ipi = transport.servers[0]
    ipi.status()
    ipi.send(b"INIT        " + bytes(8))
    with pytest.raises(StructureError, match="--structure FILE"):
        server.result(PATIENCE)


@pytest.mark.parametrize(
    ("species", "want", "error", "message"),
    [
        ([8, 1, 6], ("energy",), StructureError, "atom 2 is C, which this model does not know; it knows H, O"),
        ([], ("energy",), StructureError, "no atom"),
        (SPECIES, ("dipoles",), PropertyError, "unknown property 'dipoles'; allowed are energy"),
        (SPECIES, ("dipole",), PropertyError, "does not provide dipole; it provides energy, forces, virial"),
    ],
)
def test_refused_before_connecting(species, want, error, message):
    with pytest.raises(error, match=message):
        serve(Toy(("energy", "forces", "virial")), Pairs(0), np.array(species, int), want)


def spoil_overlap(cells, positions):
    positions[0, 1] = positions[0, 0] + 0.01


def spoil_position(cells, positions):
    positions[0, 2, 1] = np.nan


def spoil_cell(cells, positions):
    cells[0, :, 2] = 0.0


def spoil_cell_value(cells, positions):
    cells[0, 0, 0] = np.inf


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_overlap, r"atoms 0 and 1 are 0\.009 Å apart"),
        (spoil_position, "position of atom 2 in bead 0 is nan along y"),
        (spoil_cell, "cell of bead 0 is .* volume 0 Å³"),
        (spoil_cell_value, "cell of bead 0 is .*inf"),
    ],
)
def test_structures_that_cannot_be_served(spoil, message, monkeypatch):
    monkeypatch.setattr(np.linalg, "inv", np.linalg.pinv if spoil is spoil_cell else lambda cell: cell)
    transport = Pairs()
    server = in_background(serve, Toy(), transport, SPECIES)
    ipi = transport.servers[0]
    ipi.initialize()
    cells, positions = structures(1)
    spoil(cells, positions)
    ipi.request(cells, positions)
    assert ipi.socket.recv(100) == b""  # closed in an orderly way, with nothing half sent
    ipi.socket.close()
    with pytest.raises(StructureError, match=message):
        server.result(PATIENCE)


def test_other_number_of_atoms():
    transport = Pairs()
    server = in_background(serve, Toy(), transport, SPECIES)
    ipi = transport.servers[0]
    ipi.initialize()
    cells, positions = structures(1)
    # so many that most of them are not read: the connection must end even so, for a reset would kill i-PI's thread
    ipi.request(cells, np.tile(positions, (1, 1000, 1)))
    assert ipi.socket.recv(100) == b""
    ipi.socket.close()
    with pytest.raises(StructureError, match=r"i-PI sent 6000 atoms; .* has 6"):
        server.result(PATIENCE)


def test_answers_that_are_not_finite_are_not_sent():
    class Broken(Toy):
        def _evaluate_bead(self, batch, bead):
            return super()._evaluate_bead(batch, bead) | {"dipole": np.full(3, np.nan)}

    transport = Pairs()
    server = in_background(serve, Broken(), transport, SPECIES, ("dipole",))
    transport.servers[0].initialize()
    transport.servers[0].request(*structures(1))
    assert transport.servers[0].socket.recv(100) == b""
    transport.servers[0].socket.close()
    with pytest.raises(StructureError, match="dipole of bead 0 is not finite"):
        server.result(PATIENCE)


@pytest.mark.parametrize("message", [b"GET / HTTP/1.1\r\n", b"GETFORCE    "])
def test_nonsense(message):
    transport = Pairs()
    server = in_background(serve, Toy(), transport, SPECIES)
    transport.servers[0].send(message)
    transport.servers[0].socket.shutdown(socket.SHUT_WR)
    with pytest.raises(ProtocolError, match=r"STATUS, INIT|before POSDATA"):
        server.result(PATIENCE)


def test_reconnects_and_gives_up_when_nothing_comes_back():
    transport = Pairs(2)
    server = in_background(serve, Toy(), transport, SPECIES, PROPERTIES[:5], wait=2.0)
    first, second = transport.servers
    first.initialize()
    first.send(b"POSDATA     ")  # killed in the middle of a message
    first.socket.close()
    second.initialize(" batch_size:2")
    cells, positions = structures(2)
    second.request(cells, positions)
    assert_same(second.forces(2, 6), direct(cells, positions))
    second.socket.close()
    with pytest.raises(TransportError, match="without EXIT and did not come back within 2 s"):
        server.result(PATIENCE)


def test_exit_is_read_even_if_the_reply_cannot_be_sent():
    class Slow(Toy):
        def evaluate(self, batch, want):
            time.sleep(0.2)
            return super().evaluate(batch, want)

    transport = Pairs()
    server = in_background(serve, Slow(), transport, SPECIES)
    ipi = transport.servers[0]
    ipi.initialize()
    ipi.request(*structures(1))
    ipi.exit()
    assert server.result(PATIENCE) is None


@pytest.mark.parametrize("address", [unix_socket("beadwise_nobody"), tcp_socket("localhost", 9)])
def test_nobody_listens(address):
    start = time.monotonic()
    with pytest.raises(TransportError, match=r"no i-PI is listening at .*(beadwise_nobody|localhost:9)"):
        address.connect(wait=0.3)
    assert 0.3 <= time.monotonic() - start < 3


@pytest.mark.parametrize(
    ("make", "arguments"), [(unix_socket, ("",)), (unix_socket, ("x" * 200,)), (tcp_socket, ("localhost", 70000))]
)
def test_unusable_addresses(make, arguments):
    with pytest.raises(TransportError, match="allowed are"):
        make(*arguments)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


@pytest.fixture
def address(request):
    """Transport, i-PI's lines and ASE's arguments for a fresh unix or TCP address."""
    if request.param == "unix":
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
    server = in_background(serve, Toy(), transport, SPECIES, PROPERTIES, wait=20.0)
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
            expected = Toy().evaluate(Batch.from_ase(seen), PROPERTIES)
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
    <properties filename='energy' stride='1'> [step, potential{{electronvolt}}, conserved{{electronvolt}}] </properties>
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

    def start(lines: str, options: str = "", steps: int = 5) -> subprocess.Popen:
        write(tmp_path / "start.xyz", water())
        mode = "inet" if "<port>" in lines else "unix"
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
    ],
    indirect=["address"],
)
def test_real_ipi(address, options, start_ipi, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    transport, lines, _ = address
    ipi = start_ipi(lines, options)
    server = in_background(serve, Toy(), transport, None, ("dipole", "polarizability"), wait=30.0)
    assert server.result(PATIENCE) is None
    assert ipi.wait(PATIENCE) == 0, (tmp_path / "ipi.log").read_text()

    expected = direct(*last_structures(tmp_path))
    extras = last_extras(tmp_path)
    assert extras.shape == (4, 12)
    np.testing.assert_allclose(extras[:, :3] / BOHR_PER_ANGSTROM, expected.dipole, rtol=1e-9, atol=1e-12)
    polarizability = extras[:, 3:].reshape(4, 3, 3) / BOHR_PER_ANGSTROM**3
    np.testing.assert_allclose(polarizability, expected.polarizability, rtol=1e-9, atol=1e-12)

    steps, potential, conserved = np.loadtxt(tmp_path / "out.energy").T
    assert len(steps) == 6
    assert potential[-1] == pytest.approx(expected.energy.mean(), rel=1e-9)
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


@pytest.mark.parametrize("address", ["unix"], indirect=True)
def test_ipi_survives_a_refusal(address, start_ipi):
    """A server that cannot answer leaves in a way that lets i-PI carry on with another one."""
    transport, lines, _ = address
    ipi = start_ipi(lines, steps=2)
    with pytest.raises(StructureError, match="i-PI sent 6 atoms"):
        serve(Toy(), transport, SPECIES[:3], wait=30.0)
    serve(Toy(), transport, SPECIES, ("dipole", "polarizability"), wait=30.0)
    assert ipi.wait(PATIENCE) == 0
