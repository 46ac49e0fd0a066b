"""The command ``beadwise profile``: free-energy profiles of biased runs."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from ...analysis.profile.make import ProfileRequest, make
from ...analysis.profile.samples import ProfileOptions
from ...model import BeadwiseError
from ...runs.plumed.input import ENERGY_UNITS
from ...sampling import SamplingError
from .options import parse_finite, parse_range
from .progress_bars import progress_bar


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUNS...")
@click.option("--variable", help="Collective variable, by its PLUMED label  [default: the one that is biased].")
@click.option(
    "--bias", "biases", multiple=True, metavar="LABEL", help="Bias that counts; may be repeated  [default: all]."
)
@click.option(
    "--skip",
    type=click.FloatRange(min=0),
    callback=parse_finite,
    help="Time to leave out of each run, in ps; of tables in their own unit  [default: a tenth].",
)
@click.option(
    "--range",
    "limits",
    callback=parse_range,
    metavar="MIN,MAX",
    help="Of the variable  [default: all that was sampled].",
)
@click.option("--bins", type=click.IntRange(min=2), default=50, show_default=True)
@click.option(
    "--blocks", type=click.IntRange(min=8), default=16, show_default=True, help="Parts of a run that errors come from."
)
@click.option("--centroid", is_flag=True, help="Draw the profile of the centroid beside that of the beads.")
@click.option(
    "--temperature",
    type=click.FloatRange(min=0, min_open=True),
    callback=parse_finite,
    help="In K, for tables of PLUMED.",
)
@click.option("--energy-unit", default="kj/mol", show_default=True, help="Of the biases in tables of PLUMED.")
@click.option("--output", type=click.Path(path_type=Path), help="Name of the .csv and .png, without the ending.")
def profile(
    runs: tuple[Path, ...],
    variable: str | None,
    biases: tuple[str, ...],
    skip: float | None,
    limits: tuple[float, float] | None,
    bins: int,
    blocks: int,
    centroid: bool,
    temperature: float | None,
    energy_unit: str,
    output: Path | None,
) -> None:
    """Make the free-energy profile of biased runs, and write it as CSV and PNG.

    RUNS are folders of runs that i-PI and PLUMED did together, their inputs or RESTARTs, finished or running; or COLVAR
    and HILLS of PLUMED.  Runs of different numbers of beads give curves of their own, classical and quantum; several
    with restraints are umbrella windows, which MBAR joins.
    """
    if energy_unit.lower() not in ENERGY_UNITS:
        raise click.UsageError(f"--energy-unit {energy_unit} is unknown; allowed are {', '.join(ENERGY_UNITS)}")
    options = ProfileOptions(variable, biases, skip, limits, bins, blocks, centroid)
    request = ProfileRequest(runs, options, temperature, energy_unit.lower(), output)
    try:
        with progress_bar() as progress:
            for line in make(request, partial(progress.track, description="reading")):
                click.echo(line)
    except SamplingError as error:
        raise BeadwiseError(str(error)) from error
