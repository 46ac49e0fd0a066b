"""``beadwise evaluate``: a model against labelled structures."""

from __future__ import annotations

from pathlib import Path

import click

from .findings import Findings
from .options import PATH, image_path, json_option, trust_option


@click.command()
@click.argument("model")
@click.argument("data", nargs=-1, required=True, type=PATH, metavar="DATA.xyz...")
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
    from ...learning.data import iterate_frames
    from ...learning.fitting.accuracy import evaluate_errors
    from ...learning.fitting.baseline_labels import with_kept_baseline
    from ...learning.fitting.calibration import reliabilities, reliability_table
    from ...model.errors import EvaluatorError
    from ...model.evaluators import load_evaluator
    from ..launch.stages import Stages

    findings = Findings(json_file)
    evaluator = load_evaluator(model)
    baseline = None
    if baselines is not None:
        evaluator, baseline = with_kept_baseline(evaluator, baselines, model)
    with Stages() as stages:
        frames = list(stages.counted(iterate_frames(data), "reading frames"))
        if baseline is not None:
            baseline.prepare(frames, stages)
        report = evaluate_errors(evaluator, stages.counted(frames, "evaluating frames"))
        reliable = reliabilities(evaluator, stages.counted(frames, "evaluating the uncertainty"))
    if reliability_file is not None and not reliable:
        raise EvaluatorError(f"'{model}' has no uncertainty to draw; allowed are a committee and a model with members")
    files = ", ".join(map(str, data))
    findings.show(report.table(f"{model} on {files}, {report.frames} frames"))
    if reliable:
        findings.show(reliability_table(reliable))
    content = {"model": model, "data": [str(path) for path in data], **report.as_dict()}
    findings.numbers(content | {"reliability": {name: own.as_dict() for name, own in reliable.items()}})
    if reliability_file is not None:
        from ...learning.pictures.reliability_plot import plot_reliability  # matplotlib takes long to import

        drawn = {name: (own.uncertainties, own.errors, own.unit) for name, own in reliable.items()}
        plot_reliability(drawn, reliability_file)
    if plot_file is not None:
        from ...learning.pictures.parity import plot_parity

        plot_parity({files: report}, plot_file)
