"""``beadwise evaluate``: a model against labelled structures."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from ...learning.data import iterate_frames
from ...learning.fitting.accuracy import evaluate_errors
from ...learning.fitting.baseline_labels import with_kept_baseline
from ...learning.fitting.calibration import reliabilities, reliability_table
from ...learning.pictures.parity import plot_parity
from ...learning.pictures.reliability_plot import plot_reliability
from ...model.errors import EvaluatorError
from ...model.evaluators import load_evaluator
from .options import image_path, json_option, trust_option, write_json
from .progress_bars import counted, labelled_bars, progress_bar


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
@trust_option
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
        plot_reliability(
            {n: (own.uncertainties, own.errors, own.unit) for n, own in reliable.items()}, reliability_file
        )
    if plot_file is not None:
        plot_parity({files: report}, plot_file)
