"""``beadwise isotopes``: what a heavier isotope changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..findings import Findings
from ..options import json_option, runs_argument, skip_option, trust_option


@click.command()
@runs_argument
@click.option("--model", required=True, metavar="MODEL", help="What the runs sampled.")
@click.option("--from", "light", required=True, metavar="LABEL", help="Isotope of the runs, by i-PI's label, as H.")
@click.option("--to", "heavy", required=True, metavar="LABEL", help="Isotope that takes its place, as D.")
@click.option(
    "--samples",
    type=click.IntRange(min=8),
    metavar="N",
    default=50,
    show_default=True,
    help="Number of samples of each run, spread over all of it.",
)
@click.option(
    "--atoms",
    type=click.IntRange(min=1),
    metavar="N",
    help="How many of the atoms are substituted, one at a time  [default: all].",
)
@skip_option
@json_option
@trust_option
def isotopes(json_file: Path | None, **options: Any) -> None:
    """Tell what a heavier isotope changes, from beads that are scaled about their centroids.

    RUNS are path integrals that write the positions of all beads.  Of several, as those of two phases, the
    fractionation over the first is told, too.
    """
    from ....analysis.crystals.isotopes import IsotopeRequest, make
    from ...launch.stages import Stages

    findings = Findings(json_file)
    with Stages() as stages:
        report = make(IsotopeRequest(**options), stages)
    findings.say(report.lines())
    findings.numbers(report.as_dict())
