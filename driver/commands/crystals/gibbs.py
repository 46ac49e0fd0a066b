"""``beadwise gibbs``: from constant volume to constant pressure."""

from __future__ import annotations

from pathlib import Path

import click

from ..findings import Findings
from ..options import PATH, POSITIVE, json_option, runs_argument, skip_option


@click.command()
@runs_argument
@click.option(
    "--harmonic",
    required=True,
    type=PATH,
    metavar="FILE.harmonic.npz",
    help="Harmonic crystal, in whose cell the free energy at constant volume is.",
)
@click.option(
    "--helmholtz",
    is_flag=True,
    help="RUNS are at several temperatures: integrate their enthalpy, or energy at constant volume, over temperature.",
)
@click.option(
    "--from",
    "start",
    type=POSITIVE,
    metavar="K",
    help="Temperature of --helmholtz at which the free energy is known, in K  [default: the lowest].",
)
@skip_option
@json_option
def gibbs(
    runs: tuple[Path, ...],
    harmonic: Path,
    helmholtz: bool,
    start: float | None,
    skip: float | None,
    json_file: Path | None,
) -> None:
    """Make the step from the Helmholtz to the Gibbs free energy of the volumes of RUNS.

    RUNS are at constant pressure, with an isotropic barostat, and write volume.  With --helmholtz they are at several
    temperatures, and write potential, too, and of path integrals kinetic_cv, all in one output.
    """
    if start is not None and not helmholtz:
        raise click.UsageError("--from is for --helmholtz")
    from ....analysis.crystals.gibbs import GibbsReport, make
    from ....analysis.crystals.helmholtz import HelmholtzReport, make_helmholtz

    findings = Findings(json_file)
    report: GibbsReport | HelmholtzReport
    report = make_helmholtz(runs, harmonic, start, skip) if helmholtz else make(runs, harmonic, skip)
    findings.say(report.lines())
    findings.numbers(report.as_dict())
