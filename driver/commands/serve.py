"""The ``beadwise serve`` command: one driver for an i-PI that was started by hand."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from .options import (
    NOT_NEGATIVE,
    PATH,
    WITHOUT_FIELD,
    field_option,
    field_order_option,
    number,
    precision_option,
    threads_option,
    trust_option,
    want_option,
)


@click.command()
@click.argument("model")
@click.option("--unix", metavar="NAME", help="Serve i-PI's unix socket: the <address> of its <ffsocket>, or a path.")
@click.option("--tcp", metavar="HOST:PORT", help="Serve i-PI's TCP socket at this host and port.")
@click.option(
    "--shm", is_flag=True, help="Exchange arrays through shared memory, as an <ffsocket> with mode='shm' does."
)
@click.option("--mpi", is_flag=True, help="Serve the <ffmpi> of an i-PI that is rank 0 of the same MPI job.")
@click.option("--mpi-name", metavar="NAME", default="", help="Name of the <ffmpi>, if there are several.")
@click.option(
    "--group-size",
    type=click.IntRange(min=1),
    metavar="N",
    help="Number of MPI ranks that share the atoms of every structure.",
)
@click.option("--door", "other", metavar="NAME:ADDRESS", help="Serve through a door that another package adds.")
@click.option("--structure", type=PATH, metavar="FILE", help="File that names the atoms, as i-PI does not.")
@click.option(
    "--force-field",
    metavar="NAME",
    help="Take the atoms that i-PI sends to this <ffsocket> of its input in --structure.",
)
@number("--wait", unit="SECONDS", kind=NOT_NEGATIVE, default=60.0, text="Seconds to wait for i-PI.")
@want_option
@click.option(
    "--properties-only", is_flag=True, help="Send zeros for energy, forces and virial, as for a force of weight 0."
)
@threads_option
@precision_option
@field_option
@field_order_option
@trust_option
def serve(
    model: str,
    unix: str | None,
    tcp: str | None,
    shm: bool,
    mpi: bool,
    mpi_name: str,
    group_size: int | None,
    other: str | None,
    structure: Path | None,
    force_field: str | None,
    wait: float,
    want: tuple[str, ...] | None,
    properties_only: bool,
    threads: int | None,
    precision: str,
    electric_field: tuple[float, float, float] | None,
    field_order: int,
) -> None:
    """Answer an i-PI that was started by hand.

    MODEL is a model file, a potential that is built in, the name of a shipped model such as `water`, or
    MODULE:ATTRIBUTE, an evaluator of your own.  Built in are `qtip4pf`, `harmonic:k=K` and
    `lennard-jones:epsilon=E,sigma=S[,cutoff=C]`, with numbers in eV and Å; with a cutoff the atoms are periodic.
    `committee:MODEL,MODEL,…` is several of them.

    i-PI listens at --unix or --tcp, or is rank 0 of the same MPI job: `mpiexec -n 1 beadwise ipi INPUT.xml : -n N
    beadwise serve MODEL --mpi`.  With --group-size, each group of so many ranks is one server.

    The atoms are read from --structure, which may also be i-PI's input or RESTART, or from i-PI's <parameters>.  Of an
    input with systems of different atoms, or an <activelist>, --force-field says which of them are sent here.
    """
    if field_order > 1 and electric_field is None:
        raise click.UsageError(WITHOUT_FIELD)
    from ...model.evaluators import in_field, load_evaluator, with_precision
    from ...properties.quantities import ALWAYS_SENT
    from ..doors.door import DoorSettings, make_door
    from ..doors.guards import check_species, wanted_properties
    from ..doors.responder import Responder

    settings = DoorSettings(wait, shm, group_size, mpi_name)
    with make_door(*choose_door(unix, tcp, mpi, other), settings) as door:
        evaluator = with_precision(load_evaluator(model, threads or 1), precision, model)
        any_label = len(evaluator.species) == 0
        species = None
        if structure is not None:
            from ...runs.input.run_input import species_of_run  # with i-PI's readers, which take long to import

            species = species_of_run(structure, None, force_field or "", any_label)
        if electric_field is not None:
            evaluator = in_field(evaluator, electric_field, model, field_order)
        wanted = wanted_properties(evaluator, want or ALWAYS_SENT, properties_only)
        if species is not None:
            check_species(evaluator, species)
        with door.sharing(evaluator) as shared:
            if shared is None:  # this rank has shared the work of another one
                return
            if door.where:
                click.echo(f"{model} serves {', '.join(wanted)} to i-PI {door.where}")
                sys.stdout.flush()
            door.run(Responder(shared, species, wanted, properties_only))


def choose_door(unix: str | None, tcp: str | None, mpi: bool, other: str | None) -> tuple[str, str]:
    """Name of the door that a user chose, and its address.

    Raises
    ------
    click.UsageError
        If not exactly one door is named.
    """
    name, _, address = (other or "").partition(":")
    given = [("unix", unix), ("tcp", tcp), ("mpi", "" if mpi else None), (name, None if other is None else address)]
    chosen = [(door, where) for door, where in given if where is not None]
    if len(chosen) != 1:
        raise click.UsageError(
            "i-PI's address is needed: give one of --unix NAME, --tcp HOST:PORT and --mpi, or --door NAME:ADDRESS"
        )
    return chosen[0]
