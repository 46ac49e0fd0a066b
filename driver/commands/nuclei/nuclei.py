"""``beadwise nuclei``: the input of another treatment of the nuclei."""

from __future__ import annotations

from pathlib import Path

import click

from ..findings import Findings
from ..options import PATH, json_option, number

KINDS = ("rpmd", "trpmd", "pa-cmd", "piglet", "suzuki-chin")  # those of beadwise.analysis.nuclei.inputs


@click.command()
@click.argument("source", type=PATH, metavar="INPUT")
@click.option("--by", "kind", required=True, type=click.Choice(KINDS), help="How the nuclei are treated.")
@click.option(
    "--beads",
    type=click.IntRange(min=2),
    metavar="N",
    help="Number of beads  [default: 32 for rpmd, trpmd and pa-cmd, 6 for piglet, 16 for suzuki-chin].",
)
@number("--highest", unit="CM-1", default=4500.0, text="Highest harmonic vibration in cm⁻¹.")
@number("--frequency", unit="CM-1", text="Of the internal modes of pa-cmd, in cm⁻¹  [default: as published].")
@number("--timestep", unit="FS", text="In fs  [default: that of INPUT, or the longest that conserves].")
@json_option
def nuclei(
    source: Path,
    kind: str,
    beads: int | None,
    highest: float,
    frequency: float | None,
    timestep: float | None,
    json_file: Path | None,
) -> None:
    """Write an i-PI input that treats the nuclei in another way, beside INPUT.

    rpmd, trpmd and pa-cmd are dynamics, for spectra; piglet and suzuki-chin need fewer beads, and are for averages.
    The matrices of piglet are fitted for the temperature and the number of beads.  Structure, forces, temperature and
    outputs are those of INPUT, or of the shipped input of this name, which makes a new folder.
    """
    from ....analysis.nuclei.inputs import Treatment, prepare_input
    from ....analysis.results import warned
    from ....runs.input.run_input import RunInput
    from ...launch.shipped_inputs import copy_shipped_input, is_shipped_input, refuse_unknown

    refuse_unknown(source)
    treatment = Treatment(kind, beads, highest, frequency, timestep)
    path = copy_shipped_input(source.name, Path()) if is_shipped_input(source) else source
    prepared = prepare_input(RunInput.read(path), treatment)
    findings = Findings(json_file)
    findings.say([*prepared.lines, *warned(prepared.warnings), prepared.path])
    findings.numbers({"input": prepared.path, "warnings": prepared.warnings})
