"""``beadwise promote``: from the free energy of a model to that of its reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .findings import Findings
from .options import PATH, json_option, output_path, runs_argument, skip_option, trust_option, workers_option


@click.command()
@runs_argument
@click.option(
    "--reference", metavar="NAME", help="Reference: a MODEL, or an extended xyz file with energies of the samples."
)
@click.option("--model", metavar="MODEL", help="What the runs sampled  [default: the potential that they wrote].")
@click.option(
    "--samples",
    type=click.IntRange(min=8),
    metavar="N",
    default=100,
    show_default=True,
    help="Number of samples, spread over all runs together.",
)
@click.option(
    "--reference-run",
    "reference_runs",
    multiple=True,
    type=PATH,
    metavar="RUN",
    help="Run that samples the reference, for the acceptance ratio; may be repeated.",
)
@skip_option
@click.option(
    "--energies",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Folder where energies are kept as they are computed  [default: beside the first run].",
)
@workers_option
@click.option(
    "--structures",
    type=PATH,
    callback=output_path,
    metavar="FILE.xyz",
    help="Only write the structures of the samples to this file, for a reference that is computed elsewhere.",
)
@json_option
@trust_option
def promote(reference: str | None, structures: Path | None, json_file: Path | None, **options: Any) -> None:
    """Make the free energy of a reference of samples of a model, by free-energy perturbation.

    RUNS are folders of runs that i-PI did with the model, their inputs or RESTARTs, finished or running, which write
    the positions of all beads.  The reference is evaluated at some of their samples.  A command that was ended goes on
    where it was.
    """
    if reference is None and structures is None:
        raise click.UsageError("--reference is missing: a MODEL, or an extended xyz file with energies of the samples")
    from ...analysis.promotion.make import PromotionRequest, make, write_samples
    from ..launch.stages import Stages

    findings = Findings(json_file)
    request = PromotionRequest(reference=reference or "", **options)
    if structures is not None:
        findings.say([f"{write_samples(request, structures)} structures written to {structures}"])
        return
    with Stages() as stages:
        report = make(request, stages)
    findings.say(report.lines())
    findings.numbers(report.as_dict())
