"""The command ``beadwise mass-integration``: from classical to quantum free energies."""

from __future__ import annotations

from pathlib import Path

import click

from ...analysis.mass.inputs import prepare_inputs
from ...analysis.mass.make import integrate
from ...analysis.results import written_to
from ...model import BeadwiseError
from ...runs.input.run_input import RunInput
from ...sampling import SamplingError, gauss_legendre_ratios
from .options import json_option, output_path, parse_finite, write_json


@click.command("mass-integration")
@click.argument("runs", nargs=-1, type=click.Path(path_type=Path), metavar="RUNS...")
@click.option(
    "--prepare",
    type=click.Path(path_type=Path),
    metavar="INPUT.xml",
    help="Write the inputs of the runs that are needed, and do nothing else.",
)
@click.option(
    "--ratios", type=click.IntRange(min=1), default=5, show_default=True, help="How many masses --prepare chooses."
)
@click.option(
    "--skip",
    type=click.FloatRange(min=0),
    callback=parse_finite,
    metavar="PS",
    help="Time to leave out of each run, in ps  [default: a tenth].",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    callback=output_path,
    default=Path("mass_integration"),
    show_default=True,
    help="Name of the .csv and .png, without the ending.",
)
@json_option
def mass_integration(
    runs: tuple[Path, ...], prepare: Path | None, ratios: int, skip: float | None, output: Path, json_file: Path | None
) -> None:
    """Free energy of quantum nuclei over that of classical ones, by integration over the mass.

    RUNS are path-integral runs whose atoms all have the masses m/y², which write kinetic_cv: those of --prepare, whose
    y suit the Gauss-Legendre rule, or any up to y = 1, for the trapezoidal rule.
    """
    if (prepare is None) == (not runs):
        raise click.UsageError("either RUNS or --prepare INPUT.xml is needed")
    try:
        if prepare is not None:
            for path in prepare_inputs(RunInput.read(prepare), gauss_legendre_ratios(ratios)[0].tolist()):
                click.echo(path)
            return
        report = integrate(runs, skip)
    except SamplingError as error:
        raise BeadwiseError(str(error)) from error
    for line in report.lines():
        click.echo(line)
    click.echo(written_to(report.write(output)))
    if json_file is not None:
        write_json(json_file, report.as_dict())
