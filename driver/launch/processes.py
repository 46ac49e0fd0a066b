"""Child processes that end with their parent and leave nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ...model.worker_processes import end_with_parent

TIME_IS_UP = signal.SIGALRM
STOPPED_LOOKS = 100


def start(
    command: Sequence[str | Path],
    folder: Path,
    environment: Mapping[str, str],
    output: IO[bytes] | int,
    errors: IO[bytes] | int,
    held: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a child in a session of its own, so that Ctrl-C reaches only the parent.

    On Linux the child receives SIGTERM when the parent dies, however that happens.

    Parameters
    ----------
    command : sequence of str or Path
        Program and arguments.
    folder : Path
        Where it runs.
    environment : mapping of str to str
        Variables that are set on top of the parent's.
    output, errors : file or int
        Where standard output and standard error go, as for ``subprocess.Popen``.
    held : sequence of int
        Descriptors that it has open as well.
    """
    return subprocess.Popen(
        [str(word) for word in command],
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=errors,
        start_new_session=True,
        pass_fds=held,
        preexec_fn=end_with_parent(os.getpid()) if sys.platform == "linux" else None,
    )


def wait(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Wait for a process; False if it is still running after so many seconds."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def end(processes: Sequence[subprocess.Popen[bytes]], patience: float = 3.0) -> None:
    """End processes: SIGTERM first, SIGKILL for those that do not follow within `patience` seconds."""
    for process in processes:
        process.terminate()
    for process in processes:
        if not wait(process, patience):
            process.kill()
            process.wait()


def is_stopped(process: subprocess.Popen[bytes]) -> bool:
    """Whether a signal has stopped a process, as SIGSTOP does, and none has let it go on yet."""
    if not hasattr(os, "waitid") or process.returncode is not None:
        return False
    try:
        return os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return False


class StoppedWatch:
    """Processes that stay stopped, other than those that are stopped together with this one, as in a suspended job.

    Parameters
    ----------
    looks : int
        In how many looks, one after the other and each a tenth of a second, a process must be found stopped.
    """

    def __init__(self, looks: int = STOPPED_LOOKS):
        self._looks = looks
        self._found: Counter[int] = Counter()

    def find(self, processes: Sequence[subprocess.Popen[bytes]]) -> subprocess.Popen[bytes] | None:
        """Look once; the first process that has been stopped for too long, None if there is none."""
        for process in processes:
            self._found[process.pid] = self._found[process.pid] + 1 if is_stopped(process) else 0
            if self._found[process.pid] > self._looks:
                return process
        return None


@contextmanager
def stop_requests(seconds: float | None = None) -> Iterator[list[int]]:
    """Collect signals that ask for an end instead of dying of them.

    SIGHUP, the end of a terminal, is one of them unless it is ignored, as below ``nohup``.

    Parameters
    ----------
    seconds : float, optional
        After which `TIME_IS_UP` is received as well.
    """
    received: list[int] = []
    numbers = [signal.SIGINT, signal.SIGTERM, TIME_IS_UP]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    previous = {number: signal.signal(number, lambda number, frame: received.append(number)) for number in numbers}
    try:
        if seconds is not None:
            signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3))
        yield received
    finally:
        if seconds is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in previous.items():
            signal.signal(number, handler)
