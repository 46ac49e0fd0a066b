"""A program in another environment or language as an evaluator: it speaks i-PI's protocol as a client.

Several of them share the beads of a batch.  One that dies is started anew, and its bead is asked for again.
"""

from __future__ import annotations

import logging
import queue
import shlex
import shutil
import time
import weakref
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.units import Bohr, Hartree

from ...properties.quantities import ALWAYS_SENT, properties
from ...suggestions import did_you_mean
from ..checks import refuse_other_charge
from ..errors import EvaluatorError, StructureError
from ..response import Response, refuse_unavailable
from ..structures import Batch, is_charge
from . import PREFIX, SEPARATOR, USAGE
from .program import CHARGE, ClientFailure, ClientProgram, client_cell, extras_of, same_for_client

logger = logging.getLogger(__name__)

RESTARTS = ("species", "cell")
TRIES = 2  # of a bead: a program that dies twice over it will die of it again
WHERE = ("{address}", "{port}")  # what reaches the socket, by its name, or by host and port


@dataclass(frozen=True)
class ClientCommand:
    """What ``client:…`` says.

    Parameters
    ----------
    words : tuple of str
        The program and its arguments.
    processes : int
        How many of it share the beads of a batch.
    files : tuple of str
        Copied to where it runs, with words in braces filled in.
    timeout : float
        Seconds in which it must have answered, its start included.
    restart : str
        ``species``: it goes on as long as the atoms are the same; ``cell``: it is started anew for another cell, too.
    properties : tuple of str
        What it sends beside energy, forces and virial, as JSON in atomic units (`beadwise serve` does).
    charge : float or None
        Total charge in e that it is started with; by default that of the structures, if a word or file has `CHARGE`.
    environment : dict of str to str
        Variables whose names are in capitals.
    """

    words: tuple[str, ...]
    processes: int = 1
    files: tuple[str, ...] = ()
    timeout: float = 3600.0
    restart: str = "species"
    properties: tuple[str, ...] = ()
    charge: float | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


