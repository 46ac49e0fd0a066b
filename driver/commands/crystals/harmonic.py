"""``beadwise harmonic``: the harmonic reference of a crystal."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

from ..findings import Findings
from ..options import PATH, POSITIVE, json_option, output_path, trust_option


def _temperatures(context: click.Context, parameter: click.Parameter, value: str) -> tuple[float, ...]:
    """Split ``100,250``."""
    try:
        numbers = tuple(float(word) for word in value.split(","))
    except ValueError:
        numbers = (math.nan,)
    if not all(0 < number < math.inf for number in numbers):
        raise click.BadParameter(f"'{value}'; numbers above 0 in K, separated by commas, are needed")
    return numbers


@click.command()
@click.argument("structure", type=PATH, metavar="STRUCTURE")
@click.option("--model", required=True, metavar="MODEL", help="What answers: a model file, qtip4pf, or another name.")
@click.option(
    "--temperature",
    "temperatures",
    callback=_temperatures,
    default="300",
    show_default=True,
    metavar="K,K",
    help="Temperatures of the table in K, separated by commas.",
)
@click.option(
    "--beads", type=click.IntRange(min=1), metavar="P", help="Add the free energy of ring polymers of P beads."
)
@click.option("--held", is_flag=True, help="Atoms are held from outside, as by traps: all 3N modes count.")
@click.option(
    "--fmax",
    "largest_force",
    type=POSITIVE,
    default=1e-4,
    show_default=True,
    metavar="EV/ANGSTROM",
    help="Force that may be left on an atom of the minimum, in eV/Å.",
)
@click.option(
    "--displacement",
    type=POSITIVE,
    default=0.005,
    show_default=True,
    metavar="ANGSTROM",
    help="How far an atom is moved for a column of the Hessian, in Å.",
)
@click.option(
    "--output",
    type=PATH,
    callback=output_path,
    metavar="PREFIX",
    help="Beginning of the names of the files that are written  [default: that of STRUCTURE].",
)
@json_option
@trust_option
def harmonic(json_file: Path | None, **options: Any) -> None:
    """Make the harmonic reference of the crystal in STRUCTURE.

    Its atoms are moved to the minimum in their cell, and the Hessian there is made of forces on displaced structures in
    batches.  PREFIX.harmonic.npz is what a switch and the other commands about crystals read, PREFIX.minimum.xyz what
    runs start from; PREFIX.POSCAR and PREFIX.FORCE_CONSTANTS are for phonopy.
    """
    from ....analysis.crystals.harmonic import HarmonicRequest, make
    from ....analysis.results import written_to
    from ...launch.stages import Stages

    findings = Findings(json_file)
    with Stages() as stages:
        report = make(HarmonicRequest(**options), stages)
        findings.say([*report.lines(), written_to(report.write())])
    findings.numbers(report.as_dict())
