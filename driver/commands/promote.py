"""The command ``beadwise promote``: from the free energy of a model to that of its reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ...analysis.promotion.make import PromotionRequest, make, write_samples
from ...model import BeadwiseError
from ...sampling import SamplingError
from ...spectra import SeriesError
from .options import json_option, output_path, parse_finite, trust_option, write_json
from .progress_bars import progress_bar


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUNS...")
@click.option("--reference", metavar="NAME", help="A MODEL, or an extended xyz file with energies of the samples.")
@click.option("--model", metavar="NAME", help="What the runs sampled  [default: the potential that they wrote].")
@click.option(
    "--samples", type=click.IntRange(min=8), default=100, show_default=True, help="Spread over all runs together."
)
@click.option(
    "--reference-run",
    "reference_runs",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="A run that samples the reference, for the acceptance ratio; may be repeated.",
)
@click.option(
    "--skip",
    type=click.FloatRange(min=0),
    callback=parse_finite,
    metavar="PS",
    help="Time to leave out of each run, in ps  [default: a tenth].",
)
@click.option(
    "--energies",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Where energies are kept as they are computed  [default: beside the first run].",
)
@click.option("--workers", type=click.IntRange(min=1), help="Processes that evaluate  [default: one for each core].")
@click.option(
    "--structures",
    type=click.Path(path_type=Path),
    callback=output_path,
    metavar="FILE.xyz",
    help="Only write the structures of the samples, for a reference that is computed elsewhere.",
)
@json_option
@trust_option
def promote(reference: str | None, structures: Path | None, json_file: Path | None, **options: Any) -> None:
    """Free energy of a reference from samples of a model, by free-energy perturbation.

    RUNS are folders of runs that i-PI did with the model, their inputs or RESTARTs, finished or running, which write
    the positions of all beads.  The reference is evaluated at some of their samples.  A command that was ended goes on
    where it was.
    """
    if reference is None and structures is None:
        raise click.UsageError("--reference is missing: a MODEL, or an extended xyz file with energies of the samples")
    request = PromotionRequest(reference=reference or "", **options)
    try:
        if structures is not None:
            click.echo(f"{write_samples(request, structures)} structures written to {structures}")
            return
        with progress_bar() as progress:
            task = progress.add_task("reference", total=None)
            report = make(
                request,
                lambda text, done, total: progress.update(task, description=text, completed=done, total=total),
            )
    except (SamplingError, SeriesError) as error:
        raise BeadwiseError(str(error)) from error
    for line in report.lines():
        click.echo(line)
    if json_file is not None:
        write_json(json_file, report.as_dict())
