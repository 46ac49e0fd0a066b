"""``beadwise free-energy``: free energies of crystals as sums, and their differences."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from ..findings import Findings
from ..messages import fail
from ..options import PATH, json_option, output_option, trust_option


@click.command("free-energy")
@click.argument("crystals", nargs=-1, required=True, type=PATH, metavar="CRYSTAL.toml...")
@click.option("--run", "makes_missing", is_flag=True, help="First make what is missing, as [run] of each file says.")
@output_option
@json_option
@trust_option
def free_energy(crystals: tuple[Path, ...], makes_missing: bool, output: Path | None, json_file: Path | None) -> None:
    """Add up what commands found for crystals, and compare them with the first.

    CRYSTAL.toml names the harmonic crystal, the temperature, and what lambda-integration, mass-integration, promote and
    gibbs wrote with --json.  With --run these files are made first where they are missing: the section [run] names the
    structure, the potential and inputs of i-PI.  Started again, it goes on where it was, whatever ended it.
    """
    from ....analysis.crystals.cycle import sum_up
    from ....analysis.crystals.cycle_plot import plot_cycle
    from ....analysis.results import stem_of, write_files, written_to

    findings = Findings(json_file)
    if makes_missing:
        _make_missing(crystals, findings)
    report = sum_up(crystals)
    stem = stem_of(output, crystals[0].with_name(f"{crystals[0].stem}.free_energy"))
    files = write_files(stem, {".png": lambda image: plot_cycle(report, image)})
    findings.say([*report.lines(), written_to(files)])
    findings.numbers(report.as_dict())


def _make_missing(crystals: tuple[Path, ...], findings: Findings) -> None:
    """Make harmonic crystals, runs and results that are missing."""
    from ...launch.cycles.make import run_cycles
    from ...launch.plan import RunError
    from ...launch.stages import Stages

    try:
        with Stages() as stages:
            run_cycles(crystals, stages, findings.say)
    except (RunError, KeyboardInterrupt) as failure:
        command = shlex.join(["beadwise", "free-energy", "--run", *map(str, crystals)])
        fail(f"{failure or 'interrupted'}; go on with `{command}`", 1)
