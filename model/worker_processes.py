"""Processes that work for this one: they end with it, however that happens, and leave Ctrl-C to it."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection

from . import BeadwiseError

ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
START = 1.0  # s, that a further process takes until it evaluates something
PR_SET_PDEATHSIG = 1


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _begin_process(other_end: Connection) -> None:
    """In a new process: leave an interrupt to the one that started it, and end with it."""
    signal.signal(signal.SIGINT, lambda *_: None)  # not SIG_IGN, which programs that a calculator starts would inherit
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_end_with, args=(other_end,), daemon=True).start()


def _end_with(other_end: Connection) -> None:
    """End this process once nobody holds the other end, which never sends anything."""
    try:
        other_end.recv_bytes()
    except (EOFError, OSError):
        os._exit(1)


@contextmanager
def later_interrupts() -> Iterator[None]:
    """Put Ctrl-C off, also for the processes that start here, which would answer with a traceback of their own."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def processes(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Processes of one thread each, which end when this one leaves, for whatever reason.

    What is under way is finished if a frame failed, and given up if the user interrupts, or this process is killed:
    its end of a pipe closes then.  Left to itself, a pool waits for work forever.
    """
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)  # read when a process begins
    context = multiprocessing.get_context("spawn")
    theirs, ours = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin_process, initargs=(theirs,))
    try:
        yield pool
    except BeadwiseError:
        raise
    except BaseException:
        ours.close()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        ours.close()
        theirs.close()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


def end_with_parent(parent: int) -> Callable[[], None]:
    """Make what a child runs before its program starts: on Linux it gets SIGTERM when the parent dies.

    The library is loaded here, as a child must not load any.
    """
    control = ctypes.CDLL(None, use_errno=True).prctl

    def ask_for_signal() -> None:
        control(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # the parent died before the signal was asked for
            os._exit(1)

    return ask_for_signal
