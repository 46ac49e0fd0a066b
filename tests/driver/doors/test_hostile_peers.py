"""Peers that are no i-PI: whatever they send, a server says one line, takes no memory for it, and ends."""

import io
import socket
import struct
import threading
import tracemalloc

import numpy as np
import pytest
from beadwise.driver.doors import protocol, transport
from beadwise.driver.doors.protocol import ProtocolError
from beadwise.driver.doors.sockets import serve
from beadwise.driver.doors.transport import Connection, ConnectionClosed, Transport
from beadwise.errors import BeadwiseError
from toy import Toy


class Connected(Transport):
    """A transport whose other end is at hand."""

    def __init__(self, connected):
        object.__setattr__(self, "connected", connected)
        object.__setattr__(self, "name", "a pair of sockets")

    def connect(self, wait):
        return Connection(self.connected)


def test_a_refused_peer_that_goes_on_sending_is_left(monkeypatch):
    monkeypatch.setattr(transport, "CLOSING_PATIENCE", 0.2)
    ours, theirs = socket.socketpair()
    ended = threading.Event()

    def send_for_ever():
        theirs.sendall(b"GARBAGE     ")
        while not ended.wait(0.05):
            try:
                theirs.sendall(b"STATUS      ")
            except OSError:
                return

    sender = threading.Thread(target=send_for_ever, daemon=True)
    sender.start()
    failed = []

    def answer():
        try:
            serve(Toy(), Connected(ours), np.array([8, 1, 1]))
        except BeadwiseError as error:
            failed.append(error)

    server = threading.Thread(target=answer, daemon=True)
    server.start()
    server.join(20)
    ended.set()
    assert not server.is_alive() and "GARBAGE" in str(failed[0])


def test_memory_is_taken_as_bytes_arrive():
    ours, theirs = socket.socketpair()
    theirs.sendall(b"only this")
    theirs.shutdown(socket.SHUT_WR)
    tracemalloc.start()
    try:
        with pytest.raises(ConnectionClosed):
            Connection(ours).read(1 << 36)
        assert tracemalloc.get_traced_memory()[1] < 2 * transport.PIECE
    finally:
        tracemalloc.stop()
    theirs.close()


@pytest.mark.parametrize("length", [0, 1, 100, 1000, 12345])
def test_pieces_are_put_together(monkeypatch, length):
    monkeypatch.setattr(transport, "PIECE", 100)
    content = np.random.default_rng(0).bytes(length)
    ours, theirs = socket.socketpair()
    theirs.sendall(content)
    theirs.close()
    assert Connection(ours).read(length) == content


@pytest.mark.parametrize("text", ["batch_size:" + "9" * 5000, "batch_size:100001", "batch_size:²", "batch_size:1e3"])
def test_batches_that_nobody_has(text):
    content = struct.pack("<ii", 0, len(text.encode())) + text.encode()
    with pytest.raises(ProtocolError, match="batch_size") as found:
        protocol.read_initialization(io.BytesIO(content).read)
    assert len(str(found.value)) < 500


@pytest.mark.parametrize("length", [-1, 2**20 + 1, 2**31 - 1])
def test_strings_that_nobody_sends(length):
    with pytest.raises(ProtocolError, match=str(length)):
        protocol.read_initialization(lambda _: struct.pack("<ii", 0, length))
