"""i-PI as rank 0 of an MPI job, so that the job ends when i-PI does, however that happens.

The program ``i-pi`` loads MPI only when it has read its input.  If it refuses the input, or ends by an exception later,
the other ranks wait for it forever; here they are ended.  Where it is stopped within a step, answers that it waited for
are still on their way, and MPI does not end well with a message that nobody has received; here they are.
"""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from ipi.engine.simulation import Simulation
from ipi.interfaces.mpi import MPI_TAG_EXTRA, MPI_TAG_RESULT, InterfaceMPI
from ipi.utils.softexit import softexit

from ...model import BeadwiseError
from ...runs.input.elements import parse
from .ipi_process import keep_checkpoints_whole, look_often, outlive_second_signals
from .mpi_group import AFTER_WORDS, SLEEP, say, world

if TYPE_CHECKING:
    from mpi4py.MPI import Comm

# MPICH's launcher takes the end of a process for a crash, and ends the others, if it has not yet read the end of MPI
AFTER_MPI = 0.3  # s
LAST_ANSWER = 5.0  # s that drivers get for it: one that fails gives none


def run(source: Path) -> NoReturn:
    """Run i-PI to its end; its drivers are the other ranks of the job.

    Parameters
    ----------
    source : Path
        i-PI input or RESTART, with an ``<ffmpi>``.

    Raises
    ------
    MpiError
        If there is no MPI.
    SystemExit
        With status 0 when i-PI ends in order, also when it was stopped.
    """
    ranks = world()
    outlive_second_signals()  # a launcher passes on what a batch system has sent to all processes already
    keep_checkpoints_whole()
    look_often()
    interfaces = _remember_interfaces()
    Path("EXIT").unlink(missing_ok=True)  # left by ranks that were killed, it would stop i-PI at once
    try:
        _run(source)
    except BaseException as error:
        if isinstance(error, BeadwiseError):
            say(error)
        elif isinstance(error, Exception):
            traceback.print_exc()
            time.sleep(AFTER_WORDS)
        ranks.Abort(2 if isinstance(error, BeadwiseError) else 1)
        raise
    from mpi4py import MPI

    sys.stdout.flush()
    _receive_last_answers(interfaces)
    MPI.Finalize()
    time.sleep(AFTER_MPI)
    sys.exit(0)


def _remember_interfaces() -> list[InterfaceMPI]:
    """What i-PI speaks to its drivers by, each from when it has said EXIT to them."""
    close, closed = InterfaceMPI.close, list[InterfaceMPI]()

    def close_and_remember(interface: InterfaceMPI) -> None:
        close(interface)
        closed.append(interface)

    InterfaceMPI.close = close_and_remember
    return closed


def _receive_last_answers(interfaces: Sequence[InterfaceMPI]) -> None:
    """Receive what drivers have answered since i-PI asked them for the last time."""
    deadline = time.monotonic() + LAST_ANSWER
    for interface in interfaces:
        for slot in interface._ranks.values():
            if slot["state"] == "BUSY" and _receive_until(deadline, interface.comm, slot["rank"], MPI_TAG_RESULT):
                _receive_until(deadline, interface.comm, slot["rank"], MPI_TAG_EXTRA)


def _receive_until(deadline: float, ranks: Comm, source: int, tag: int) -> bool:
    """Receive a message of any length, which nobody needs any more; whether it came in time."""
    from mpi4py import MPI

    status = MPI.Status()
    while not ranks.Iprobe(source=source, tag=tag, status=status):
        if time.monotonic() > deadline:
            return False
        time.sleep(SLEEP)
    ranks.Recv(bytearray(status.Get_count(MPI.BYTE)), source=source, tag=tag)
    return True


def _run(source: Path) -> None:
    """Run i-PI as its own program does; it ends by SystemExit, which means no more than that it has ended."""
    parse(source)
    with open(source) as file:
        simulation = Simulation.load_from_xml(file, request_banner=True)
    try:
        simulation.run()
        softexit.trigger(status=simulation.exit_status, message=simulation.exit_message)
    except SystemExit:
        with softexit.lock:  # another thread may still write RESTART
            return