def read_command(text: str) -> ClientCommand:
    """Read what stands behind ``client:``, ``processes=2 OMP_NUM_THREADS=1 python driver.py {address}``.

    Raises
    ------
    EvaluatorError
        If it names no program, a key is unknown, a value is not allowed, or nothing says where to connect.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise EvaluatorError(f"'{PREFIX}:{text}' cannot be read: {error}; it is written {USAGE}") from error
    given: dict[str, str] = {}
    while words and words[0].partition("=")[1] and words[0].partition("=")[0].isidentifier():
        key, _, value = words.pop(0).partition("=")
        given[key] = value
    if not words:
        raise EvaluatorError(f"'{PREFIX}:{text}' names no program; it is written {USAGE}")
    environment = {key: value for key, value in given.items() if key.isupper()}
    allowed = ("processes", "files", "timeout", "restart", "properties", "charge")
    for key in given:
        if key not in allowed and key not in environment:
            raise EvaluatorError(
                f"'{PREFIX}:{text}' has '{key}'; allowed are {list(allowed)}, and variables of the environment in "
                f"capitals{did_you_mean(key, allowed)}"
            )
    command = ClientCommand(
        tuple(words),
        int(_number(given, "processes", int, 1)),
        tuple(filter(None, given.get("files", "").split(SEPARATOR))),
        float(_number(given, "timeout", float, 3600.0)),
        given.get("restart", "species"),
        tuple(filter(None, given.get("properties", "").split(SEPARATOR))),
        _charge(given["charge"]) if "charge" in given else None,
        environment,
    )
    _check(command, text)
    return command


def _number(given: Mapping[str, str], key: str, kind: type, otherwise: float) -> int | float:
    try:
        value = kind(given.get(key, otherwise))
    except ValueError:
        value = 0
    if not 0 < value < np.inf:
        raise EvaluatorError(
            f"{key} of a client is '{given[key]}'; a {'whole ' * (kind is int)}number above 0 is needed"
        )
    return value


def _charge(said: str) -> float:
    try:
        charge = float(said)
    except ValueError:
        charge = np.nan
    if not is_charge(charge):
        raise EvaluatorError(f"charge of a client is '{said}'; a finite number in e is needed")
    return charge


def _check(command: ClientCommand, text: str) -> None:
    """Refuse what would fail only once a structure is asked for."""
    if command.restart not in RESTARTS:
        raise EvaluatorError(f"restart of a client is '{command.restart}'; allowed are {list(RESTARTS)}")
    known = [name for name, one in properties().items() if one.key]
    for name in command.properties:
        if name not in known:
            raise EvaluatorError(f"a client cannot send '{name}'; allowed are {known}{did_you_mean(name, known)}")
    if not _asks_for(command, WHERE):
        raise EvaluatorError(
            f"'{PREFIX}:{text}' does not say where to connect; the command or one of its files must have {{address}}, "
            "or {host} and {port}"
        )
    if shutil.which(command.words[0]) is None:
        raise EvaluatorError(f"there is no program '{command.words[0]}', which '{PREFIX}:{text}' names")


def _asks_for(command: ClientCommand, names: Sequence[str]) -> bool:
    """Whether one of some words in braces stands in the command or its files."""
    texts = [*command.words]
    for name in command.files:
        try:
            texts.append(Path(name).read_bytes().decode("utf-8", errors="ignore"))
        except OSError as error:
            raise EvaluatorError(f"the file '{name}' of a client cannot be read: {error.strerror or error}") from error
    return any(name in one for name in names for one in texts)


class ClientPotential:
    """One or several running programs that answer for beads.

    They are started when a structure is first asked for, and end with this object.

    Parameters
    ----------
    command : ClientCommand
    """

    species: tuple[int, ...] = ()

    def __init__(self, command: ClientCommand):
        self.command = command
        self.properties = tuple(name for name in properties() if name in (*ALWAYS_SENT, *command.properties))
        self.name = Path(command.words[0]).name
        self.provider = ""
        self._has_warned = False
        self._is_told_charges = _asks_for(command, [CHARGE])
        self._running: queue.SimpleQueue[ClientProgram | None] | None = None
        self._threads: ThreadPoolExecutor | None = None

    def __repr__(self) -> str:
        return f"ClientPotential({shlex.join(self.command.words)}: {', '.join(self.properties)})"

    def __reduce__(self) -> tuple[type, tuple[ClientCommand]]:
        """A copy has programs of its own."""
        return ClientPotential, (self.command,)

    def evaluate(self, batch: Batch, want: Sequence[str]) -> Response:
        """Answer the wanted properties for every bead.

        Parameters
        ----------
        batch : Batch
        want : sequence of str
            Names out of `properties`.

        Raises
        ------
        PropertyError
            If a wanted property is not available.
        StructureError
            If a program fails twice over a bead, with the end of its log, or does not send what it was said to send;
            or if the batch has a charge that it would not be told.
        """
        refuse_unavailable(want, self.properties, f"the client {self.name}")
        charge = self.command.charge
        if charge is not None:
            refuse_other_charge(batch, charge, f"the client {self.name}")
            batch = replace(batch, charge=charge)
        elif batch.charge and not self._is_told_charges:
            raise StructureError(
                f"structures have the charge {batch.charge:g}, which the client {self.name} would not be told: its "
                f"command or a file needs {CHARGE}, or charge={batch.charge:g} says that it knows"
            )
        beads = [batch.to_ase(bead) for bead in range(batch.beads)]
        answers = list(self._pool().map(lambda bead: self._of_bead(bead, beads[bead], want), range(batch.beads)))
        if "virial" in want and any(batch.periodic) and not any(answer["virial"].any() for answer in answers):
            self._warn()
        return Response(**{name: np.array([answer[name] for answer in answers]) for name in want})

    def close(self) -> None:
        """End all programs."""
        running, threads = self._running, self._threads
        self._running = self._threads = None
        if running is not None and threads is not None:
            _end(running, threads)

    def _pool(self) -> ThreadPoolExecutor:
        """Threads, and a place for a program for each of them; programs die with the thread that started them."""
        if self._threads is None:
            self._running = queue.SimpleQueue()
            for _ in range(self.command.processes):
                self._running.put(None)
            self._threads = ThreadPoolExecutor(self.command.processes, "client")
            weakref.finalize(self, _end, self._running, self._threads)
        return self._threads

    def _of_bead(self, bead: int, atoms: Atoms, want: Sequence[str]) -> dict[str, np.ndarray]:
        assert self._running is not None
        program = self._running.get()
        for left in reversed(range(TRIES)):
            deadline = time.monotonic() + self.command.timeout
            try:
                program = self._for_atoms(program, atoms)
                if not program.is_connected:
                    program.start(deadline)
                answer = program.ask(atoms, deadline)
            except ClientFailure as failure:
                said = _given_up(program)
                program = None
                if not left or failure.is_late:
                    self._running.put(None)
                    raise StructureError(f"the client {self.name} {failure} for bead {bead}{said}") from failure
                logger.warning("the client %s %s%s; it is started anew", self.name, failure, said)
            except BaseException:
                _given_up(program)
                self._running.put(None)
                raise
            else:
                self._running.put(program)
                return self._arrays(bead, len(atoms), answer, want)
        raise AssertionError("the last try returns or raises")

    def _for_atoms(self, program: ClientProgram | None, atoms: Atoms) -> ClientProgram:
        """A program that can be asked for these atoms, which may have to be started."""
        if program is not None and self._can_go_on(program, atoms):
            return program
        if program is not None:
            program.end()
        files = [Path(name) for name in self.command.files]
        return ClientProgram(self.command.words, files, atoms, self.command.environment)

    def _can_go_on(self, program: ClientProgram, atoms: Atoms) -> bool:
        first = program.atoms
        same_cell = self.command.restart == "species" or np.array_equal(client_cell(first), client_cell(atoms))
        return same_cell and same_for_client(first, atoms)

    def _arrays(
        self, bead: int, atoms: int, answer: Mapping[str, np.ndarray], want: Sequence[str]
    ) -> dict[str, np.ndarray]:
        """The wanted properties in eV, Å and e."""
        extras = extras_of(answer) if set(want) - set(ALWAYS_SENT) else {}
        arrays = {name: answer[name] for name in want if name in ALWAYS_SENT}
        for name in want:
            if name in arrays:
                continue
            one = properties()[name]
            if one.key not in extras:
                raise StructureError(
                    f"the client {self.name} sends no '{one.key}' for bead {bead}; it sends "
                    f"{sorted(extras) or 'nothing'} beside energy, forces and virial"
                )
            samples = {"cell": (), "atom": (atoms,)}.get(one.per, (-1,))
            unit = Hartree**one.unit.energy * Bohr**one.unit.length  # extras are in atomic units
            try:
                arrays[name] = np.array(extras[one.key], dtype=np.float64).reshape(*samples, *one.shape) * unit
            except (TypeError, ValueError) as error:
                raise StructureError(
                    f"the client {self.name} sends a '{one.key}' that is no {name}: {error}"
                ) from error
        return arrays

    def _warn(self) -> None:
        if not self._has_warned:
            logger.warning("the client %s sends zeros for the virial: constant pressure would be wrong", self.name)
            self._has_warned = True


def _end(running: queue.SimpleQueue[ClientProgram | None], threads: ThreadPoolExecutor) -> None:
    """End the programs of a potential that is gone."""
    threads.shutdown(wait=True, cancel_futures=True)
    while not running.empty():
        program = running.get()
        if program is not None:
            program.end()


def _given_up(program: ClientProgram | None) -> str:
    """End a program that failed, and tell what it wrote last."""
    if program is None:
        return ""
    program.settle()
    words, _ = program.last_words()
    program.kill()
    return f"; its last words: {words}" if words else "; it wrote nothing"
