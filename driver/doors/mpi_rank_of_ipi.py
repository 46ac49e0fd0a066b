"""i-PI as rank 0 of an MPI job, so that the job ends when i-PI does, however that happens.

The program ``i-pi`` loads MPI only when it has read its input.  If it refuses the input, or ends by an exception later,
the other ranks wait for it forever; here they are ended.
"""

from __future__ import annotations

import sys
import time
import traceback
from pathlib import Path
from typing import NoReturn

from ipi.engine.simulation import Simulation
from ipi.utils.softexit import softexit

from ...model import BeadwiseError
from ...runs.input.elements import parse
from .ipi_process import keep_checkpoints_whole, look_often, outlive_second_signals
from .mpi_group import AFTER_WORDS, say, world

# MPICH's launcher takes the end of a process for a crash, and ends the others, if it has not yet read the end of MPI
AFTER_MPI = 0.3  # s


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
    MPI.Finalize()
    time.sleep(AFTER_MPI)
    sys.exit(0)


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
