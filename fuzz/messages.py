"""Conversations of i-PI's protocol, damaged: a server refuses them in one line, or what it answers is right."""

from __future__ import annotations

import json
import struct
from functools import cache
from io import BytesIO
from random import Random

import numpy as np

from .judge import WrongAnswer
from .mutations import damaged_bytes

ATOMS, STIFFNESS = 3, 1.0
HEADERS = ("STATUS", "INIT", "POSDATA", "GETFORCE", "EXIT", "NEEDINIT", "status", "", "FORCEREADY")
PARAMETERS = ("", "species : O H H", " batch_size:2", "batch_size:4 , model : water", "species:(OH2)100000000",
              "structure : nowhere.xyz", "batch_size : " + "9" * 400, "template: /etc/passwd", "\0")  # fmt: skip


def conversation(seed: str) -> bytes:
    """What i-PI might say, with mistakes in the order of its messages and in their bytes."""
    random = Random(seed)
    batch = random.choice((1, 1, 2, 4))
    parts = [_header("STATUS"), _initialization(batch, random), _header("STATUS")]
    for _ in range(random.randint(1, 3)):
        parts += [_structures(batch, random), _header("STATUS"), _header("GETFORCE")]
    parts.append(_header("EXIT"))
    for _ in range(random.randint(0, 2)):
        place = random.randrange(len(parts))
        kind = random.randrange(4)
        if kind == 0:
            parts.pop(place)
        elif kind == 1:
            parts.insert(place, random.choice(parts))
        elif kind == 2:
            parts.insert(place, _header(random.choice(HEADERS)))
        else:
            parts[place] = damaged_bytes(parts[place], random)
        if not parts:
            break
    said = b"".join(parts)
    return damaged_bytes(said, random) if random.random() < 0.3 else said


def messages_in(said: bytes) -> int:
    """How many messages a conversation has: headers that i-PI sends."""
    return sum(said.count(_header(name)) for name in HEADERS[:5])


def _header(name: str) -> bytes:
    return name.ljust(12).encode()[:12]


def _initialization(batch: int, random: Random) -> bytes:
    text = random.choice(PARAMETERS) if random.random() < 0.2 else f"species : O H H , batch_size:{batch}"
    content = text.encode()
    return _header("INIT") + struct.pack("<ii", random.choice((0, 7, -1)), len(content)) + content


def _structures(batch: int, random: Random) -> bytes:
    cell = np.diag([20.0, 21.0, 22.0])
    cells = b"".join(cell.T.tobytes() + np.linalg.inv(cell).T.tobytes() for _ in range(batch))
    positions = np.array([random.uniform(-5, 5) for _ in range(batch * ATOMS * 3)])
    if random.random() < 0.1:
        positions[random.randrange(len(positions))] = random.choice((np.nan, np.inf, 1e300, -1e300, 4.2e9))
    count = struct.pack("<i", random.choice((ATOMS,) * 20 + (0, -1, 4, 2**31 - 1)))
    before = cells + count if batch == 1 else count + cells
    return _header("POSDATA") + before + positions.astype("<f8").tobytes()


def converse(said: bytes) -> str:
    """Let a server answer a conversation, and see that each of its answers is right."""
    from beadwise.driver.doors.payload import StreamPayload
    from beadwise.driver.doors.responder import Responder
    from beadwise.driver.doors.sockets import Conversation
    from beadwise.driver.doors.transport import ConnectionClosed

    class Peer:
        """The other end: a text that is read, and what is sent is kept."""

        def __init__(self) -> None:
            self._text = BytesIO(said)
            self.sent: list[bytes] = []

        def read(self, length: int) -> bytes:
            piece = self._text.read(length) if length < 1 << 40 else b""
            if len(piece) < length:
                raise ConnectionClosed("no more")
            return piece

        def send(self, message: bytes) -> None:
            self.sent.append(message)

    seen: list[np.ndarray] = []

    class Noting(Responder):
        """Notes what it is asked."""

        def answer(self, cells, positions):
            seen.append(np.array(positions))
            return super().answer(cells, positions)

    peer = Peer()
    try:
        Conversation(peer, StreamPayload(), Noting(_springs(), None), None).run()
    finally:
        _check(peer.sent, seen)
    return "answered"


@cache
def _springs():
    from beadwise.model.baselines import Harmonic

    return Harmonic(STIFFNESS)


def _check(sent: list[bytes], seen: list[np.ndarray]) -> None:
    """Refuse replies that are not springs' energies and forces of the structures that were received."""
    from ase.units import Bohr, Hartree

    replies = [message for message in sent if message.startswith(b"FORCEREADY")]
    stiffness = STIFFNESS * Bohr**2 / Hartree
    for message in replies:
        for positions in seen:
            beads, atoms = positions.shape[:2]
            forces = (-stiffness * positions).ravel()
            energies = 0.5 * stiffness * (positions**2).sum(axis=(1, 2))
            numbers = np.frombuffer(message[12 : 12 + 8 * beads], "<f8")
            start = 12 + 8 * beads + 4
            own = np.frombuffer(message[start : start + 24 * beads * atoms], "<f8")
            if len(own) == len(forces) and np.allclose(numbers, energies) and np.allclose(own, forces):
                rest = message[start + 24 * beads * atoms + 72 * beads :]
                _check_extras(rest, beads)
                break
        else:
            raise WrongAnswer(f"a reply of {len(message)} bytes belongs to none of {len(seen)} structures")


def _check_extras(rest: bytes, beads: int) -> None:
    for _ in range(beads):
        length = struct.unpack("<i", rest[:4])[0]
        json.loads(rest[4 : 4 + length] or b"{}")
        rest = rest[4 + length :]
    if rest:
        raise WrongAnswer(f"{len(rest)} bytes after the extras")
