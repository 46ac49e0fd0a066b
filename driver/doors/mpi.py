"""The serving loop over MPI: answer the ``<ffmpi>`` of i-PI, which is rank 0 of the same job.

i-PI and its drivers are started together, ``mpiexec -n 1 beadwise ipi INPUT.xml : -n N beadwise serve MODEL --mpi``.
The root of every group greets i-PI with the ranks of its group and the name of the force field that it serves; i-PI
sends it batches of any length, and EXIT in the end.  The messages are those of i-PI 3.3 (``ipi.interfaces.mpi``).
"""

from __future__ import annotations

import signal
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING

import numpy as np

from ...model import BeadwiseError, Evaluator
from .door import Door, DoorSettings
from .mpi_group import MpiError, form_groups, one_server_of, say, wait_for, world
from .protocol import INTEGER, REAL, ProtocolError, decode_parameters
from .responder import Answer, Responder

if TYPE_CHECKING:
    from mpi4py.MPI import Comm

IPI = 0  # rank of i-PI
HELLO, INIT, WORK, RESULT, EXTRA, EXIT = range(1, 7)  # tags
COLOR = 30_000  # of our ranks when all ranks of the job are split; i-PI takes 0, its own drivers 1 and up
TURN = 0.5  # s, between ranks that report an error
LOOK = 0.05  # s, between looks whether i-PI ends
SOFT_END = 10.0  # s that i-PI gets to end by itself
EXIT_FILE = Path("EXIT")  # i-PI looks for it
CELL_NUMBERS = 18  # a cell and its inverse


def join(ranks: Comm, group_size: int, name: str) -> Comm:
    """Join the job that i-PI is rank 0 of, and greet it.

    Parameters
    ----------
    ranks : Comm
        All ranks of the job.
    group_size : int
        Ranks that share the evaluation of a batch.
    name : str
        Name of the ``<ffmpi>`` that this rank is for; may be empty if there is one only.

    Returns
    -------
    Comm
        The group of this rank.

    Raises
    ------
    MpiError
        If this rank is where i-PI belongs.
    """
    if ranks.rank == IPI:
        raise MpiError(
            "rank 0 of the job must be i-PI: `mpiexec -n 1 beadwise ipi INPUT.xml : -n N beadwise serve MODEL --mpi …`"
        )
    group = form_groups(ranks.Split(color=COLOR, key=ranks.rank), group_size, name)
    members = group.allgather(ranks.rank)
    if group.rank == 0:
        ranks.Send(np.array([ranks.rank, group.size, *members], INTEGER), dest=IPI, tag=HELLO)
        ranks.Send(np.frombuffer(name.encode(), np.uint8), dest=IPI, tag=HELLO)
    return group


