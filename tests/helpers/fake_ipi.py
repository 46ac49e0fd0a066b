"""i-PI's side of the conversation, written from its protocol, over any stream socket."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from beadwise.driver.doors.transport import Connection, TransportError
from beadwise.model import Batch, Response
from beadwise.runs.units import BOHR_PER_ANGSTROM
from toy import KNOWN, Toy, water

PATIENCE = 60  # seconds
SPECIES = water().numbers


def structures(beads: int) -> tuple[np.ndarray, np.ndarray]:
    """Cells and positions of different beads, in bohr."""
    frames = [water(seed) for seed in range(beads)]
    cells = np.array([frame.cell.array * (1 + 0.01 * bead) for bead, frame in enumerate(frames)])
    return cells * BOHR_PER_ANGSTROM, np.array([frame.positions for frame in frames]) * BOHR_PER_ANGSTROM


def direct(cells: np.ndarray, positions: np.ndarray) -> Response:
    """Everything of structures given in bohr, in eV, Å, e."""
    batch = Batch(SPECIES, positions / BOHR_PER_ANGSTROM, cells / BOHR_PER_ANGSTROM, np.ones(3, bool))
    return Toy().evaluate(batch, KNOWN)


class FakeIpi:
    """Speaks to one driver; `fragment` is the number of bytes sent at a time."""

    def __init__(self, connected: socket.socket, fragment: int | None = None):
        self.socket = connected
        self.socket.settimeout(10)
        self.fragment = fragment

    def send(self, message: bytes) -> None:
        step = self.fragment or len(message)
        for start in range(0, len(message), step):
            self.socket.sendall(message[start : start + step])

    def receive(self, length: int) -> bytes:
        received = b""
        while len(received) < length:
            part = self.socket.recv(length - len(received))
            assert part, f"closed after {len(received)} of {length} bytes"
            received += part
        return received

    def status(self) -> str:
        self.send(b"STATUS      ")
        return self.header()

    def header(self) -> str:
        return self.receive(12).decode().strip()

    def initialize(self, parameters: str = "") -> None:
        assert self.status() == "NEEDINIT"
        self.send(b"INIT        " + struct.pack("<ii", 3, len(parameters)) + parameters.encode())
        assert self.status() == "READY"

    def request(self, cells: np.ndarray, positions: np.ndarray, consolidated: bool = True) -> None:
        """Send structures, shapes (beads, 3, 3) with lattice vectors in rows and (beads, atoms, 3), in bohr."""
        blocks = [np.array(cell.T).tobytes() + np.linalg.inv(cell.T).tobytes() for cell in cells]
        atoms = struct.pack("<i", positions.shape[1])
        prefix = blocks[0] + atoms if len(blocks) == 1 else atoms + b"".join(blocks)
        message = b"POSDATA     " + prefix + positions.tobytes()
        if consolidated:
            self.send(message + b"GETFORCE    ")
            return
        self.send(message)
        assert self.status() == "HAVEDATA"
        self.send(b"GETFORCE    ")

    def forces(self, beads: int, atoms: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict]]:
        assert self.header() == "FORCEREADY"
        energies = np.frombuffer(self.receive(8 * beads))
        assert struct.unpack("<i", self.receive(4)) == (atoms,)
        forces = np.frombuffer(self.receive(24 * beads * atoms)).reshape(beads, atoms, 3)
        virials = np.frombuffer(self.receive(72 * beads)).reshape(beads, 3, 3)
        extras = [json.loads(self.receive(struct.unpack("<i", self.receive(4))[0])) for _ in range(beads)]
        return energies, forces, virials, extras

    def exit(self) -> None:
        self.send(b"EXIT        ")
        self.socket.close()


class Pairs:
    """A transport that hands out prepared connections, and no other."""

    name = "a pair of sockets"

    def __init__(self, connections: int = 1, fragment: int | None = None):
        pairs = [socket.socketpair() for _ in range(connections)]
        self.servers = [FakeIpi(server, fragment) for server, _ in pairs]
        self._clients = [client for _, client in pairs]

    def connect(self, wait: float) -> Connection:
        if not self._clients:
            raise TransportError(f"nobody listens after {wait} s")
        return Connection(self._clients.pop(0))


def in_background(function: Callable, *arguments: object, **options: object) -> Future:
    """Run in a thread; ``.result(timeout)`` waits for it and raises what it raised."""
    executor = ThreadPoolExecutor(1)
    future = executor.submit(function, *arguments, **options)
    executor.shutdown(wait=False)
    return future
