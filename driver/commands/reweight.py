"""``beadwise reweight``: averages of runs with the error of the model beside that of the sampling."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from ...errors import BeadwiseError
from .findings import Findings
from .options import (
    NearestChoice,
    bias_option,
    bins_option,
    blocks_option,
    json_option,
    number,
    output_option,
    parse_range,
    range_option,
    runs_argument,
    skip_option,
    variable_option,
)


@click.command()
@runs_argument
@click.option(
    "--observable",
    "observables",
    multiple=True,
    metavar="NAME",
    help="Property of i-PI, by its name in the header, or dipole or polarizability of the extras; may be repeated.",
)
@click.option(
    "--distance",
    metavar="A,B",
    help="Radial distribution function g(r) of two kinds of atoms, as O,H; --range is needed, too.",
)
@click.option(
    "--count", "counts", is_flag=True, help="Count, with --distance, atoms B around one A, per Å, in place of g(r)."
)
@click.option("--profile", is_flag=True, help="Make the free-energy profile of a run with PLUMED.")
@variable_option
@click.option(
    "--from",
    "start",
    callback=parse_range,
    metavar="MIN,MAX",
    help="First range of the variable, of a free-energy difference between two.",
)
@click.option(
    "--to",
    "end",
    callback=parse_range,
    metavar="MIN,MAX",
    help="Second range of the variable; the difference is its free energy minus that of the first.",
)
@bias_option
@click.option(
    "--method",
    type=NearestChoice(["cea", "direct"]),
    default="cea",
    show_default=True,
    help="How averages over the ensembles of the members are made: cea expands in their differences, direct reweights.",
)
@skip_option
@number(
    "--calibration",
    unit="FACTOR",
    default=1.0,
    text="Factor on the distances of the members' energies from their mean.",
)
@number(
    "--property-calibration",
    unit="FACTOR",
    default=1.0,
    text="Factor on the distances of the members' dipoles and polarizabilities from their mean.",
)
@range_option
@bins_option
@blocks_option
@click.option("--force", is_flag=True, help="Give numbers that would be refused as the members are too far apart.")
@output_option
@json_option
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
    output: Path | None,
    json_file: Path | None,
) -> None:
    """Average what a run with a committee of models wrote, with the error of the model beside that of the sampling.

    RUNS are folders of runs in which i-PI wrote committee_pot of every bead, their inputs or RESTARTs, finished or
    running; several are averaged.  Each member's own ensemble is reached by reweighting, from the run that their mean
    has moved.
    """
    profile = profile or start is not None or end is not None
    _check_options(observables, distance, counts, profile, variable, (start, end))
    from ...analysis.results import warned, written_to
    from ...analysis.reweighting.distances import labels_of
    from ...analysis.reweighting.make import make
    from ...analysis.reweighting.request import ReweightRequest
    from ...sampling import OutOfReachError
    from ..launch.stages import Stages

    findings = Findings(json_file)
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
        with Stages() as stages:
            outcome, files = make(request, partial(stages.counted, label="reading runs"))
    except OutOfReachError as error:
        raise BeadwiseError(f"{error}; --force gives the numbers all the same") from error
    findings.show(outcome.table())
    findings.say([*outcome.notes, *warned(outcome.warnings), *([written_to(files)] if files else [])])
    findings.numbers(outcome.as_dict())


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
