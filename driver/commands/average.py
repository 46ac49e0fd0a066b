"""``beadwise average``: means of whatever a model was asked for, with both errors."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import click

from .findings import Findings
from .options import (
    PATH,
    NearestChoice,
    bins_option,
    json_option,
    output_option,
    runs_argument,
    skip_option,
)


def parse_references(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, float]:
    """Split ``H=31.8``."""
    found = {}
    for value in values:
        label, _, number = value.partition("=")
        label = label.strip()
        try:
            reference = float(number)
        except ValueError:
            reference = math.nan
        if not math.isfinite(reference):
            raise click.BadParameter(f"'{value}' is no reference; allowed is LABEL=PPM, as H=31.8")
        if label in found:
            raise click.BadParameter(f"'{value}' is a second reference of {label}; one is allowed")
        found[label] = reference
    return found


@click.command()
@runs_argument
@click.option("--of", "of", required=True, metavar="QUANTITY", help="Quantity that the run wrote, as shielding.")
@click.option(
    "--minus",
    multiple=True,
    type=PATH,
    metavar="RUN",
    help="Run whose means are taken away, as the classical one; may be repeated.",
)
@click.option(
    "--group",
    "masks",
    multiple=True,
    metavar="NAME=ATOMS",
    help="Nuclei that are averaged together, by their numbers from 0, as NAME=0,3,5-8; may be repeated.",
)
@click.option(
    "--frame",
    type=NearestChoice(["none", "crystal", "molecule"]),
    default="none",
    show_default=True,
    help="Axes that components are averaged in: those of the run, for a crystal, or of the molecule, which every bead "
    "is turned onto.",
)
@click.option(
    "--reference",
    "references",
    multiple=True,
    callback=parse_references,
    metavar="LABEL=PPM",
    help="Shielding of a nucleus in the reference compound, as H=31.8, for shifts; may be repeated.",
)
@skip_option
@bins_option
@output_option
@json_option
def average(
    runs: tuple[Path, ...],
    of: str,
    minus: tuple[Path, ...],
    masks: tuple[str, ...],
    frame: str,
    references: dict[str, float],
    skip: float | None,
    bins: int,
    output: Path | None,
    json_file: Path | None,
) -> None:
    """Average a quantity over beads, time and equivalent nuclei, with the errors of sampling and of the model.

    RUNS are folders of runs, their inputs or RESTARTs, finished or running, in which i-PI wrote the quantity for every
    bead; several are averaged.  Means are those of each atom, of nuclei that bonds do not tell apart, of each species,
    and of --group.  CSV of means and of distributions, and a PNG, are written beside the first run.
    """
    from ...analysis.averages.groups import parse_masks
    from ...analysis.averages.make import make
    from ...analysis.averages.request import AverageRequest
    from ...analysis.results import warned, written_to
    from ..launch.stages import Stages

    if references and of != "shielding":
        raise click.UsageError(f"--reference is for shielding, not for {of}")
    findings = Findings(json_file)
    request = AverageRequest(runs, of, minus, parse_masks(masks), frame, references, skip, bins, output)  # type: ignore[arg-type]
    with Stages() as stages:
        outcome, files = make(request, partial(stages.counted, label="reading runs"))
    findings.show(outcome.table())
    findings.say([*outcome.notes, *warned(outcome.warnings), written_to(files)])
    findings.numbers(outcome.as_dict())
