"""Commands about models and data: ``beadwise fit``, ``beadwise evaluate`` and ``beadwise inspect``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import image_path, json_option, output_path, write_json
from .progress_bars import counted, labelled_bars, progress_bar

if TYPE_CHECKING:
    pass


@click.command()
@click.argument("model")
@click.argument("data", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="DATA.xyz...")
@json_option
@click.option(
    "--plot",
    "plot_file",
    type=click.Path(path_type=Path),
    callback=image_path,
    metavar="FILE.png",
    help="Draw prediction against reference.",
)
@click.option(
    "--reliability",
    "reliability_file",
    type=click.Path(path_type=Path),
    callback=image_path,
    metavar="FILE.png",
    help="Draw the errors against the uncertainty that a committee predicts.",
)
@click.option(
    "--baselines",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Of a model that corrects a baseline: evaluate it for all frames in parallel, and keep it there, as fit does.",
)
def evaluate(
    model: str,
    data: tuple[Path, ...],
    json_file: Path | None,
    plot_file: Path | None,
    reliability_file: Path | None,
    baselines: Path | None,
) -> None:
    """Compare a model with labelled structures.

    DATA are extended xyz files with any of energy (eV), forces (eV/Å), stress (eV/Å³), dipole (e·Å) and
    polarizability (Å³).  The last column of the table is the root mean square error in percent of the standard
    deviation of the reference.  A second table compares the errors with the uncertainty of a model that is a committee.
    """
    from rich.console import Console

    from ...learning.data import iterate_frames
    from ...learning.fitting.accuracy import evaluate_errors
    from ...learning.fitting.baseline_labels import with_kept_baseline
    from ...learning.fitting.calibration import reliabilities, reliability_table
    from ...model.errors import EvaluatorError
    from ...model.evaluators import load_evaluator

    evaluator = load_evaluator(model)
    baseline = None
    if baselines is not None:
        evaluator, baseline = with_kept_baseline(evaluator, baselines, model)
    with progress_bar() as progress:
        frames = list(counted(progress, "reading", iterate_frames(data)))
        if baseline is not None:
            baseline.prepare(frames, labelled_bars(progress))
        task = progress.add_task("evaluating", total=len(frames))
        report = evaluate_errors(evaluator, frames, lambda: progress.advance(task))
        task = progress.add_task("uncertainty", total=len(frames))
        reliable = reliabilities(evaluator, frames, lambda: progress.advance(task))
    if reliability_file is not None and not reliable:
        raise EvaluatorError(f"'{model}' has no uncertainty to draw; allowed are a committee and a model with members")
    files = ", ".join(map(str, data))
    Console().print(report.table(f"{model} on {files}, {report.frames} frames"))
    if reliable:
        Console().print(reliability_table(reliable))
    if json_file is not None:
        content = {"model": model, "data": [str(path) for path in data], **report.as_dict()}
        write_json(json_file, content | {"reliability": {name: own.as_dict() for name, own in reliable.items()}})
    if reliability_file is not None:
        from ...learning.pictures.reliability_plot import plot_reliability

        plot_reliability(
            {n: (own.uncertainties, own.errors, own.unit) for n, own in reliable.items()}, reliability_file
        )
    if plot_file is not None:
        from ...learning.pictures.parity import plot_parity

        plot_parity({files: report}, plot_file)


@click.command()
@click.argument("configuration", type=click.Path(path_type=Path), metavar="CONFIG.toml")
def fit(configuration: Path) -> None:
    """Fit a model to labelled structures.

    CONFIG.toml names the data, the density, what to fit and where to put the model and its error report; paths in it
    are relative to it.
    """
    from rich.console import Console

    from ...learning.fitting.calibration import calibration_text
    from ...learning.fitting.configuration import read_configuration
    from ...learning.fitting.fit import error_reports, model_path, with_errors, write_report
    from ...learning.fitting.fit import fit as fit_model
    from ...model import save

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


@click.command()
@click.argument("model")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a listing.")
def inspect(model: str, as_json: bool) -> None:
    """Say what a model file says of itself.

    MODEL is a model file or the name of a shipped model.
    """
    from rich.console import Console

    from ...model.description import describe_model, listing

    description = describe_model(model)
    if as_json:
        click.echo(json.dumps(description, indent=2, ensure_ascii=False))
    else:
        Console().print(listing(description))
