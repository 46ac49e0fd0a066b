"""``beadwise export``: the structures of a run for other programs."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from .options import NOT_NEGATIVE, PATH, number, output_path, parse_want, trust_option


@click.command()
@click.argument("run", metavar="RUN", type=PATH)
@click.option(
    "--output",
    type=PATH,
    callback=output_path,
    metavar="FILE",
    help="File to write: .extxyz or .xyz (extended xyz), .npz (arrays of NumPy), .json or .json.gz (chemiscope)  "
    "[default: PREFIX.export.extxyz in the folder of the run].",
)
@click.option(
    "--beads",
    metavar="WHICH",
    help="Structures that are written: all, centroid, or the number of one bead, from 0  [default: all if their "
    "positions are there, else centroid].",
)
@number("--skip", unit="PS", kind=NOT_NEGATIVE, default=0.0, text="Time to leave out at the beginning, in ps.")
@click.option(
    "--every",
    type=click.IntRange(min=1),
    metavar="N",
    default=1,
    show_default=True,
    help="Write each N-th of the steps only.",
)
@click.option(
    "--want",
    callback=parse_want,
    metavar="NAMES",
    help="Properties that are written beside the positions, separated by commas  [default: all that the run wrote].",
)
@click.option(
    "--model",
    metavar="MODEL",
    help="Model that evaluates those properties which the run did not write; without --want energy and forces.",
)
@trust_option
def export(
    run: Path,
    output: Path | None,
    beads: str | None,
    skip: float,
    every: int,
    want: tuple[str, ...] | None,
    model: str | None,
) -> None:
    """Write the structures of a run for other programs.

    RUN is the folder of a run, its input or RESTART; the run may be going on.  Each structure is a bead, or the
    centroid, at a step for which all is there that is written: positions, cell, forces, velocities, energies, and
    extras such as dipole and polarizability.  Units are eV, Å, fs, e, K and GPa.  What is a mean over beads, and no
    property of the structure, has a name that begins with mean_.
    """
    from ...analysis.export.make import Request
    from ...analysis.export.make import export as make
    from ...model.evaluators import load_evaluator
    from ...model.worker_processes import usable_cores
    from ..launch.stages import Stages

    request = Request(run, output, beads, skip, every, want, model)
    with Stages() as stages:
        lines = make(
            request,
            partial(load_evaluator, threads=usable_cores()),
            partial(stages.counted, label="writing structures"),
        )
    for line in lines:
        click.echo(line)
