"""``beadwise free-energy``: free energies of crystals as sums, and their differences."""

from __future__ import annotations

from pathlib import Path

import click

from ..findings import Findings
from ..options import PATH, json_option, output_option


@click.command("free-energy")
@click.argument("crystals", nargs=-1, required=True, type=PATH, metavar="CRYSTAL.toml...")
@output_option
@json_option
def free_energy(crystals: tuple[Path, ...], output: Path | None, json_file: Path | None) -> None:
    """Add up what commands found for crystals, and compare them with the first.

    CRYSTAL.toml names the harmonic crystal, the temperature, and what lambda-integration, mass-integration, promote and
    gibbs wrote with --json.
    """
    from ....analysis.crystals.cycle import sum_up
    from ....analysis.crystals.cycle_plot import plot_cycle
    from ....analysis.results import stem_of, write_files, written_to

    findings = Findings(json_file)
    report = sum_up(crystals)
    stem = stem_of(output, crystals[0].with_name(f"{crystals[0].stem}.free_energy"))
    files = write_files(stem, {".png": lambda image: plot_cycle(report, image)})
    findings.say([*report.lines(), written_to(files)])
    findings.numbers(report.as_dict())
