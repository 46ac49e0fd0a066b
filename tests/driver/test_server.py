"""The serving loop against a scripted i-PI."""

from __future__ import annotations

import socket
import time

import numpy as np
import pytest
from ase.io import write
from beadwise.driver.doors.protocol import ProtocolError
from beadwise.driver.doors.sockets import serve
from beadwise.driver.doors.transport import TransportError, tcp_socket, unix_socket
from beadwise.model import PropertyError, Response, StructureError
from beadwise.runs.units import BOHR_PER_ANGSTROM, HARTREE_PER_ELECTRONVOLT
from fake_ipi import PATIENCE, SPECIES, Pairs, direct, in_background, structures
from toy import KNOWN, Toy, water


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
    server = in_background(serve, Toy(), transport, SPECIES, KNOWN[:5])
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
    server = in_background(serve, Toy(), transport, None, KNOWN[:5])
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
    assert ipi.socket.recv(100) == b""
    ipi.socket.close()
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
        (spoil_position, "position of atom 2 in bead 0 is nan Å along y"),
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
    server = in_background(serve, Toy(), transport, SPECIES, KNOWN[:5], wait=2.0)
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


def test_comes_back_when_a_request_was_taken_back():
    """i-PI asks for the status after each answer; EXIT instead means that its <timeout> was over."""
    transport = Pairs(2)
    server = in_background(serve, Toy(), transport, SPECIES, KNOWN[:5], wait=5.0)
    first, second = transport.servers
    for ipi in (first, second):
        ipi.initialize()
        cells, positions = structures(1)
        ipi.request(cells, positions)
        assert_same(ipi.forces(1, 6), direct(cells, positions))
        if ipi is second:
            assert ipi.status() == "READY"
        ipi.exit()
    assert server.result(PATIENCE) is None


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
