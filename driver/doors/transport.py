"""Byte streams to i-PI: unix and TCP sockets, exact reads, whole writes, waiting for i-PI to come up."""

from __future__ import annotations

import errno
import logging
import os
import socket
import time
from dataclasses import dataclass

from ...model import BeadwiseError
from ...runs.input.force_fields import UNIX_PREFIX

FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.5  # s, between attempts
PAUSED_SHARE = 0.1  # of the time that has passed: so much later than it could a server may connect
SHORTEST_ATTEMPT = 1.0
CLOSING_PATIENCE = 1.0
PIECE = 1 << 24  # bytes that are read at once
# a peer whose machine or network is gone says nothing: after these times the connection counts as closed
KEEPALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 25_000}

logger = logging.getLogger(__name__)


class TransportError(BeadwiseError):
    """i-PI cannot be reached."""


class ConnectionClosed(Exception):  # noqa: N818 - an event of every restart, not an error
    """The other end closed the connection."""


class Connection:
    """A connected socket that reads exactly and writes whole buffers.

    Parameters
    ----------
    connected : socket.socket
        A connected, blocking stream socket; closed with the connection.
    """

    def __init__(self, connected: socket.socket):
        self._socket = connected
        self._reader = connected.makefile("rb", buffering=1 << 16)

    def read(self, length: int) -> bytes:
        """Wait for exactly `length` bytes, however they are fragmented.

        Raises
        ------
        ConnectionClosed
            If the other end closes the connection before they have arrived.
        """
        if length <= PIECE:
            return self._read_piece(length)
        # a length is a number that somebody sent: memory is taken as the bytes arrive, not before
        received = bytearray()
        while len(received) < length:
            received += self._read_piece(min(PIECE, length - len(received)))
        return bytes(received)

    def _read_piece(self, length: int) -> bytes:
        try:
            received = self._reader.read(length)
        except OSError as error:  # broken, or the other machine has not answered for too long
            raise ConnectionClosed(str(error)) from error
        if len(received) < length:
            raise ConnectionClosed(f"received {len(received)} of {length} bytes")
        return received

    def send(self, message: bytes) -> None:
        """Send a whole buffer.

        A connection that the other end has closed is noticed by the next read, not here: i-PI may have said EXIT
        before closing, and that is still to be read.
        """
        try:
            self._socket.sendall(message)
        except OSError:
            logger.debug("the connection was closed before %d bytes were sent", len(message))

    def close(self) -> None:
        """Close the connection so that the other end sees it end, not break.

        Closing with unread bytes resets the connection, and a reset kills the thread in which i-PI polls its drivers:
        it would then wait forever instead of handing the request to another driver.
        """
        try:
            self._socket.shutdown(socket.SHUT_WR)
            deadline = time.monotonic() + CLOSING_PATIENCE  # in all: a peer may go on sending for ever
            while (remaining := deadline - time.monotonic()) > 0:
                self._socket.settimeout(remaining)
                if not self._socket.recv(1 << 16):
                    break
        except OSError:
            logger.debug("the other end did not close the connection in turn")
        self._reader.close()
        self._socket.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


@dataclass(frozen=True)
class Transport:
    """Where i-PI listens.

    Parameters
    ----------
    family : socket.AddressFamily
        ``AF_UNIX`` or ``AF_INET``.
    address : str or tuple
        What ``socket.connect`` takes for that family.
    name : str
        How messages call it.
    """

    family: socket.AddressFamily
    address: str | tuple[str, int]
    name: str

    def connect(self, wait: float) -> Connection:
        """Connect, and keep trying for `wait` seconds while nobody listens.

        Raises
        ------
        TransportError
            If i-PI does not come up in time, or the address cannot be used.
        """
        begin = time.monotonic()
        deadline = begin + wait
        while True:
            try:
                return self._connect_once(max(deadline - time.monotonic(), SHORTEST_ATTEMPT))
            except OSError as error:
                if not _may_pass(error):
                    raise TransportError(f"cannot connect to {self.name}: {error.strerror or error}") from error
                if time.monotonic() >= deadline:
                    raise TransportError(
                        f"no i-PI is listening at {self.name} after waiting {wait:g} s ({error.strerror or error}); "
                        "start i-PI with this address in its <ffsocket>, or wait longer"
                    ) from error
            now = time.monotonic()
            pause = min(max(FIRST_PAUSE, PAUSED_SHARE * (now - begin)), LONGEST_PAUSE)
            time.sleep(min(pause, max(deadline - now, 0.0)))

    def _connect_once(self, patience: float) -> Connection:
        connecting = socket.socket(self.family, socket.SOCK_STREAM)
        try:
            connecting.settimeout(patience)
            if self.family == socket.AF_INET:
                # headers and replies are small and waited for: do not let them queue up
                connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                _notice_a_lost_peer(connecting)
            connecting.connect(self.address)
            connecting.settimeout(None)
        except BaseException:
            connecting.close()
            raise
        return Connection(connecting)


def _may_pass(error: OSError) -> bool:
    """Whether a connection that failed may succeed later: i-PI is not up yet, or its machine is out of reach."""
    unreachable = error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EHOSTDOWN)
    return unreachable or isinstance(error, (FileNotFoundError, ConnectionError, BlockingIOError, TimeoutError))


def _notice_a_lost_peer(connected: socket.socket) -> None:
    """Let reads and writes fail once the other machine has not answered for a while; not all systems know all times."""
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE.items():
        if hasattr(socket, name):
            connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def unix_socket(name: str, prefix: str = UNIX_PREFIX) -> Transport:
    """Transport to i-PI's ``<ffsocket mode='unix'>``.

    Parameters
    ----------
    name : str
        The ``<address>`` of the ffsocket.
    prefix : str
        What i-PI puts before it; its option ``-S`` changes it.

    Raises
    ------
    TransportError
        If the name is empty, or longer than the operating system allows.
    """
    path = prefix + name
    if not name or len(os.fsencode(path)) > 107:
        raise TransportError(f"'{name}' cannot name a unix socket; allowed are 1 to {107 - len(prefix)} bytes")
    return Transport(socket.AF_UNIX, path, f"unix socket {path}")


def tcp_socket(host: str, port: int) -> Transport:
    """Transport to i-PI's ``<ffsocket mode='inet'>``.

    Parameters
    ----------
    host : str
        Name or IPv4 address of the machine on which i-PI runs.
    port : int
        The ``<port>`` of the ffsocket.

    Raises
    ------
    TransportError
        If the host is empty or the port is out of range.
    """
    if not host or not 1 <= port <= 65535:
        raise TransportError(f"'{host}:{port}' is not a TCP address; allowed are HOST:PORT with PORT from 1 to 65535")
    return Transport(socket.AF_INET, (host, port), f"{host}:{port}")
