"""``beadwise lambda-integration``: from a harmonic crystal to the potential itself."""

from __future__ import annotations

from pathlib import Path

import click

from ..findings import Findings
from ..options import PATH, NearestChoice, json_option, output_option, prepare_option, skip_option

PATHS = ("smooth", "plain")


@click.command("lambda-integration")
@click.argument("runs", nargs=-1, type=PATH, metavar="RUNS...")
@prepare_option
@click.option("--harmonic", type=PATH, metavar="FILE.harmonic.npz", help="Harmonic crystal of what --prepare writes.")
@click.option("--model", metavar="MODEL", help="Potential of what --prepare writes  [default: that of --harmonic].")
@click.option(
    "--nodes",
    type=click.IntRange(min=1, max=30),  # names of inputs hold five digits of λ, which is as close at the ends
    metavar="N",
    default=8,
    show_default=True,
    help="Number of λ that --prepare chooses; at least 3 for the smooth path.",
)
@click.option(
    "--path",
    type=NearestChoice(PATHS),
    default=PATHS[0],
    show_default=True,
    help="Where λ lie: smooth crowds them at both ends, plain suits what is nearly harmonic.",
)
@click.option(
    "--beads",
    type=click.IntRange(min=1),
    metavar="P",
    help="Beads of what --prepare writes  [default: those of INPUT.xml].",
)
@click.option(
    "--stride",
    type=click.IntRange(min=1),
    metavar="N",
    default=10,
    show_default=True,
    help="Steps between samples of what --prepare writes.",
)
@skip_option
@output_option
@json_option
def lambda_integration(
    runs: tuple[Path, ...],
    prepare: Path | None,
    harmonic: Path | None,
    model: str | None,
    nodes: int,
    path: str,
    beads: int | None,
    stride: int,
    skip: float | None,
    output: Path | None,
    json_file: Path | None,
) -> None:
    """Switch a potential on over its harmonic crystal, for the anharmonic free energy.

    RUNS are those of --prepare, classical or with P beads, at several λ; from what they wrote of V - V_har come a
    quadrature over λ and MBAR over all samples, side by side.
    """
    if (prepare is None) == (not runs):
        raise click.UsageError("either RUNS or --prepare INPUT.xml is needed")
    if (prepare is None) != (harmonic is None):
        raise click.UsageError("--prepare INPUT.xml and --harmonic FILE.harmonic.npz go together")
    from ....analysis.crystals.switch_inputs import prepare_inputs
    from ....analysis.crystals.switching import integrate
    from ....analysis.results import written_to
    from ....runs.input.run_input import RunInput
    from ....sampling.switching import switch_nodes
    from ...launch.stages import Stages

    if prepare is not None and harmonic is not None:
        couplings = switch_nodes(nodes, path)[0].tolist()
        for one in prepare_inputs(RunInput.read(prepare), harmonic, couplings, beads, model, stride):
            click.echo(one)
        return
    findings = Findings(json_file)
    with Stages() as stages:
        report = integrate(list(stages.counted(runs, "reading runs")), skip)
    findings.say([*report.lines(), written_to(report.write(output))])
    findings.numbers(report.as_dict())
