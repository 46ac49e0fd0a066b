"""``beadwise ipi`` and ``beadwise shim``: i-PI as a rank of an MPI job, and what its own process loads."""

from __future__ import annotations

from pathlib import Path

import click

from .options import PATH, trust_option


@click.command()
@click.argument("source", metavar="INPUT", type=PATH)
@trust_option
def ipi(source: Path) -> None:
    """Run i-PI as rank 0 of an MPI job.

    INPUT is an i-PI input or RESTART with an <ffmpi>; see `beadwise serve --mpi`.  The program i-pi can take this
    place, but when it fails, the job may hang.
    """
    from ..doors.mpi_rank_of_ipi import run

    run(source)


@click.command()
def shim() -> None:
    """Print the path of the file through which i-PI calls beadwise in its own process.

    It is the <pes_path> of <ffdirect> with <pes>custom</pes>, and what `i-pi-driver-py -m custom -P` takes.
    """
    from ..launch.shipped_inputs import SHIM

    click.echo(SHIM)
