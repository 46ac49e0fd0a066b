"""One run at a time in a folder, and at an address.

Whoever holds a claim is a process, not a file: the operating system takes a claim back when the last process that has
it open is gone, however that happens.  i-PI has it open as well, so that a new run does not begin while the i-PI of one
that was killed is still writing its RESTART.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from ...runs.input.elements import InputError
from ...runs.input.run_input import RunInput

LOCK = ".beadwise.lock"
PATIENCE = 8.0  # s, for the i-PI of a run that is gone
LOOK = 0.2  # s
BEAT = 4.0  # s, between signs of life for machines that do not see one another's locks
SILENCE = 3 * BEAT
SECOND_LOOK = 1.0  # s
LENGTH = 300  # of what stands in a lock, always the same, so that it never has to grow
NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL)  # of a file system without locks


Claimed = TypeVar("Claimed")


class Claim:
    """The right to run in a folder and at its addresses.

    Parameters
    ----------
    lock : int
        Descriptor of the folder's lock.
    addresses : tuple of int
        Descriptors of what stands for addresses.
    """

    def __init__(self, lock: int, addresses: tuple[int, ...]):
        self.descriptors = (lock, *addresses)
        self._lock = lock
        self._beat_due = time.monotonic() + BEAT

    def note_ipi(self, process: int) -> None:
        """Leave word of i-PI, for whoever finds what it left behind if it is killed together with this process."""
        _write(self._lock, Holder(socket.gethostname(), os.getpid(), process))

    def beat(self) -> None:
        """Give a sign of life now and then; called often."""
        if time.monotonic() >= self._beat_due:
            with suppress(OSError):
                os.utime(self._lock)
            self._beat_due = time.monotonic() + BEAT


@dataclass(frozen=True)
class Holder:
    """Who says in a lock that it has it; `ipi` is 0 before there is one."""

    host: str
    process: int
    ipi: int = 0

    @classmethod
    def read(cls, lock: int) -> Holder | None:
        """Read it; None if there is none, as after a run that ended in order."""
        words = os.pread(lock, LENGTH, 0).decode(errors="replace").split()
        if len(words) != 3 or not (words[1].isdecimal() and words[2].isdecimal()):
            return None
        return cls(words[0], int(words[1]), int(words[2]))

    @property
    def is_here(self) -> bool:
        """Whether it is, or was, a process of this machine."""
        return self.host == socket.gethostname()

    @property
    def is_gone(self) -> bool:
        """Whether it was a process of this machine, and is none any more."""
        return self.is_here and not _exists(self.process)

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}"


@contextmanager
def claimed(simulation: RunInput) -> Iterator[Claim]:
    """Claim the folder of a run and the addresses of its sockets.

    Raises
    ------
    InputError
        If another run has one of them, or the folder cannot be written.
    """
    with ExitStack() as stack:
        lock, leftover = _patiently(lambda: _lock(simulation.folder / LOCK))
        stack.callback(_release, lock, simulation.folder / LOCK)
        if leftover is not None:
            remove_shared_memory(leftover.ipi)
        names = dict.fromkeys(map(str, simulation.sockets))
        addresses = [stack.enter_context(_patiently(partial(_claim_address, name))) for name in names]
        yield Claim(lock, tuple(held.fileno() for held in addresses))


class _HeldError(Exception):
    """Somebody else has it; `will_pass` if that is only the i-PI of a run that is gone."""

    def __init__(self, message: str, will_pass: bool = False):
        super().__init__(message)
        self.will_pass = will_pass


def _patiently(claim: Callable[[], Claimed]) -> Claimed:
    """Claim something, and wait for the i-PI of a run that is gone.

    Raises
    ------
    InputError
        If somebody else has it.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return claim()
        except _HeldError as held:
            if not held.will_pass or time.monotonic() > deadline:
                raise InputError(str(held)) from held
        time.sleep(LOOK)


