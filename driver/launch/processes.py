"""Child processes that end with their parent and leave nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ...model.worker_processes import end_with_parent


def start(
    command: Sequence[str | Path],
    folder: Path,
    environment: Mapping[str, str],
    output: IO[bytes] | int,
    errors: IO[bytes] | int,
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
    """
    return subprocess.Popen(
        [str(word) for word in command],
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=errors,
        start_new_session=True,
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


@contextmanager
def stop_requests() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM instead of dying of them."""
    received: list[int] = []
    previous = {
        number: signal.signal(number, lambda number, frame: received.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
