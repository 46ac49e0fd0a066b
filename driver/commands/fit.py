"""``beadwise fit``: from labelled structures to a model file."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from ...learning.fitting.calibration import calibration_text
from ...learning.fitting.configuration import read_configuration
from ...learning.fitting.fit import error_reports, model_path, with_errors, write_report
from ...learning.fitting.fit import fit as fit_model
from ...model import save
from .options import output_path, trust_option
from .progress_bars import labelled_bars, progress_bar


@click.command()
@click.argument("configuration", type=click.Path(path_type=Path), metavar="CONFIG.toml")
@trust_option
def fit(configuration: Path) -> None:
    """Fit a model to labelled structures.

    CONFIG.toml names the data, the density, what to fit and where to put the model and its error report; paths in it
    are relative to it.
    """
    settings = read_configuration(configuration)
    path = model_path(settings)
    output_path(click.get_current_context(), click.Argument(["model"]), path)
    with progress_bar() as progress:
        advance = labelled_bars(progress)
        model = fit_model(settings, advance)
        save(model, path)  # before the errors are evaluated: a fit should not be lost to what follows
        reports = error_reports(model, settings, advance)
    save(with_errors(model, settings, reports), path)
    console = Console()
    for name, report in reports.items():
        console.print(report.table(f"{name}, {report.frames} frames"))
    if model.members is not None:
        console.print(calibration_text(model), soft_wrap=True, highlight=False)
    folder = write_report(settings, reports)
    console.print(f"model in {path}, errors and parity plots in {folder}", soft_wrap=True)
