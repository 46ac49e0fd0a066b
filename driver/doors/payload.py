"""How structures and forces travel once i-PI is connected: as bytes on the socket, or through shared memory."""

from __future__ import annotations

import sys
from collections.abc import Callable
from multiprocessing import resource_tracker, shared_memory
from typing import Protocol

import numpy as np

from .protocol import INTEGER, REAL, ProtocolError, Read, encode_extras_only, encode_forces, read_atoms, read_structures
from .responder import Answer

SEGMENT_PREFIX = b"ipi_shm_"
SEGMENTS = ("pos", "h", "ih", "pot", "force", "vir")
LONGEST_NAME = 255  # of a file, which is what a segment is on Linux


class Payload(Protocol):
    """Takes structures from i-PI and leaves forces for it, with the same batch size for a whole connection."""

    def __enter__(self) -> Payload: ...

    def __exit__(self, *exception: object) -> None: ...

    def take(self, read: Read, batch_size: int, check_atoms: Callable[[int], None]) -> tuple[np.ndarray, np.ndarray]:
        """Cells, lattice vectors in rows, and positions of a batch, in bohr."""
        ...

    def leave(self, answer: Answer) -> bytes:
        """Leave the answer where i-PI looks for it, and return what has to be sent."""
        ...


class StreamPayload:
    """Everything goes over the socket."""

    def __init__(self) -> None:
        self._is_first = True

    def __enter__(self) -> StreamPayload:
        return self

    def __exit__(self, *exception: object) -> None:
        """Nothing is held."""

    def take(self, read: Read, batch_size: int, check_atoms: Callable[[int], None]) -> tuple[np.ndarray, np.ndarray]:
        """Decode what follows a POSDATA header; see `protocol.read_structures`.

        Raises
        ------
        ProtocolError
            If i-PI uses shared memory: the first message tells.
        """
        if self._is_first:
            names_segments, read = _names_segments(read)
            if names_segments:
                raise ProtocolError(
                    "the <ffsocket> of i-PI has mode='shm', shared memory; `beadwise serve` needs --shm for it"
                )
            self._is_first = False
        return read_structures(read, batch_size, check_atoms)

    def leave(self, answer: Answer) -> bytes:
        """Encode the whole reply to GETFORCE."""
        return encode_forces(answer.energies, answer.forces, answer.virials, answer.extras)


class SharedMemoryPayload:
    """Arrays lie in i-PI's shared memory (``<ffsocket mode='shm'>``), words go over the socket.

    i-PI owns the segments: it makes them, sized for a batch, before its first POSDATA, names them there, and removes
    them.  It fills them before it sends POSDATA, and reads the answer only after FORCEREADY, so nothing has to be
    locked.
    """

    def __init__(self) -> None:
        self._segments: list[shared_memory.SharedMemory] = []
        self._arrays: dict[str, np.ndarray] = {}

    def __enter__(self) -> SharedMemoryPayload:
        return self

    def __exit__(self, *exception: object) -> None:
        """Let go of the segments; i-PI removes them."""
        self._arrays.clear()  # an array that looks into a segment keeps it open
        for segment in self._segments:
            segment.close()
        self._segments.clear()

    def take(self, read: Read, batch_size: int, check_atoms: Callable[[int], None]) -> tuple[np.ndarray, np.ndarray]:
        """Read what follows a POSDATA header, and the structures in shared memory.

        Parameters
        ----------
        read : callable
            Returns exactly as many bytes as asked for.
        batch_size : int
            Number of structures announced by INIT.
        check_atoms : callable
            Called with the number of atoms, to raise if it is not the expected one.

        Returns
        -------
        cells : ndarray of float64, shape (batch_size, 3, 3)
            Lattice vectors in bohr, one per row; a copy, as i-PI may change the segment.
        positions : ndarray of float64, shape (batch_size, atoms, 3)
            In bohr; a copy.

        Raises
        ------
        ProtocolError
            If i-PI does not use shared memory, or its segments are not on this machine or too small.
        """
        if self._arrays:
            atoms = read_atoms(read)
        else:
            atoms = self._attach(read, batch_size)
        check_atoms(atoms)
        if self._arrays["pos"].shape[1] != atoms:
            raise ProtocolError(f"received {atoms} atoms; shared memory is laid out for {self._arrays['pos'].shape[1]}")
        # i-PI keeps lattice vectors in columns
        return self._arrays["h"].transpose(0, 2, 1).copy(), self._arrays["pos"].copy()

    def leave(self, answer: Answer) -> bytes:
        """Write the arrays into shared memory; FORCEREADY and the extras are to be sent."""
        self._arrays["pot"][:] = answer.energies
        self._arrays["force"][:] = answer.forces
        self._arrays["vir"][:] = answer.virials
        return encode_extras_only(answer.extras)

    def _attach(self, read: Read, batch_size: int) -> int:
        """Open the segments that the first message names; the number of atoms that they are laid out for."""
        names_segments, read = _names_segments(read)
        if not names_segments:
            raise ProtocolError(
                "the <ffsocket> of i-PI does not have mode='shm', shared memory; `beadwise serve` must go without --shm"
            )
        atoms = read_atoms(read)
        shapes = {
            "pos": (batch_size, atoms, 3),
            "h": (batch_size, 3, 3),
            "ih": (batch_size, 3, 3),
            "pot": (batch_size,),
            "force": (batch_size, atoms, 3),
            "vir": (batch_size, 3, 3),
        }
        names = [_read_name(read) for _ in SEGMENTS]
        for kind, name in zip(SEGMENTS, names, strict=True):
            segment = _open_segment(name)
            self._segments.append(segment)
            needed = int(np.prod(shapes[kind])) * REAL.itemsize
            if segment.size < needed:
                raise ProtocolError(f"i-PI's shared memory '{name}' holds {segment.size} bytes; {needed} are needed")
            self._arrays[kind] = np.ndarray(shapes[kind], REAL, buffer=segment.buf)
        return atoms


def _names_segments(read: Read) -> tuple[bool, Read]:
    """Whether the first message after POSDATA names segments, and a `read` that begins there again.

    Otherwise it holds a cell, or the number of atoms and cells, and a server would wait for bytes that never come.
    """
    begin = read(2 * INTEGER.itemsize + len(SEGMENT_PREFIX))
    rest = [begin]

    def read_again(length: int) -> bytes:
        begin = rest[0][:length]
        rest[0] = rest[0][length:]
        return begin + read(length - len(begin)) if len(begin) < length else begin

    return begin.endswith(SEGMENT_PREFIX), read_again


def _read_name(read: Read) -> str:
    """Name of one segment: its length, then its characters."""
    length = int(np.frombuffer(read(INTEGER.itemsize), INTEGER)[0])
    if not 0 < length <= LONGEST_NAME:
        raise ProtocolError(f"i-PI names its shared memory with {length} characters; allowed are 1 to {LONGEST_NAME}")
    return read(length).decode("ascii", errors="replace")


def _open_segment(name: str) -> shared_memory.SharedMemory:
    """Attach to a segment without taking charge of it."""
    try:
        if sys.version_info >= (3, 13):
            return shared_memory.SharedMemory(name=name, track=False)
        segment = shared_memory.SharedMemory(name=name)
    except (OSError, ValueError) as error:
        raise ProtocolError(
            f"cannot open i-PI's shared memory '{name}' ({error}); it works only on the machine that runs i-PI"
        ) from error
    # before Python 3.13 whoever attaches would remove the segment at its end, under i-PI's feet
    resource_tracker.unregister(segment._name, "shared_memory")  # type: ignore[attr-defined]
    return segment
