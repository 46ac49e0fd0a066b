"""i-PI's wire protocol as bytes: what i-PI asks, decoded, and what it expects, encoded; atomic units throughout.

Headers are 12 bytes, space padded; numbers are int32 and float64, little endian.  Decoders take a ``read`` that
returns exactly the number of bytes it is asked for, so that they know nothing of sockets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ...model import BeadwiseError
from ...reading import shown

HEADER_LENGTH = 12
LONGEST_STRING = 1 << 20  # bytes of <parameters>
LARGEST_BATCH = 100_000  # structures at a time: more than any ring polymer has beads
REQUESTS = ("STATUS", "INIT", "POSDATA", "GETFORCE", "EXIT")
INTEGER = np.dtype("<i4")
REAL = np.dtype("<f8")

Read = Callable[[int], bytes]


class ProtocolError(BeadwiseError):
    """Something that i-PI does not say, or not at this point of the conversation."""


@dataclass(frozen=True)
class Initialization:
    """What INIT brings.

    Parameters
    ----------
    request : int
        Identifier of the request that i-PI is about to send first; it says nothing about later ones.
    parameters : dict of str to str
        The ``<parameters>`` of i-PI's ``<ffsocket>``, without the batch size.
    batch_size : int
        Number of structures in every POSDATA.
    """

    request: int
    parameters: dict[str, str]
    batch_size: int


def encode_header(name: str) -> bytes:
    """Header of 12 bytes, upper case and space padded."""
    return name.ljust(HEADER_LENGTH).encode("ascii")


NEEDINIT = encode_header("NEEDINIT")
READY = encode_header("READY")
HAVEDATA = encode_header("HAVEDATA")
FORCEREADY = encode_header("FORCEREADY")


def read_header(read: Read) -> str:
    """Name of the next request.

    Raises
    ------
    ProtocolError
        If it is not one of ``REQUESTS``.
    """
    header = read(HEADER_LENGTH)
    name = header.decode("ascii", errors="replace").rstrip()
    if name not in REQUESTS:
        raise ProtocolError(f"received the header {header!r}; i-PI sends {', '.join(REQUESTS)}")
    return name


def read_initialization(read: Read) -> Initialization:
    """Decode what follows an INIT header.

    Raises
    ------
    ProtocolError
        If the length of the string or the batch size makes no sense.
    """
    request, length = np.frombuffer(read(2 * INTEGER.itemsize), INTEGER).tolist()
    if not 0 <= length <= LONGEST_STRING:
        raise ProtocolError(f"INIT announces a string of {length} bytes; allowed are 0 to {LONGEST_STRING}")
    parameters = decode_parameters(read(length).decode("utf-8", errors="replace"))
    return Initialization(request, parameters, _pop_batch_size(parameters))


def decode_parameters(text: str) -> dict[str, str]:
    """Split ``name : value , name : value`` into a dictionary; words without a colon are dropped.

    ASE sends a single zero byte where i-PI sends this string.
    """
    pairs = (word.partition(":") for word in text.strip("\0 ").split(","))
    return {name.strip(): value.strip() for name, colon, value in pairs if colon}


def _pop_batch_size(parameters: dict[str, str]) -> int:
    """Take the batch size, which i-PI appends to the user's parameters, out of them."""
    text = parameters.pop("batch_size", "1")
    if not text.isdecimal() or len(text) > len(str(LARGEST_BATCH)) or not 1 <= int(text) <= LARGEST_BATCH:
        raise ProtocolError(
            f"INIT announces batch_size '{shown(text)}'; must be an integer of at least 1, at most {LARGEST_BATCH}"
        )
    return int(text)


def read_structures(
    read: Read, batch_size: int, check_atoms: Callable[[int], None] = lambda atoms: None
) -> tuple[np.ndarray, np.ndarray]:
    """Decode what follows a POSDATA header.

    Parameters
    ----------
    read : callable
        Returns exactly as many bytes as asked for.
    batch_size : int
        Number of structures announced by INIT.
    check_atoms : callable, optional
        Called with the number of atoms before any position is read, to raise if it is not the expected one.

    Returns
    -------
    cells : ndarray of float64, shape (batch_size, 3, 3)
        Lattice vectors in bohr, one per row.
    positions : ndarray of float64, shape (batch_size, atoms, 3)
        In bohr.

    Raises
    ------
    ProtocolError
        If the number of atoms is not positive.
    """
    # a lone structure sends its cell before the number of atoms, a batch sends all cells after it
    cell_bytes = read(_cell_bytes(1)) if batch_size == 1 else b""
    atoms = read_atoms(read)
    check_atoms(atoms)
    if batch_size > 1:
        cell_bytes = read(_cell_bytes(batch_size))
    cells_and_inverses = np.frombuffer(cell_bytes, REAL).reshape(batch_size, 2, 3, 3)
    positions = np.frombuffer(read(batch_size * atoms * 3 * REAL.itemsize), REAL)
    # i-PI keeps lattice vectors in columns
    cells = cells_and_inverses[:, 0].transpose(0, 2, 1)
    return cells, positions.reshape(batch_size, atoms, 3)


def read_atoms(read: Read) -> int:
    """Number of atoms of every structure.

    Raises
    ------
    ProtocolError
        If it is not positive.
    """
    atoms = int(np.frombuffer(read(INTEGER.itemsize), INTEGER)[0])
    if atoms < 1:
        raise ProtocolError(f"POSDATA announces {atoms} atoms; must be at least 1")
    return atoms


def _cell_bytes(batch_size: int) -> int:
    """Bytes of that many cells, each with its inverse."""
    return batch_size * 18 * REAL.itemsize


def encode_forces(energies: np.ndarray, forces: np.ndarray, virials: np.ndarray, extras: Sequence[bytes]) -> bytes:
    """Encode the whole reply to GETFORCE as one buffer.

    i-PI drops a client that pauses in the middle of a reply, so the reply is complete before its first byte is sent.

    Parameters
    ----------
    energies : ndarray of float64, shape (beads,)
        In hartree.
    forces : ndarray of float64, shape (beads, atoms, 3)
        In hartree/bohr.
    virials : ndarray of float64, shape (beads, 3, 3)
        Negative derivative of the energy with respect to strain ε_ab, row a, column b, in hartree.  i-PI keeps the
        upper triangle, which loses nothing: without a field the virial is symmetric, and in a field the cell, whose
        lattice vectors stay an upper triangle, takes just that part.
    extras : sequence of bytes, one per bead
        JSON dictionaries.
    """
    parts = [
        FORCEREADY,
        _encode(energies, REAL),
        _encode(forces.shape[1], INTEGER),
        _encode(forces, REAL),
        _encode(virials, REAL),
    ]
    return b"".join([*parts, *_encode_extras(extras)])


def encode_extras_only(extras: Sequence[bytes]) -> bytes:
    """Encode the reply to GETFORCE where everything but the extras lies in shared memory.

    Parameters
    ----------
    extras : sequence of bytes, one per bead
        JSON dictionaries.
    """
    return b"".join([FORCEREADY, *_encode_extras(extras)])


def _encode_extras(extras: Sequence[bytes]) -> list[bytes]:
    """Each with its length before it."""
    return [part for extra in extras for part in (_encode(len(extra), INTEGER), extra)]


def _encode(values: np.ndarray | int, kind: np.dtype) -> bytes:
    """Bytes of an array in row-major order."""
    return np.asarray(values, kind).tobytes()
