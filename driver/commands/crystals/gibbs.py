"""``beadwise gibbs``: from constant volume to constant pressure."""

from __future__ import annotations

from pathlib import Path

import click

from ..findings import Findings
from ..options import PATH, json_option, runs_argument, skip_option


@click.command()
@runs_argument
@click.option(
    "--harmonic",
    required=True,
    type=PATH,
    metavar="FILE.harmonic.npz",
    help="Harmonic crystal, in whose cell the free energy at constant volume is.",
)
@skip_option
@json_option
def gibbs(runs: tuple[Path, ...], harmonic: Path, skip: float | None, json_file: Path | None) -> None:
    """Make the step from the Helmholtz to the Gibbs free energy of the volumes of RUNS.

    RUNS are at constant pressure, with an isotropic barostat, and write volume.
    """
    from ....analysis.crystals.gibbs import make

    findings = Findings(json_file)
    report = make(runs, harmonic, skip)
    findings.say(report.lines())
    findings.numbers(report.as_dict())
