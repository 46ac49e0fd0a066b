"""``beadwise ipi`` and ``beadwise shim``: i-PI for servers that are started elsewhere, and what itself loads of us."""

from __future__ import annotations

import shutil
import sys
import sysconfig
from pathlib import Path

import click

from .options import PATH, trust_option


@click.command()
@click.argument("source", metavar="INPUT", type=PATH)
@trust_option
def ipi(source: Path) -> None:
    """Run i-PI alone, for servers that are started elsewhere.

    INPUT is an i-PI input or RESTART.  With an <ffmpi> i-PI is rank 0 of an MPI job, and the other ranks are servers;
    see `beadwise serve --mpi`.  The program i-pi can take this place, but when it fails, such a job may hang; when a
    server is killed, i-pi may wait for ever; and a checkpoint that is being written may be lost with it.
    """
    from ...reading import refusing
    from ...runs.input.elements import InputError

    with refusing(InputError, f"cannot read '{source}'"):
        is_of_mpi = "<ffmpi" in source.read_text(encoding="utf-8")
    if is_of_mpi:
        from ..doors.mpi_rank_of_ipi import run

        run(source)
    from ..doors import ipi_process

    sys.argv = [sys.argv[0], _script(), str(source)]
    ipi_process.main()


def _script() -> str:
    """Path of i-PI's own program, beside that of beadwise or the first on the search path."""
    beside = Path(sysconfig.get_path("scripts"), "i-pi")
    found = str(beside) if beside.exists() else shutil.which("i-pi")
    if found is None:
        raise click.UsageError(
            f"no i-PI beside {sys.executable} or on the search path; install it with pip install ipi"
        )
    return found


@click.command()
def shim() -> None:
    """Print the path of the file through which i-PI calls beadwise in its own process.

    It is the <pes_path> of <ffdirect> with <pes>custom</pes>, and what `i-pi-driver-py -m custom -P` takes.
    """
    from ..launch.shipped_inputs import SHIM

    click.echo(SHIM)
