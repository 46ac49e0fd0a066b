"""``beadwise report``: one page about a run."""

from __future__ import annotations

from pathlib import Path

import click

from .findings import Findings
from .options import PATH, json_option, output_path


@click.command()
@click.argument("source", type=PATH, metavar="RUN")
@click.option(
    "--output",
    type=PATH,
    callback=output_path,
    metavar="FILE.html",
    help="File to write the page to  [default: PREFIX.report.html in the folder of the run].",
)
@json_option
def report(source: Path, output: Path | None, json_file: Path | None) -> None:
    """Write one page about RUN: its checks, spectra, energies and structure.

    RUN is the folder of a run, its input or its RESTART, finished or running, started by `beadwise run` or by hand.
    The page is one file of HTML and needs no network.  Checks are printed as well.
    """
    from ...analysis.report.make import make

    findings = Findings(json_file)
    made = make(source, output)
    findings.say(made.lines)
    findings.numbers(made.numbers)
