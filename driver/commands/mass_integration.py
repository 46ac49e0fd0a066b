"""``beadwise mass-integration``: from classical to quantum free energies."""

from __future__ import annotations

from pathlib import Path

import click

from .findings import Findings
from .options import PATH, json_option, output_option, prepare_option, skip_option


@click.command("mass-integration")
@click.argument("runs", nargs=-1, type=PATH, metavar="RUNS...")
@prepare_option
@click.option(
    "--ratios",
    type=click.IntRange(min=1),
    metavar="N",
    default=5,
    show_default=True,
    help="Number of masses that --prepare chooses.",
)
@click.option(
    "--element",
    metavar="LIGHT=HEAVY",
    help="Integrate over the mass of one isotope's atoms alone, as H=D, from one to the other.",
)
@click.option(
    "--harmonic",
    type=PATH,
    metavar="FILE.harmonic.npz",
    help="Harmonic crystal of RUNS: its fluctuations are taken off, its part is exact; --prepare then adds outputs.",
)
@skip_option
@output_option
@json_option
def mass_integration(
    runs: tuple[Path, ...],
    prepare: Path | None,
    ratios: int,
    element: str | None,
    harmonic: Path | None,
    skip: float | None,
    output: Path | None,
    json_file: Path | None,
) -> None:
    """Integrate over the mass, for the free energy of quantum nuclei over that of classical ones.

    RUNS are path-integral runs whose atoms all have the masses m/y², which write kinetic_cv: those of --prepare, whose
    y suit the Gauss-Legendre rule, or any up to y = 1, for the trapezoidal rule.  With --element H=D only the atoms of
    one isotope get other masses, from its own to that of the other, and the runs write kinetic_cv(H).  With --harmonic
    runs of a crystal write positions and forces of all beads.
    """
    if (prepare is None) == (not runs):
        raise click.UsageError("either RUNS or --prepare INPUT.xml is needed")
    if element is not None and output is not None:
        raise click.UsageError("--element writes no table and no picture, so that --output has no use; --json has")
    if element is not None and harmonic is not None:
        raise click.UsageError("--harmonic is for the masses of all atoms, --element for those of one isotope")
    from ...analysis.mass.elements import Exchange, integrate_exchange, prepare_exchange
    from ...analysis.mass.inputs import prepare_inputs
    from ...analysis.mass.make import integrate
    from ...analysis.results import written_to
    from ...runs.input.run_input import RunInput
    from ...sampling import gauss_legendre_ratios
    from ..launch.stages import Stages

    exchange = None if element is None else Exchange.of(element)
    if prepare is not None:
        source = RunInput.read(prepare)
        if exchange is not None:
            paths = prepare_exchange(source, exchange, ratios)
        else:
            paths = prepare_inputs(source, gauss_legendre_ratios(ratios)[0].tolist(), harmonic)
        for path in paths:
            click.echo(path)
        return
    findings = Findings(json_file)
    with Stages() as stages:
        sources = list(stages.counted(runs, "reading runs"))
        if exchange is not None:
            of_exchange = integrate_exchange(sources, exchange, skip)
            findings.say(of_exchange.lines())
            findings.numbers(of_exchange.as_dict())
            return
        report = integrate(sources, skip, harmonic)
    findings.say([*report.lines(), written_to(report.write(output))])
    findings.numbers(report.as_dict())