def _lock(path: Path) -> tuple[int, Holder | None]:
    """Lock a folder's file; its descriptor, and who held it and did not end in order.

    Raises
    ------
    _HeldError
        If a run is going on there.
    InputError
        If the folder cannot be written.
    """
    while True:
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise InputError(f"cannot write '{path}': {error.strerror}; i-PI needs to write there") from error
        try:
            is_safe = _flock(lock, path)
            if _is_at(lock, path):
                leftover = Holder.read(lock)
                if leftover is not None and not (is_safe and leftover.is_here):
                    _watch(leftover, path)
                _sign(lock, path, is_safe)
                return lock, leftover if leftover is not None and leftover.is_here else None
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)  # another run has just ended, and taken this file away


def _flock(lock: int, path: Path) -> bool:
    """Lock a file, False if its file system has no locks."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = Holder.read(lock)
        if holder is not None and holder.is_gone:
            message = f"the i-PI of a run in {_folder(path)} that is gone, process {holder.ipi}, has not ended; end it"
            raise _HeldError(message, will_pass=True) from None
        raise _HeldError(_busy(holder, path), will_pass=holder is None) from None
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise InputError(f"cannot lock '{path}': {error.strerror}") from error
        return False
    return True


def _watch(holder: Holder, path: Path) -> None:
    """Wait for a sign of life of a holder that no lock can tell of: one on another machine, or without locks.

    Raises
    ------
    _HeldError
        If there is one.
    """
    if holder.is_gone:
        return
    before = _last_sign(path)
    deadline = time.monotonic() + SILENCE
    while time.monotonic() < deadline:
        time.sleep(LOOK)
        if _last_sign(path) != before:
            raise _HeldError(_busy(holder, path))


def _last_sign(path: Path) -> int:
    """When a holder gave a sign of life; a file is opened for it, as NFS asks its server anew only then."""
    with open(path) as file:
        return os.fstat(file.fileno()).st_mtime_ns


def _sign(lock: int, path: Path, is_safe: bool) -> None:
    """Write that this process holds a lock, and, where there are no locks, see whether another one has done the same.

    Raises
    ------
    _HeldError
        If it has.
    """
    own = Holder(socket.gethostname(), os.getpid())
    _write(lock, own)
    if not is_safe:
        time.sleep(SECOND_LOOK)
        if (other := Holder.read(lock)) != own:
            raise _HeldError(_busy(other, path))


def _busy(holder: Holder | None, path: Path) -> str:
    who = "" if holder is None else f" ({holder})"
    return (
        f"another run is going on in {_folder(path)}{who}; both would write the same files: wait for its end, stop it, "
        "or take another folder"
    )


def _folder(path: Path) -> str:
    return f"'{path.parent.absolute()}'"


def _is_at(lock: int, path: Path) -> bool:
    """Whether a file is still the one of this name."""
    try:
        return os.path.samestat(os.fstat(lock), os.stat(path))
    except FileNotFoundError:
        return False


def _write(lock: int, holder: Holder) -> None:
    """Write who holds a lock; a full disk is told of when something is lost by it."""
    with suppress(OSError):
        os.pwrite(lock, f"{holder.host} {holder.process} {holder.ipi}\n".ljust(LENGTH).encode(), 0)


def _release(lock: int, path: Path) -> None:
    """Take the file away, so that nobody reads of this process in it, then the lock."""
    with suppress(OSError):
        if _is_at(lock, path):
            path.unlink()
    os.close(lock)


def _claim_address(name: str) -> socket.socket:
    """Take a name in the kernel that stands for an address, so that it goes when its processes do.

    Other systems than Linux have no such names; there `make_free` alone looks whether the address is free.

    Raises
    ------
    _HeldError
        If another run has it.
    """
    held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    if sys.platform != "linux":
        return held
    try:
        held.bind(f"\0beadwise {hashlib.sha256(name.encode()).hexdigest()}")
    except OSError as error:
        held.close()
        message = f"another run has its i-PI at {name}; wait for its end, or change <address> in <ffsocket>"
        raise _HeldError(message, will_pass=True) from error
    return held


def remove_shared_memory(ipi: int) -> None:
    """Remove the shared memory of an i-PI that is gone; i-PI does so itself unless it was killed."""
    if ipi and not _exists(ipi):
        for segment in Path("/dev/shm").glob(f"ipi_shm_{ipi}_*"):
            segment.unlink(missing_ok=True)


def _exists(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
