"""The command ``beadwise reweight``: averages of runs with the error of the model beside that of the sampling."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click
from rich.console import Console

from ...analysis.results import json_text, warned, written_to
from ...analysis.reweighting.distances import labels_of
from ...analysis.reweighting.make import make
from ...analysis.reweighting.request import ReweightRequest
from ...model import BeadwiseError
from ...sampling import OutOfReachError, SamplingError
from ...spectra import SeriesError
from .options import output_path, parse_finite, parse_range
from .progress_bars import progress_bar

POSITIVE = click.FloatRange(min=0, min_open=True)
NARROWEST = 100  # columns of the table where the output is no terminal


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUNS...")
@click.option(
    "--observable",
    "observables",
    multiple=True,
    metavar="NAME",
    help="Property of i-PI, by its name in the header; dipole or polarizability of the extras.  May be repeated.",
)
@click.option("--distance", metavar="A,B", help="g(r) of two kinds of atoms, as O,H, with --range in Å.")
@click.option("--count", "counts", is_flag=True, help="With --distance: atoms B around one A, per Å, in place of g(r).")
@click.option("--profile", is_flag=True, help="Free-energy profile of a run with PLUMED.")
@click.option("--variable", help="Of the profile, by its PLUMED label  [default: the one that is biased].")
@click.option("--from", "start", callback=parse_range, metavar="MIN,MAX", help="Range of the variable, and …")
@click.option("--to", "end", callback=parse_range, metavar="MIN,MAX", help="… another: the free-energy difference.")
@click.option("--bias", "biases", multiple=True, metavar="LABEL", help="Bias that is taken away  [default: all].")
@click.option("--method", type=click.Choice(["cea", "direct"]), default="cea", show_default=True)
@click.option(
    "--skip",
    type=click.FloatRange(min=0),
    callback=parse_finite,
    help="Time to leave out of each run, in ps  [default: a tenth].",
)
@click.option(
    "--calibration",
    type=POSITIVE,
    callback=parse_finite,
    default=1.0,
    show_default=True,
    help="Factor on the distances of the members' energies from their mean.",
)
@click.option(
    "--property-calibration",
    type=POSITIVE,
    callback=parse_finite,
    default=1.0,
    show_default=True,
    help="The same for their dipoles and polarizabilities.",
)
@click.option("--range", "limits", callback=parse_range, metavar="MIN,MAX", help="Of distances or of the variable.")
@click.option("--bins", type=click.IntRange(min=2), default=50, show_default=True)
@click.option(
    "--blocks", type=click.IntRange(min=8), default=16, show_default=True, help="Parts of a run that errors come from."
)
@click.option("--force", is_flag=True, help="Give numbers that would be refused as the members are too far apart.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    callback=output_path,
    help="Name of the .csv, and of the .png of a function, without the ending.",
)
def reweight(
    runs: tuple[Path, ...],
    observables: tuple[str, ...],
    distance: str | None,
    counts: bool,
    profile: bool,
    variable: str | None,
    start: tuple[float, float] | None,
    end: tuple[float, float] | None,
    biases: tuple[str, ...],
    method: str,
    skip: float | None,
    calibration: float,
    property_calibration: float,
    limits: tuple[float, float] | None,
    bins: int,
    blocks: int,
    force: bool,
    as_json: bool,
    output: Path | None,
) -> None:
    """Average what a run with a committee of models wrote, with the error of the model beside that of the sampling.

    RUNS are folders of runs in which i-PI wrote committee_pot of every bead, their inputs or RESTARTs, finished or
    running; several are averaged.  Each member's own ensemble is reached by reweighting, from the run that their mean
    has moved.
    """
    profile = profile or start is not None or end is not None
    _check_options(observables, distance, counts, profile, variable, (start, end))
    request = ReweightRequest(
        runs=runs,
        observables=observables,
        distance=None if distance is None else labels_of(distance),
        counts=counts,
        profile=profile,
        variable=variable,
        ranges=None if start is None or end is None else (start, end),
        biases=biases,
        method=method,
        skip=skip,
        calibration=calibration,
        property_calibration=property_calibration,
        limits=limits,
        bins=bins,
        blocks=blocks,
        force=force,
        output=output,
    )
    try:
        with progress_bar() as progress:
            outcome, files = make(request, partial(progress.track, description="reading"))
    except OutOfReachError as error:
        raise BeadwiseError(f"{error}; --force gives the numbers all the same") from error
    except (SamplingError, SeriesError) as error:
        raise BeadwiseError(str(error)) from error
    if as_json:
        click.echo(json_text(outcome.as_dict()))
        return
    console = Console()
    if not console.is_terminal:
        console = Console(width=max(console.width, NARROWEST))
    console.print(outcome.table())
    for line in (*outcome.notes, *warned(outcome.warnings), *([written_to(files)] if files else [])):
        click.echo(line)


def _check_options(
    observables: tuple[str, ...],
    distance: str | None,
    counts: bool,
    profile: bool,
    variable: str | None,
    ranges: tuple[tuple[float, float] | None, tuple[float, float] | None],
) -> None:
    """Raise UsageError if options exclude each other, or are for something else."""
    asked = [
        name
        for name, given in (("--observable", observables), ("--distance", distance), ("--profile", profile))
        if given
    ]
    if len(asked) > 1:
        raise click.UsageError(f"{' and '.join(asked)} exclude each other; give one, --observable as often as needed")
    if counts and distance is None:
        raise click.UsageError("--count is for --distance")
    if variable is not None and not profile:
        raise click.UsageError(f"--variable {variable} is for --profile")
    if (ranges[0] is None) != (ranges[1] is None):
        raise click.UsageError("--from and --to are given together, as the two ranges of a free-energy difference")
