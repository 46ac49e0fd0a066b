"""One running client of i-PI: its folder, its process, its socket."""

from __future__ import annotations

import math
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.socketio import IPIProtocol, SocketClosed

from ...reading import json_of
from ..structures import Batch, charge_of_frame
from ..worker_processes import end_with_parent
from .scratch import remove, scratch_folder, socket_name, socket_path

STRUCTURE = "structure.xyz"
LOG = "client.log"  # standard output and standard error
LOG_SUFFIXES = (".out", ".log", ".err")
CELLS = ("{cell_a}", "{cell_b}", "{cell_c}")
CHARGE = "{charge}"
PLACEHOLDERS = ("{address}", "{host}", "{port}", "{structure}", CHARGE, "{cell}", *CELLS)
PAUSE = 0.05  # s, between looks at whether a client that has not connected is still there
PATIENCE = 3.0  # s, that a client has to end once it is told to
LINES_SAID, LETTERS_SAID, LINES_KEPT = 8, 400, 60  # of a log: in a message, and in a file
ROOM = 20.0  # Å, of a cell around isolated atoms beyond their extent


class ClientFailure(Exception):  # noqa: N818 - it becomes an error of ours once it is known what the client wrote
    """What a client did instead of answering; ``is_late`` if it did nothing."""

    def __init__(self, message: str, is_late: bool = False):
        super().__init__(message)
        self.is_late = is_late


class _Patient:
    """A connected socket, as ASE's protocol uses one, that gives up at a deadline."""

    def __init__(self, connected: socket.socket):
        self._socket = connected
        self.deadline = 0.0

    def recv(self, length: int) -> bytes:
        self._wait()
        return self._socket.recv(length)

    def sendall(self, message: bytes) -> None:
        self._wait()
        self._socket.sendall(message)

    def close(self) -> None:
        self._socket.close()

    def _wait(self) -> None:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)


