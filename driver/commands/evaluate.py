"""``beadwise evaluate``: a model against labelled structures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .findings import Findings
from .option_groups.reading_options import reading_of, reading_options
from .options import PATH, image_path, json_option, trust_option


@click.command()
@click.argument("model")
@click.argument("data", nargs=-1, required=True, metavar="DATA.xyz...")
@reading_options
@json_option
@click.option(
    "--plot",
    "plot_file",
    type=PATH,
    callback=image_path,
    metavar="FILE.png",
    help="Draw prediction against reference.",
)
@click.option(
    "--reliability",
    "reliability_file",
    type=PATH,
    callback=image_path,
    metavar="FILE.png",
    help="Draw the errors against the uncertainty that a committee predicts.",
)
@click.option(
    "--baselines",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Keep in this folder what the baseline of the model answers, as fit does, and evaluate it for all frames in "
    "parallel.",
)
@trust_option
def evaluate(
    model: str,
    data: tuple[str, ...],
    json_file: Path | None,
    plot_file: Path | None,
    reliability_file: Path | None,
    baselines: Path | None,
    **said: Any,
) -> None:
    """Compare a model with labelled structures.

    DATA are extended xyz files, patterns or parts of them (data.xyz@:100), with any of energy (eV), forces (eV/Å),
    stress (eV/Å³), dipole (e·Å), polarizability (Å³) and others, under these or other usual names.  The last column of
    the table is the root mean square error in percent of the standard deviation of the reference.  A second table
    compares the errors with the uncertainty of a model that is a committee.  Frames that the model was not made for,
    inside its short-range guard or outside what its training has seen, are counted.
    """
    from ...learning.data import expanded, iterate_frames
    from ...learning.fitting.accuracy import evaluate_errors
    from ...learning.fitting.baseline_labels import with_kept_baseline
    from ...learning.fitting.calibration import reliabilities, reliability_table
    from ...learning.fitting.guards import far_too_sure
    from ...model.errors import EvaluatorError
    from ...model.evaluators import load_evaluator
    from ..launch.stages import Stages

    findings = Findings(json_file)
    evaluator = load_evaluator(model)
    baseline = None
    if baselines is not None:
        evaluator, baseline = with_kept_baseline(evaluator, baselines, model)
    with Stages() as stages:
        names = expanded(data, Path())
        frames = list(stages.counted(iterate_frames(names, reading_of(**said)), "reading frames"))
        if baseline is not None:
            baseline.prepare(frames, stages)
        report = evaluate_errors(evaluator, stages.counted(frames, "evaluating frames"))
        reliable = reliabilities(evaluator, stages.counted(frames, "evaluating the uncertainty"))
    if reliability_file is not None and not reliable:
        raise EvaluatorError(f"'{model}' has no uncertainty to draw; allowed are a committee and a model with members")
    files = ", ".join(data)
    findings.show(report.table(f"{model} on {files}, {report.frames} frames"))
    findings.say(report.guards.lines())
    if reliable:
        findings.show(reliability_table(reliable))
        values = {name: (own.uncertainties, own.errors, own.places) for name, own in reliable.items()}
        findings.say(far_too_sure(values, [frame.name for frame in frames], report.guards))
    content = {"model": model, "data": list(data), **report.as_dict()}
    findings.numbers(content | {"reliability": {name: own.as_dict() for name, own in reliable.items()}})
    if reliability_file is not None:
        from ...learning.pictures.reliability_plot import plot_reliability  # matplotlib takes long to import

        drawn = {name: (own.uncertainties, own.errors, own.unit) for name, own in reliable.items()}
        plot_reliability(drawn, reliability_file)
    if plot_file is not None:
        from ...learning.pictures.parity import plot_parity

        plot_parity({files: report}, plot_file)
