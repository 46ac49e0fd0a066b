"""How i-PI ended, told from its log, its status and the disk."""

from __future__ import annotations

import errno
import re
import signal
import tempfile
from enum import Enum
from pathlib import Path

from ..doors.ipi_process import KILLED

PROBE = 1 << 20  # bytes; what the log of a run on a full disk would have needed
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Ending(Enum):
    """Why i-PI, whose status is 0, says that it ended."""

    BY_ITSELF = "by itself"
    SIGNAL = "a signal"
    EXIT = "a file EXIT"
    TIME = "its <total_time>"


SIGNS = (  # in i-PI's words: those of the thread that looks each second, and those at the end of a step
    (Ending.SIGNAL, re.compile(r"@SOFTEXIT: Kill signal received")),
    (Ending.EXIT, re.compile(r"EXIT file detected")),
    (Ending.TIME, re.compile(r"Maximum wallclock time elapsed|Wall clock time expired")),
)


def ending_of(log: str) -> Ending:
    """What made an i-PI end that has ended in order; it prints that in all of its verbosities but 'quiet'."""
    return next((ending for ending, sign in SIGNS if sign.search(log)), Ending.BY_ITSELF)


def was_asked_to_end(status: int) -> bool:
    """Whether it is the status of a process that ended at SIGINT or SIGTERM, as i-PI does before it has begun."""
    return any(status in (-number, KILLED + number) for number in (signal.SIGINT, signal.SIGTERM))


def named(status: int) -> str:
    """Exit status with the name of the signal: ``-9 (SIGKILL)``."""
    if status >= 0:
        return str(status)
    try:
        return f"{status} ({signal.Signals(-status).name})"
    except ValueError:
        return str(status)


def lack_of_space(folder: Path) -> str | None:
    """What is in the way of writing into a folder, as a full disk or a quota; None if nothing is."""
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as probe:
            written = probe.write(bytes(PROBE))
            if written is not None and written < PROBE:  # the first write fills what is left, the next one fails
                probe.write(bytes(PROBE))
    except OSError as error:
        return error.strerror or str(error)
    return None
