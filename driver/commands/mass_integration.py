"""``beadwise mass-integration``: from classical to quantum free energies."""

from __future__ import annotations

from pathlib import Path

import click

from .findings import Findings
from .options import PATH, json_option, output_option, skip_option


@click.command("mass-integration")
@click.argument("runs", nargs=-1, type=PATH, metavar="RUNS...")
@click.option(
    "--prepare",
    type=PATH,
    metavar="INPUT.xml",
    help="Write the inputs of the runs that are needed, and do nothing else.",
)
@click.option(
    "--ratios",
    type=click.IntRange(min=1),
    metavar="N",
    default=5,
    show_default=True,
    help="Number of masses that --prepare chooses.",
)
@skip_option
@output_option
@json_option
def mass_integration(
    runs: tuple[Path, ...],
    prepare: Path | None,
    ratios: int,
    skip: float | None,
    output: Path | None,
    json_file: Path | None,
) -> None:
    """Integrate over the mass, for the free energy of quantum nuclei over that of classical ones.

    RUNS are path-integral runs whose atoms all have the masses m/y², which write kinetic_cv: those of --prepare, whose
    y suit the Gauss-Legendre rule, or any up to y = 1, for the trapezoidal rule.
    """
    if (prepare is None) == (not runs):
        raise click.UsageError("either RUNS or --prepare INPUT.xml is needed")
    from ...analysis.mass.inputs import prepare_inputs
    from ...analysis.mass.make import integrate
    from ...analysis.results import written_to
    from ...runs.input.run_input import RunInput
    from ...sampling import gauss_legendre_ratios
    from ..launch.stages import Stages

    if prepare is not None:
        for path in prepare_inputs(RunInput.read(prepare), gauss_legendre_ratios(ratios)[0].tolist()):
            click.echo(path)
        return
    findings = Findings(json_file)
    with Stages() as stages:
        report = integrate(list(stages.counted(runs, "reading runs")), skip)
    findings.say([*report.lines(), written_to(report.write(output))])
    findings.numbers(report.as_dict())
