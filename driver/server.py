"""The serving loop: answer i-PI's requests with an evaluator until i-PI says EXIT."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from ase.data import chemical_symbols

from ..model import Batch, Evaluator, Response, StructureError
from ..model.molecules import repeating_unit as unit_of_metadata
from . import protocol
from .checks import ALWAYS_SENT, check_atoms, check_cells, check_finite, check_species, wanted_properties
from .extras import encode_extras
from .molecular_order import species_from_distances
from .species import NO_SPECIES, species_from_parameters
from .transport import Connection, ConnectionClosed, Transport, TransportError
from .units import lengths_from_atomic, to_atomic

RECONNECTION_PAUSE = 0.1

logger = logging.getLogger(__name__)

OnEvaluation = Callable[[Batch, Response], None]


def serve(
    evaluator: Evaluator,
    transport: Transport,
    species: np.ndarray | None,
    want: Sequence[str] = ALWAYS_SENT,
    wait: float = 60.0,
    on_evaluation: OnEvaluation | None = None,
) -> None:
    """Answer i-PI's requests until it says EXIT.

    If i-PI closes the connection without EXIT, as when it is killed, the server waits for it to come back.  ASE's
    ``SocketIOCalculator`` can take i-PI's place; it never says EXIT.

    Parameters
    ----------
    evaluator : Evaluator
        What answers.
    transport : Transport
        Where i-PI listens: ``unix_socket(name)`` or ``tcp_socket(host, port)``.
    species : ndarray of int, shape (atoms,), or None
        Atomic numbers in i-PI's order; None to take them from i-PI's ``<parameters>`` (``structure``, ``template`` or
        ``species``), since i-PI does not send them with the positions, or, for a model of one kind of molecule, from
        the distances of the first structure.
    want : sequence of str
        Properties to evaluate.  Energy, forces and virial are always sent; the others go into the extras.
    wait : float
        Seconds to wait for i-PI to come up, and to come back after it closed the connection.
    on_evaluation : callable, optional
        Called with each evaluated batch and its response, after the reply was sent.  Structures that i-PI repeats to
        fill a batch appear once.

    Raises
    ------
    StructureError
        If species are missing or unknown, the number of atoms does not match, or a structure cannot be evaluated.
    PropertyError
        If a wanted property is unknown or not provided.
    TransportError
        If i-PI does not come up, or not come back.
    ProtocolError
        If what answers at the address does not speak i-PI's protocol.
    """
    wanted = wanted_properties(evaluator, want)
    numbers = None if species is None else check_species(evaluator, species)
    deadline = time.monotonic() + wait
    connection = transport.connect(wait)
    while True:
        with connection:
            conversation = Conversation(connection, evaluator, numbers, wanted, on_evaluation)
            if conversation.run():
                return
        if conversation.initialized:
            deadline = time.monotonic() + wait
        connection = _reconnect(transport, deadline, wait)


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
    evaluator : Evaluator
        What answers.
    numbers : ndarray of int32, shape (atoms,), or None
        Atomic numbers; None to take them from INIT.
    wanted : tuple of str
        Properties to evaluate.
    on_evaluation : callable or None
        Called after each reply.
    """

    def __init__(
        self,
        connection: Connection,
        evaluator: Evaluator,
        numbers: np.ndarray | None,
        wanted: tuple[str, ...],
        on_evaluation: OnEvaluation | None,
    ):
        self.initialized = False
        self._connection = connection
        self._evaluator = evaluator
        self._numbers = numbers
        self._wanted = wanted
        self._on_evaluation = on_evaluation
        self._batch_size = 1
        self._reply: bytes | None = None
        self._evaluated: tuple[Batch, Response] | None = None

    def run(self) -> bool:
        """Answer until i-PI says EXIT (True) or closes the connection (False)."""
        answers = {
            "STATUS": self._answer_status,
            "INIT": self._initialize,
            "POSDATA": self._evaluate,
            "GETFORCE": self._send_forces,
        }
        try:
            while (request := protocol.read_header(self._connection.read)) != "EXIT":
                answers[request]()
        except ConnectionClosed:
            return False
        return True

    def _answer_status(self) -> None:
        if not self.initialized:
            self._connection.send(protocol.NEEDINIT)
        elif self._reply is None:
            self._connection.send(protocol.READY)
        else:
            self._connection.send(protocol.HAVEDATA)

    def _initialize(self) -> None:
        initialization = protocol.read_initialization(self._connection.read)
        self._batch_size = initialization.batch_size
        if self._numbers is None:
            given = species_from_parameters(initialization.parameters)
            if given is not None:
                self._numbers = check_species(self._evaluator, given)
            elif repeating_unit(self._evaluator) is None:
                raise StructureError(NO_SPECIES)
        self.initialized = True
        logger.info("serving %d structures at a time", self._batch_size)

    def _evaluate(self) -> None:
        """Evaluate at once, before i-PI asks for the forces, so that the whole reply lies ready."""
        if not self.initialized:
            raise protocol.ProtocolError("received POSDATA before INIT; the species of the atoms are not known yet")
        check = partial(check_atoms, expected=None if self._numbers is None else len(self._numbers))
        cells, positions = protocol.read_structures(self._connection.read, self._batch_size, check)
        distinct = count_distinct(cells, positions)
        cells, positions = lengths_from_atomic(cells[:distinct]), lengths_from_atomic(positions[:distinct])
        check_cells(cells)
        if self._numbers is None:
            self._numbers = self._species_from_first(cells[0], positions[0])
        batch = Batch(numbers=self._numbers, positions=positions, cells=cells, periodic=np.ones(3, dtype=bool))
        response = self._evaluator.evaluate(batch, self._wanted)
        check_finite(response)
        self._reply = encode_reply(response, self._wanted, padding=self._batch_size - distinct)
        self._evaluated = batch, response

    def _species_from_first(self, cell: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Tell the species of a liquid of one molecule from its first structure."""
        unit = repeating_unit(self._evaluator)
        assert unit is not None
        try:
            numbers = species_from_distances(unit, cell, positions)
        except StructureError as error:
            raise StructureError(f"{NO_SPECIES}; {error}") from error
        order = " ".join(chemical_symbols[number] for number in numbers[: len(unit)])
        logger.warning("no structure was given; from their distances the %d atoms are %s ...", len(numbers), order)
        return numbers

    def _send_forces(self) -> None:
        if self._reply is None or self._evaluated is None:
            raise protocol.ProtocolError("received GETFORCE before POSDATA; there are no forces to send")
        self._connection.send(self._reply)
        if self._on_evaluation is not None:
            self._on_evaluation(*self._evaluated)
        self._reply = self._evaluated = None


def repeating_unit(evaluator: Evaluator) -> tuple[int, ...] | None:
    """Atomic numbers of the molecule that a model was made for; None if it does not name one."""
    return unit_of_metadata(getattr(evaluator, "metadata", None))


def count_distinct(cells: np.ndarray, positions: np.ndarray) -> int:
    """Count the structures before those at the end that repeat the last one.

    i-PI fills a batch that is not full by repeating its last structure.

    Parameters
    ----------
    cells : ndarray of float64, shape (beads, 3, 3)
    positions : ndarray of float64, shape (beads, atoms, 3)

    Returns
    -------
    int
        At least 1, at most beads.
    """
    count = len(positions)
    while (
        count > 1
        and np.array_equal(positions[count - 2], positions[-1])
        and np.array_equal(cells[count - 2], cells[-1])
    ):
        count -= 1
    return count


def encode_reply(response: Response, wanted: Sequence[str], padding: int = 0) -> bytes:
    """Encode the reply to GETFORCE, in atomic units.

    Parameters
    ----------
    response : Response
        Holds every wanted property of the distinct structures.
    wanted : sequence of str
        Properties; those beyond energy, forces and virial become extras.
    padding : int
        How many times to repeat the last structure.
    """
    energies, forces, virials = (
        np.concatenate([values, np.repeat(values[-1:], padding, axis=0)])
        for values in (to_atomic(name, response[name]) for name in ALWAYS_SENT)
    )
    extras = encode_extras(response, wanted)
    return protocol.encode_forces(energies, forces, virials, extras + extras[-1:] * padding)
