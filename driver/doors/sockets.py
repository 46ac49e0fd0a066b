"""The serving loop over a socket: answer i-PI's requests until i-PI says EXIT."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

import numpy as np

from ...model import Evaluator
from ...properties.quantities import ALWAYS_SENT
from . import protocol
from .door import Door, DoorSettings
from .payload import Payload, SharedMemoryPayload, StreamPayload
from .responder import Answer, OnEvaluation, Responder
from .transport import Connection, ConnectionClosed, Transport, TransportError, tcp_socket, unix_socket

RECONNECTION_PAUSE = 0.1

logger = logging.getLogger(__name__)


class SocketDoor(Door):
    """A socket that i-PI listens at.

    If i-PI closes the connection without EXIT, as when it is killed, the server waits for it to come back.  ASE's
    ``SocketIOCalculator`` can take i-PI's place; it never says EXIT.  If i-PI says EXIT instead of asking for the
    status after an answer, it has taken the request back, because that took longer than its ``<timeout>`` or its
    machine was out of reach, and the run may well go on: the server connects once more.

    Parameters
    ----------
    transport : Transport
        Where i-PI listens: ``unix_socket(name)`` or ``tcp_socket(host, port)``.
    settings : DoorSettings, optional
        How long to wait for it, and whether arrays go through shared memory.
    on_evaluation : callable, optional
        Called with each evaluated batch and its response, after the reply was sent.  Structures that i-PI repeats to
        fill a batch appear once.
    """

    def __init__(
        self, transport: Transport, settings: DoorSettings | None = None, on_evaluation: OnEvaluation | None = None
    ):
        super().__init__(settings)
        self.transport = transport
        self._on_evaluation = on_evaluation

    @property
    def where(self) -> str:
        """Name of the socket."""
        return f"at {self.transport.name}"

    def run(self, responder: Responder) -> None:
        """Answer i-PI's requests until it says EXIT.

        Raises
        ------
        StructureError
            If species are missing, the number of atoms does not match, or a structure cannot be evaluated.
        TransportError
            If i-PI does not come up, or not come back.
        ProtocolError
            If what answers at the address does not speak i-PI's protocol.
        """
        wait = self.settings.wait
        deadline = time.monotonic() + wait
        connection = self.transport.connect(wait)
        dismissed = False
        while True:
            payload = SharedMemoryPayload() if self.settings.shared_memory else StreamPayload()
            with connection, payload:
                conversation = Conversation(connection, payload, responder, self._on_evaluation)
                exited = conversation.run()
            if exited and not conversation.unconfirmed:
                return
            if dismissed and not conversation.initialized:
                return  # i-PI was ending, and closed before it ever spoke again
            if conversation.initialized:
                deadline = time.monotonic() + wait
            dismissed = exited
            if exited:
                try:
                    connection = _connect_again(self.transport)
                except TransportError:
                    return  # nobody listens any more: i-PI has ended
            else:
                connection = _reconnect(self.transport, deadline, wait)


def unix_door(address: str, settings: DoorSettings) -> SocketDoor:
    """Door to the ``<address>`` of an ``<ffsocket mode='unix'>`` or ``'shm'``, or to the path of a socket."""
    settings.refuse_force_field()
    return SocketDoor(unix_socket(address, prefix="") if "/" in address else unix_socket(address), settings)


def tcp_door(address: str, settings: DoorSettings) -> SocketDoor:
    """Door to the ``HOST:PORT`` of an ``<ffsocket mode='inet'>``."""
    settings.refuse_shared_memory()
    settings.refuse_force_field()
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise TransportError(f"'{address}' is no TCP address; allowed is HOST:PORT")
    return SocketDoor(tcp_socket(host, int(port)), settings)


def serve(
    evaluator: Evaluator,
    transport: Transport,
    species: np.ndarray | None,
    want: Sequence[str] = ALWAYS_SENT,
    wait: float = 60.0,
    on_evaluation: OnEvaluation | None = None,
    shared_memory: bool = False,
    properties_only: bool = False,
) -> None:
    """Answer i-PI at a socket until it says EXIT, for programs of the user's own.

    Parameters
    ----------
    evaluator, species, want, properties_only
        See `Responder`.
    transport, on_evaluation
        See `SocketDoor`.
    wait : float
        Seconds to wait for i-PI to come up, and to come back after it closed the connection.
    shared_memory : bool
        Whether i-PI exchanges arrays through shared memory (``mode='shm'``); the transport is then a unix socket.

    Raises
    ------
    BeadwiseError
        See `Responder` and `SocketDoor.run`.
    """
    responder = Responder(evaluator, species, want, properties_only)
    SocketDoor(transport, DoorSettings(wait, shared_memory), on_evaluation).run(responder)


def _connect_again(transport: Transport) -> Connection:
    """See whether i-PI is still there after it took a request back."""
    logger.warning("i-PI at %s did not wait for an answer; connecting again", transport.name)
    time.sleep(RECONNECTION_PAUSE)
    return transport.connect(0.0)


def _reconnect(transport: Transport, deadline: float, wait: float) -> Connection:
    """Wait for i-PI to come back."""
    logger.warning("i-PI closed the connection without EXIT; waiting for it to come back at %s", transport.name)
    time.sleep(RECONNECTION_PAUSE)
    remaining = deadline - time.monotonic()
    try:
        if remaining > 0:
            return transport.connect(remaining)
    except TransportError as error:
        raise _not_back(transport, wait) from error
    raise _not_back(transport, wait)


def _not_back(transport: Transport, wait: float) -> TransportError:
    return TransportError(
        f"i-PI closed the connection at {transport.name} without EXIT and did not come back within {wait:g} s"
    )


class Conversation:
    """One connection to i-PI, from NEEDINIT to EXIT.

    Parameters
    ----------
    connection : Connection
        Open connection.
    payload : Payload
        Where structures and forces are exchanged.
    responder : Responder
        What answers.
    on_evaluation : callable or None
        Called after each reply.
    """

    def __init__(
        self, connection: Connection, payload: Payload, responder: Responder, on_evaluation: OnEvaluation | None
    ):
        self.initialized = False
        self.unconfirmed = False  # forces were sent, and i-PI has not asked for anything since
        self._connection = connection
        self._payload = payload
        self._responder = responder
        self._on_evaluation = on_evaluation
        self._batch_size = 1
        self._answer: Answer | None = None

    def run(self) -> bool:
        """Answer until i-PI says EXIT (True) or closes the connection (False).

        i-PI asks for the status after each answer; if it says EXIT instead, the answer is left `unconfirmed`.
        """
        answers = {
            "STATUS": self._answer_status,
            "INIT": self._initialize,
            "POSDATA": self._evaluate,
            "GETFORCE": self._send_forces,
        }
        try:
            while (request := protocol.read_header(self._connection.read)) != "EXIT":
                self.unconfirmed = False
                answers[request]()
        except ConnectionClosed:
            return False
        return True

    def _answer_status(self) -> None:
        if not self.initialized:
            self._connection.send(protocol.NEEDINIT)
        elif self._answer is None:
            self._connection.send(protocol.READY)
        else:
            self._connection.send(protocol.HAVEDATA)

    def _initialize(self) -> None:
        initialization = protocol.read_initialization(self._connection.read)
        self._batch_size = initialization.batch_size
        self._responder.take_parameters(initialization.parameters)
        self.initialized = True
        logger.info("serving %d structures at a time", self._batch_size)

    def _evaluate(self) -> None:
        """Evaluate at once, before i-PI asks for the forces, so that the whole reply lies ready."""
        if not self.initialized:
            raise protocol.ProtocolError("received POSDATA before INIT; the species of the atoms are not known yet")
        cells, positions = self._payload.take(self._connection.read, self._batch_size, self._responder.check_atoms)
        self._answer = self._responder.answer(cells, positions)

    def _send_forces(self) -> None:
        if self._answer is None:
            raise protocol.ProtocolError("received GETFORCE before POSDATA; there are no forces to send")
        answer, self._answer = self._answer, None
        self._connection.send(self._payload.leave(answer))
        self.unconfirmed = True
        if self._on_evaluation is not None:
            self._on_evaluation(answer.batch, answer.response)
