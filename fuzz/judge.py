"""Runs cases in a process of their own, and says of each what came of it: only one line or a right answer is good."""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import select
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NamedTuple

LIMIT = 5.0  # seconds of processor time of a case
PATIENCE = 60.0  # seconds without a word of the process, which may be deep in compiled code, or wait for a processor
MEMORY = 200  # MB that a case may take
ROOM = 4 << 30  # bytes of addresses beyond those in use, so that no case takes the machine down


class TooLong(BaseException):
    """A case has taken longer than it may; no reader catches this."""


class WrongAnswer(Exception):  # noqa: N818
    """What was answered is not right."""


class Case(NamedTuple):
    """One damaged sample: its bytes, and what reads them.

    ``read`` returns what came of it, ``answered``, or raises.
    """

    content: bytes
    read: Callable[[bytes], str]


class Report(NamedTuple):
    """What came of all cases, and how long they took."""

    verdicts: Counter[str]
    seconds: float


def judge(
    make: Callable[[int], Case], count: int, seconds: float, keep: Callable[[int, str, str], None], first: int = 0
) -> Report:
    """Run cases by their numbers.

    Parameters
    ----------
    make : callable
        Makes a case from its number.
    count : int
        How many there are.
    seconds : float
        After which no further one begins.
    keep : callable
        Takes the number, the verdict and what was said of a case that failed.
    first : int
        Number of the first.
    """
    verdicts: Counter[str] = Counter()
    began, number, end = time.monotonic(), first, first + count
    while number < end and time.monotonic() - began < seconds:
        number = _watch(make, number, end, began + seconds, verdicts, keep)
    return Report(verdicts, time.monotonic() - began)


def _watch(
    make: Callable[[int], Case],
    first: int,
    end: int,
    deadline: float,
    verdicts: Counter[str],
    keep: Callable[[int, str, str], None],
) -> int:
    """Run cases in one process until all are done or one of them ends it; the number of the next one."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    process = os.fork()
    if process == 0:
        os.close(reading)
        with os.fdopen(writing, "wb") as words:
            try:
                _run(make, first, end, deadline, words)
            except BaseException:
                _say(words, "crash", traceback.format_exc(limit=-8))
        os._exit(0)  # without the way back: what was opened there is the parent's to close
    os.close(writing)
    number, hangs = first, False
    with os.fdopen(reading, "rb", buffering=0) as words:
        rest = b""
        while True:
            if not select.select([words], [], [], PATIENCE)[0]:
                os.kill(process, signal.SIGKILL)
                hangs = True
                break
            piece = words.read(1 << 16)
            if not piece:
                break
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                verdict, _, said = line.decode(errors="replace").partition("\t")
                verdicts[verdict] += 1
                if verdict not in ("refused", "answered"):
                    keep(number, verdict, said.replace("\x1e", "\n"))
                number += 1
    status = os.waitpid(process, 0)[1]
    if hangs or status:
        verdict = "hang" if hangs else "crash"
        verdicts[verdict] += 1
        keep(number, verdict, f"the process ended with status {status}")
        number += 1
    return number


def _run(make: Callable[[int], Case], first: int, end: int, deadline: float, words: BinaryIO) -> None:
    """Run cases and say what came of each, until time is over or one of them took too much memory."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1), os.dup2(quiet, 2)
    addresses = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (addresses + ROOM, resource.RLIM_INFINITY))
    signal.signal(signal.SIGPROF, _too_long)
    before = _memory()
    for number in range(first, end):
        if time.monotonic() > deadline:
            return
        verdict, said = verdict_of(make(number))
        if _memory() - before > MEMORY:
            verdict, said = "memory", f"{_memory() - before} MB; {said}"
        _say(words, verdict, said)
        if verdict == "memory":
            return


def _say(words: BinaryIO, verdict: str, said: str) -> None:
    text = said.replace("\n", "\x1e")
    words.write(f"{verdict}\t{text}\n".encode(errors="replace"))
    words.flush()


def verdict_of(case: Case) -> tuple[str, str]:
    """Run one case here: ``answered`` or ``refused``, both good, or what is wrong, and what was said."""
    from beadwise.errors import BeadwiseError

    signal.signal(signal.SIGPROF, _too_long)
    signal.setitimer(signal.ITIMER_PROF, LIMIT)
    try:
        try:
            return case.read(case.content), ""
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    except BeadwiseError as error:
        said = str(error)
        return ("refused", "") if said.strip() else ("silent", type(error).__name__)
    except TooLong:
        return "hang", traceback.format_exc(limit=-8)
    except WrongAnswer as error:
        return "wrong", str(error)
    except BaseException:
        return "traceback", traceback.format_exc(limit=-8)


def _too_long(number: int, frame: object) -> None:
    raise TooLong


def _memory() -> int:
    """Most memory that this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


@contextlib.contextmanager
def in_folder(folder: Path):
    """Work in a folder, where damaged files lie and nothing else does."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield folder
    finally:
        os.chdir(before)