class MpiDoor(Door):
    """A rank of i-PI's job, or several that share the work of one server; made on all ranks but i-PI's.

    Where a rank cannot go on, the whole job ends, as i-PI would wait forever: softly where i-PI runs in the same
    folder, so that it writes its RESTART.
    """

    def __init__(self, address: str, settings: DoorSettings):
        """Make the door; i-PI is rank 0 of the same job, and has no address."""
        settings.refuse_shared_memory()
        super().__init__(settings)
        self._group: Comm | None = None
        self._asked_to_end = False

    @property
    def where(self) -> str:
        """The size of groups; empty on all ranks but the first that serves."""
        if self._group is None or self._ranks.rank != IPI + 1:
            return ""
        return f"over MPI, in groups of {self._group.size}" if self._group.size > 1 else "over MPI"

    def __enter__(self) -> MpiDoor:
        """Find the other ranks.

        Raises
        ------
        MpiError
            If there is no MPI.
        """
        self._ranks = world()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the job after an error: at once before i-PI was greeted, else so that i-PI writes its RESTART."""
        if self._asked_to_end:
            EXIT_FILE.unlink(missing_ok=True)
        if isinstance(error, BeadwiseError):
            if self._group is None:
                # where all ranks fail alike, the first one says it and ends the others
                time.sleep(TURN * self._ranks.rank)
                say(error)
                self._ranks.Abort(2)
            say(error)
            _end_job(self._ranks)
            raise SystemExit(2) from error
        if isinstance(error, Exception):
            traceback.print_exception(error)
        if isinstance(error, (Exception, KeyboardInterrupt)):  # i-PI would wait for this rank forever
            self._ranks.Abort(1)

    @contextmanager
    def sharing(self, evaluator: Evaluator) -> Iterator[Evaluator | None]:
        """Greet i-PI, and share the work of the group's root; what is to be served, None where that was the root's.

        Raises
        ------
        MpiError
            If this rank is where i-PI belongs.
        """
        self._group = join(self._ranks, self.settings.group_size or 1, self.settings.force_field)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask_for_end)
        with one_server_of(evaluator, self._group) as together:
            yield together

    def _ask_for_end(self, number: int, frame: FrameType | None) -> None:
        """Let i-PI end in order after a signal, which would end all ranks before RESTART is written.

        A batch system and the launcher may both send one.
        """
        if not self._asked_to_end:
            self._asked_to_end = True
            EXIT_FILE.touch()

    def run(self, responder: Responder) -> None:
        """Answer i-PI until it says EXIT.

        Raises
        ------
        BeadwiseError
            If what it sends cannot be answered.
        """
        Conversation(responder, self._ranks).run()


def _end_job(ranks: Comm) -> None:
    """Let i-PI write its RESTART and say EXIT to all, or end all ranks where that does not work.

    i-PI waits for forces and reads no message, but looks every second for a file EXIT where it runs.
    """
    EXIT_FILE.touch()
    deadline = time.monotonic() + SOFT_END
    while not (is_ending := ranks.Iprobe(source=IPI, tag=EXIT)) and time.monotonic() < deadline:
        time.sleep(LOOK)
    EXIT_FILE.unlink(missing_ok=True)
    if not is_ending:
        ranks.Abort(2)


class Conversation:
    """What a group's root and i-PI say to each other after HELLO.

    Parameters
    ----------
    responder : Responder
        What answers.
    ranks : Comm
        All ranks of the job.
    """

    def __init__(self, responder: Responder, ranks: Comm):
        self._responder = responder
        self._ranks = ranks

    def run(self) -> None:
        """Answer until i-PI says EXIT."""
        answers = {INIT: self._initialize, WORK: self._evaluate}
        while (tag := self._next_tag()) != EXIT:
            if tag not in answers:
                raise ProtocolError(f"received an MPI message with the tag {tag}; i-PI sends {INIT}, {WORK} and {EXIT}")
            answers[tag]()
        self._receive(EXIT, INTEGER)

    def _next_tag(self) -> int:
        from mpi4py import MPI

        status = MPI.Status()
        wait_for(lambda: self._ranks.Iprobe(source=IPI, tag=MPI.ANY_TAG, status=status))
        return status.tag

    def _receive(self, tag: int, kind: np.dtype) -> np.ndarray:
        """The next message of i-PI with this tag, however long it is."""
        from mpi4py import MPI

        status = MPI.Status()
        self._ranks.Probe(source=IPI, tag=tag, status=status)
        message = np.empty(status.Get_count(MPI.BYTE) // kind.itemsize, kind)
        self._ranks.Recv(message, source=IPI, tag=tag)
        return message

    def _initialize(self) -> None:
        self._receive(INIT, INTEGER)  # a request, which says nothing about later ones, and the length of what follows
        text = self._receive(INIT, np.dtype(np.uint8)).tobytes()
        self._responder.take_parameters(decode_parameters(text.decode("utf-8", errors="replace")))

    def _evaluate(self) -> None:
        atoms, beads = self._receive(WORK, INTEGER).tolist()
        self._responder.check_atoms(atoms)
        rows = self._receive(WORK, REAL).reshape(beads, CELL_NUMBERS + 3 * atoms)
        # i-PI keeps lattice vectors in columns
        cells = rows[:, :9].reshape(beads, 3, 3).transpose(0, 2, 1)
        self._send(self._responder.answer(cells, rows[:, CELL_NUMBERS:].reshape(beads, atoms, 3)))

    def _send(self, answer: Answer) -> None:
        beads = len(answer.energies)
        parts = (answer.energies, answer.forces, answer.virials)
        numbers = np.concatenate([np.reshape(part, (beads, -1)) for part in parts], axis=1)
        extras = b"".join(len(extra).to_bytes(INTEGER.itemsize, "little") + extra for extra in answer.extras)
        self._ranks.Send(numbers, dest=IPI, tag=RESULT)
        self._ranks.Send(np.frombuffer(extras, np.uint8), dest=IPI, tag=EXTRA)
