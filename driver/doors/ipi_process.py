"""i-PI as a program that loses nothing when it is stopped, fails, or is killed while it writes.

``python -m beadwise.driver.doors.ipi_process I-PI INPUT`` runs the script ``i-pi`` with six gaps closed:

- A batch system sends SIGTERM to all processes of a job, and `beadwise run` passes on the one that it received itself.
  i-PI asks itself for a soft exit at the first one; at a second one it falls back on the handler of before, by default
  the end of the process, before RESTART is written.  Here that handler does nothing.
- A checkpoint is overwritten in place, so that a kill or a full disk in this moment takes the only one away.  Here the
  new one takes the place of the old one when it is whole.
- Outputs and checkpoints of a step are written side by side.  A checkpoint whose outputs are not written yet when i-PI
  is killed, or cannot be, would leave a hole where the run is continued.  Here it comes last.
- An exception ends i-PI without a RESTART.  Here the state after the last whole step is written.
- Where a server is killed while it has a request, its system resets the connection.  i-PI 3.3 knows only those that are
  closed: the thread that asks servers ends by an exception, and i-PI waits for ever.  Here both are the same, and the
  request goes to another server.
- i-PI looks once a second whether it is to end, and at its own end waits for the next look: half a second on average of
  every run.  Here it looks five times a second.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from socket import socket
from types import FrameType
from typing import IO, Any, NoReturn

from ...whole_files import whole_file

WAKE, WAKE_AFTER, TIMES = signal.SIGURG, 0.1, 5  # a signal that does nothing by itself, and s
LOOK_AFTER = 0.2  # s
KILLED = 128  # exit status of a process that a signal ends, less the signal's number


def outlive_second_signals() -> None:
    """Make sure that a SIGINT or SIGTERM beside the one that asks i-PI for its soft exit changes nothing."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end_unless_begun)
    _wake_main_thread()


def _wake_main_thread() -> None:
    """Let the main thread look at each signal, which Python leaves to it, also where it waits for a lock.

    A signal that arrives just before it begins to wait, or in another thread, is not looked at until something wakes
    it.  i-PI waits for forces, and if the server has got the signal as well, nothing ever does.
    """
    received, write_end = os.pipe()
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    signal.signal(WAKE, lambda number, frame: None)

    def wake() -> None:
        while number := os.read(received, 1):
            for _ in range(0 if number[0] == WAKE else TIMES):
                time.sleep(WAKE_AFTER)
                signal.pthread_kill(threading.main_thread().ident, WAKE)  # type: ignore[arg-type]

    threading.Thread(target=wake, daemon=True).start()


def _end_unless_begun(number: int, frame: FrameType | None) -> None:
    """End the process, unless i-PI's own handler has taken over, and calls this one for a second signal."""
    if signal.getsignal(number) is _end_unless_begun:
        sys.exit(KILLED + number)


@contextmanager
def _open_whole(name: str, mode: str) -> Iterator[IO[str]]:
    """What i-PI overwrites a checkpoint with, in place of `open`."""
    with whole_file(name) as unfinished, open(unfinished, mode) as file:
        yield file


def keep_checkpoints_whole() -> None:
    """Let i-PI overwrite checkpoints at once or not at all, and when the outputs of that step are in their files."""
    from ipi.engine import outputs, simulation
    from ipi.utils.softexit import softexit

    write_all = simulation.Simulation.write_outputs

    def write_outputs(self: simulation.Simulation) -> None:
        all_outputs = self.outputs
        checkpoints = [one for one in all_outputs if isinstance(one, outputs.CheckpointOutput) and one.active()]
        try:
            self.outputs = [one for one in all_outputs if not isinstance(one, outputs.CheckpointOutput)]
            write_all(self)
            if checkpoints and not softexit.triggered:
                _flush(self.outputs)
                self.outputs = checkpoints
                write_all(self)
        finally:
            self.outputs = all_outputs

    outputs.open = _open_whole
    simulation.Simulation.write_outputs = write_outputs


def _flush(outputs: Sequence[Any]) -> None:
    """Put into their files what i-PI's outputs still hold; some have a stream for each bead."""
    for output in outputs:
        for stream in output.out if isinstance(output.out, list) else [output.out]:
            if stream is not None:
                stream.flush()


def outlive_killed_servers() -> None:
    """Take a connection that was reset for one that was closed."""
    from ipi.interfaces.sockets import DriverSocket

    def recv_into(connection: DriverSocket, *arguments: Any) -> int:
        try:
            return socket.recv_into(connection, *arguments)
        except ConnectionError:
            return 0  # bytes, which is the end

    DriverSocket.recv_into = recv_into


def look_often() -> None:
    """Let little time pass between i-PI's looks whether it is to end, for the last of which it waits."""
    from ipi.utils import softexit

    softexit.SOFTEXITLATENCY = LOOK_AFTER


def save_last_step() -> None:
    """Write RESTART after an exception, if there has been a step; i-PI itself does so only when it is asked to end."""
    from ipi.engine.simulation import Simulation
    from ipi.utils.softexit import softexit

    owners = (getattr(function, "__self__", None) for function, _, _ in softexit.flist)
    if any(isinstance(owner, Simulation) and owner.step > 0 for owner in owners):
        while softexit.flist:  # each call takes at least one away, and ends at an output that a full disk cannot close
            with suppress(OSError):
                softexit.cleanup("bad", " @beadwise: i-PI failed.")


def _end(status: int) -> NoReturn:
    """Leave at once, whatever threads still wait for."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(status)


def main() -> None:
    """Run the script that the command line names, with the rest of its words."""
    outlive_second_signals()
    keep_checkpoints_whole()
    outlive_killed_servers()
    look_often()
    del sys.argv[0]
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except Exception:
        try:
            save_last_step()
        finally:
            traceback.print_exc()  # last, where a reader of the log looks for it
            _end(1)


if __name__ == "__main__":
    main()