class ClientProgram:
    """A program that connects to a socket made here.

    Parameters
    ----------
    command : sequence of str
        Words, with `PLACEHOLDERS`.
    files : sequence of Path
        Copied to where it runs; those that are text have their `PLACEHOLDERS` filled in.
    atoms : ase.Atoms
        What it is started with.
    environment : mapping of str to str
        Added to that of this process.
    """

    def __init__(
        self, command: Sequence[str], files: Sequence[Path], atoms: Atoms, environment: Mapping[str, str] | None = None
    ):
        self.atoms = atoms.copy()
        self._command, self._files = command, files
        self._environment = {"OMP_NUM_THREADS": "1", **os.environ, **(environment or {})}
        self._folder: Path | None = None
        self._listener: socket.socket | None = None
        self._connection: _Patient | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._unix = socket_name()

    @property
    def is_connected(self) -> bool:
        """Whether it has been started, and has found its socket."""
        return self._connection is not None

    def start(self, deadline: float) -> None:
        """Start the program and wait until it connects.

        Parameters
        ----------
        deadline : float
            On the clock of ``time.monotonic``.

        Raises
        ------
        ClientFailure
            If it cannot be started, ends, or does not connect in time.
        """
        texts = [*self._command, *(path.read_bytes().decode("utf-8", errors="ignore") for path in self._files)]
        uses_port = any("{port}" in text for text in texts)
        values = self._listen(uses_port) | _geometry_words(self.atoms)
        self._folder = scratch_folder()
        for path in self._files:
            (self._folder / path.name).write_bytes(_filled_content(path.read_bytes(), values))
        from ase.io import write  # takes long to import, and servers of other models need it not

        write(self._folder / STRUCTURE, _without_labels(self.atoms), format="extxyz")
        self._process = self._run([_filled(word, values) for word in self._command])
        self._accept(deadline)

    def ask(self, atoms: Atoms, deadline: float) -> dict[str, np.ndarray]:
        """Ask for one structure.

        Parameters
        ----------
        atoms : ase.Atoms
            The same atoms in the same order as those that it was started with.
        deadline : float
            On the clock of ``time.monotonic``.

        Returns
        -------
        dict of str to ndarray
            ``energy`` in eV, ``forces`` (atoms, 3) in eV/Å, ``virial`` (3, 3) in eV, all zeros where the program has
            none, and ``extras``, whose bytes `extras_of` reads.

        Raises
        ------
        ClientFailure
            If there is no whole answer before the deadline.
        """
        if self._connection is None:
            raise ClientFailure("is not connected")
        self._connection.deadline = deadline
        try:
            answer = IPIProtocol(self._connection).calculate(atoms.positions, client_cell(atoms))
        except TimeoutError as error:
            raise ClientFailure("did not answer in time", is_late=True) from error
        except (SocketClosed, OSError) as error:
            raise ClientFailure(f"{self._end_of_process()} in the middle of an answer") from error
        except Exception as error:  # ASE's protocol asserts
            words = str(error) or "numbers that are not finite, or cannot be counted"
            raise ClientFailure(f"answered what i-PI's protocol does not know: {words}") from error
        arrays = {name: np.asarray(answer[name], dtype=np.float64) for name in ("energy", "forces", "virial")}
        return arrays | {"extras": np.asarray(answer["morebytes"])}

    def settle(self) -> None:
        """Give a program whose connection is lost a moment to write why."""
        if self._process is not None and self._connection is not None:
            self._connection.close()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(PATIENCE / 3)

    def last_words(self) -> tuple[str, str]:
        """What the program wrote last: a few words, and the ends of its logs."""
        if self._folder is None:
            return "", ""
        logs = [path for path in self._folder.iterdir() if path.suffix in LOG_SUFFIXES and path.is_file()]
        logs.sort(key=lambda path: (path.name == LOG, path.name))  # a program's own log says more than its output
        ends = {path.name: _end_of(path) for path in logs}
        said = [_words_of(lines) for lines in ends.values()]
        kept = [f"{name}:\n" + "\n".join(lines) for name, lines in ends.items() if lines]
        return next((words for words in said if words), ""), "\n\n".join(kept)

    def end(self) -> None:
        """Say EXIT, as i-PI does, and end what does not end by itself."""
        if self._connection is not None and self._process is not None:
            self._connection.deadline = time.monotonic() + PATIENCE
            with suppress(OSError):
                IPIProtocol(self._connection).end()
            self._connection.close()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(PATIENCE)
        self.kill()

    def kill(self) -> None:
        """End the program and all that it has started, and remove what it leaves."""
        self._stop_listening()
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            for number in (signal.SIGTERM, signal.SIGKILL):
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, number)
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(PATIENCE)
        if self._folder is not None:
            remove(self._folder)

    def _listen(self, uses_port: bool) -> dict[str, str]:
        """Make the socket, and say how it is reached."""
        if uses_port:
            self._listener = socket.create_server(("127.0.0.1", 0))
            port = str(self._listener.getsockname()[1])
            return {"{address}": "127.0.0.1", "{host}": "127.0.0.1", "{port}": port}
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(socket_path(self._unix)))
        self._listener.listen(1)
        return {"{address}": self._unix, "{host}": self._unix}

    def _run(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start the program in a session of its own, so that Ctrl-C does not reach it."""
        assert self._folder is not None
        try:
            with open(self._folder / LOG, "wb") as log:
                return subprocess.Popen(
                    command,
                    cwd=self._folder,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    preexec_fn=end_with_parent(os.getpid()) if sys.platform == "linux" else None,
                )
        except OSError as error:
            raise ClientFailure(f"cannot be started: {error.strerror or error}") from error

    def _accept(self, deadline: float) -> None:
        """Wait for the one connection; the socket is gone from then on."""
        assert self._listener is not None and self._process is not None
        self._listener.settimeout(PAUSE)
        while self._connection is None:
            with suppress(TimeoutError):
                connected, _ = self._listener.accept()
                self._connection = _Patient(connected)
            if self._connection is None and self._process.poll() is not None:
                raise ClientFailure(f"{self._end_of_process()} before it connected")
            if self._connection is None and time.monotonic() > deadline:
                raise ClientFailure("did not connect in time", is_late=True)
        self._stop_listening()

    def _stop_listening(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
            socket_path(self._unix).unlink(missing_ok=True)

    def _end_of_process(self) -> str:
        """How the program ended, once it has hung up."""
        assert self._process is not None
        try:
            status = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            return "hung up"
        return f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"


def same_for_client(first: Atoms, atoms: Atoms) -> bool:
    """Whether a program that was started with the first can be asked for the others, but for their cell."""
    same = np.array_equal(first.numbers, atoms.numbers) and np.array_equal(first.pbc, atoms.pbc)
    return same and (charge_of_frame(first) or 0.0) == (charge_of_frame(atoms) or 0.0)


def client_cell(atoms: Atoms) -> np.ndarray:
    """Cell that a client is told, shape (3, 3) in Å.

    That of the atoms; isolated ones, for which i-PI's protocol has no word, get a box that leaves room around them.

    Raises
    ------
    ClientFailure
        If the atoms are periodic and their cell has no volume.
    """
    if atoms.cell.rank == 3:
        return atoms.cell.array
    if atoms.pbc.any():
        raise ClientFailure(f"cannot be asked: periodic atoms with the cell {atoms.cell.array.tolist()}, of no volume")
    return np.eye(3) * (math.ceil(np.ptp(atoms.positions, axis=0).max()) + ROOM)


def _without_labels(atoms: Atoms) -> Atoms:
    told = Batch(atoms.numbers, atoms.positions[None], client_cell(atoms)[None], atoms.pbc, charge_of_frame(atoms))
    return told.to_ase(0)


def _geometry_words(atoms: Atoms) -> dict[str, str]:
    """What takes the place of the words about the structure."""
    vectors = [" ".join(f"{component:.12f}" for component in vector) for vector in client_cell(atoms)]
    names = dict(zip(CELLS, vectors, strict=True))
    charge = f"{charge_of_frame(atoms) or 0.0:.12g}"
    return {"{structure}": STRUCTURE, CHARGE: charge, "{cell}": " ".join(vectors), **names}


def _filled(text: str, values: Mapping[str, str]) -> str:
    """Fill in `PLACEHOLDERS`; other braces, and ``${…}``, are the program's own."""
    return re.sub(r"(?<!\$)\{[a-z_]+\}", lambda found: values.get(found[0], found[0]), text)


def _filled_content(content: bytes, values: Mapping[str, str]) -> bytes:
    try:
        return _filled(content.decode("utf-8"), values).encode()
    except UnicodeDecodeError:  # no text
        return content


def extras_of(answer: Mapping[str, np.ndarray]) -> dict[str, object]:
    """What an answer holds beside energy, forces and virial: a JSON dictionary.

    Most programs send something else, or nothing; it is empty then.
    """
    try:
        extras = json_of(np.asarray(answer["extras"]).tobytes())
    except (ValueError, RecursionError):
        return {}
    return extras if isinstance(extras, dict) else {}


def _end_of(path: Path) -> list[str]:
    """Last lines of a log."""
    with suppress(OSError):
        lines = path.read_bytes()[-100 * LINES_KEPT :].decode("utf-8", errors="replace").splitlines()
        return [line.rstrip() for line in lines if line.strip()][-LINES_KEPT:]
    return []


def _words_of(lines: Sequence[str]) -> str:
    """Last lines in one, without frames and rules."""
    plain = (re.sub(r"\s+", " ", re.sub(r"^[^\w[(]*_*\W*\s", "", f" {line}").strip(" *|=-")) for line in lines)
    said = [line for line in plain if re.search("[^\\W\\d_]{2}", line)][-LINES_SAID:]
    while len(said) > 1 and len(" / ".join(said)) > LETTERS_SAID:
        said.pop(0)
    return " / ".join(said)[-LETTERS_SAID:]
