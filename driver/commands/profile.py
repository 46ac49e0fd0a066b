"""``beadwise profile``: free-energy profiles of biased runs."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from ...suggestions import did_you_mean
from .findings import Findings
from .options import (
    bias_option,
    bins_option,
    blocks_option,
    json_option,
    output_option,
    parse_range,
    range_option,
    runs_argument,
    skip_option,
    temperature_option,
    variable_option,
)


@click.command()
@runs_argument
@variable_option
@bias_option
@skip_option
@range_option
@click.option(
    "--second",
    metavar="LABEL",
    help="A second collective variable, by its PLUMED label: a surface over both is made, with contours.",
)
@click.option(
    "--second-range",
    "second_limits",
    callback=parse_range,
    metavar="MIN,MAX",
    help="Range of the second variable  [default: all that was sampled].",
)
@bins_option
@blocks_option
@click.option("--centroid", is_flag=True, help="Draw the profile of the centroid beside that of the beads.")
@temperature_option
@click.option(
    "--energy-unit",
    metavar="UNIT",
    default="kj/mol",
    show_default=True,
    help="Unit of the biases in tables of PLUMED: kj/mol, j/mol, kcal/mol, ev or ha.",
)
@output_option
@json_option
def profile(
    runs: tuple[Path, ...],
    variable: str | None,
    biases: tuple[str, ...],
    skip: float | None,
    limits: tuple[float, float] | None,
    second: str | None,
    second_limits: tuple[float, float] | None,
    bins: int,
    blocks: int,
    centroid: bool,
    temperature: float | None,
    energy_unit: str,
    output: Path | None,
    json_file: Path | None,
) -> None:
    """Make the free-energy profile of biased runs, and write it as CSV and PNG.

    RUNS are folders of runs that i-PI and PLUMED did together, their inputs or RESTARTs, finished or running; or COLVAR
    and HILLS of PLUMED, of which --skip is in the unit of their own times.  Runs of different numbers of beads give
    curves of their own, classical and quantum; several with restraints are umbrella windows, which MBAR joins.  With
    --second it is a surface over two variables, in --bins times --bins cells.
    """
    if second_limits is not None and second is None:
        raise click.UsageError("--second-range is for the variable of --second")
    from ...analysis.profile.make import ProfileRequest, make
    from ...analysis.profile.samples import ProfileOptions
    from ...analysis.profile.surfaces import SecondVariable, make_surfaces
    from ...runs.plumed.input import ENERGY_UNITS
    from ..launch.stages import Stages

    if energy_unit.lower() not in ENERGY_UNITS:
        raise click.UsageError(
            f"--energy-unit {energy_unit} is unknown; allowed are {', '.join(ENERGY_UNITS)}"
            f"{did_you_mean(energy_unit, ENERGY_UNITS)}"
        )
    findings = Findings(json_file)
    options = ProfileOptions(variable, biases, skip, limits, bins, blocks, centroid)
    with Stages() as stages:
        request = ProfileRequest(runs, options, temperature, energy_unit.lower(), output)
        shown = partial(stages.counted, label="reading runs")
        if second is None:
            report = make(request, shown)
        else:
            report = make_surfaces(request, SecondVariable(second, second_limits), shown)
    findings.say(report.lines)
    findings.numbers(report.numbers)
