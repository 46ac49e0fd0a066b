"""What active learning has done, for a reader: one HTML page that needs nothing else, and a table for the terminal."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from rich.table import Table

from ...page import render
from ...whole_files import write_text
from ..data import DataError
from ..fitting.accuracy import report_units
from ..loop.state import RoundRecord
from . import loop_plots as learn_plots
from .loop_plots import Records, error_of, fraction_below, labels_of, predicted_and_true

FOLDER = Path(__file__).parent
MISSING = "–"
CAPTION_OF_CALIBRATION = (
    "Each point is a frame that got a label: the force error that the model predicted, and the one that the label "
    "showed, both root mean squares over its atoms. Points of a calibrated model lie around the line."
)


class Picture(NamedTuple):
    """A figure of the page.

    Parameters
    ----------
    name, caption : str
    svg : str
        In base64.
    """

    name: str
    caption: str
    svg: str


@dataclass(frozen=True)
class LearningReport:
    """What the page is made of.

    Parameters
    ----------
    records : sequence of RoundRecord
        In the order of the rounds.
    title : str
        What is learned.
    state : str
        One line: whether the loop runs, has ended, and why.
    thresholds, envelope_thresholds : mapping of str to float
        By their names: of the force uncertainty in eV/Å, and of the distance from the training range.
    name : str
        Of these records in the legend, where there are others.
    others : mapping of str to sequence of RoundRecord
        Records of other loops by name, drawn beside in the plots of errors.
    """

    records: Records
    title: str = "Active learning"
    state: str = ""
    thresholds: Mapping[str, float] = field(default_factory=dict)
    envelope_thresholds: Mapping[str, float] = field(default_factory=dict)
    name: str = "active"
    others: Mapping[str, Records] = field(default_factory=dict)

    @property
    def records_by_name(self) -> dict[str, Records]:
        """Records of this loop, then of all others."""
        return {self.name: self.records, **self.others}


def write_learning_report(report: LearningReport, path: str | Path) -> None:
    """Write the page; it is replaced at once, so that a browser never sees half of it.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    page = Path(path)
    try:
        write_text(page, html_of(report))
    except OSError as error:
        raise DataError(f"cannot write the report '{page}': {error.strerror}") from error


def html_of(report: LearningReport) -> str:
    """Lay out the page: self-contained, without scripts, with pictures as embedded SVG.

    Parameters
    ----------
    report : LearningReport

    Returns
    -------
    str
        HTML 5.
    """
    records = report.records
    return render(
        FOLDER,
        "learning.html",
        report=report,
        numbers=_headline(records),
        rounds=round_columns(records, every=True),
        figures=_figures(report) if records else [],
        runs=run_columns(records),
        text=("run", "end"),
    )


def rounds_table(records: Records) -> Table:
    """The most important columns of all rounds for the terminal."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    columns = round_columns(records)
    for heading in columns:
        table.add_column(heading, justify="right")
    for row in zip(*columns.values(), strict=True):
        table.add_row(*row)
    return table


def round_columns(records: Records, every: bool = False) -> dict[str, list[str]]:
    """Columns of the table of rounds by their headings, as text.

    Parameters
    ----------
    records : sequence of RoundRecord
    every : bool
        Whether all are wanted, rather than those that fit a terminal of 80 characters.
    """
    columns = {
        "round": [str(record.number) for record in records],
        "labels": [str(labels_of(record)) for record in records],
        "candi-\ndates": [str(len(record.candidate_uncertainties)) for record in records],
        "new": [count(record.new) for record in records],
        **({"failed": [count(record.failed) for record in records]} if any(own.failed for own in records) else {}),
        "highest\nσ, eV/Å": [number(_highest_uncertainty(record)) for record in records],
    }
    columns |= _error_columns(records, every)
    columns["true /\npredicted"] = [number(error_ratio(record)) for record in records]
    if every:
        for multiple, text in learn_plots.MULTIPLES.items():
            heading = text.replace("≤ ", "≤\n")
            columns[heading] = [_percent(fraction_below(record, multiple)) for record in records]
        for name in dict.fromkeys(name for record in records for name in record.calibration):
            columns[f"α of\n{name}"] = [number(record.calibration.get(name)) for record in records]
    columns["time"] = [duration(_total(record.seconds.values())) for record in records]
    return columns


def _error_columns(records: Records, every: bool) -> dict[str, list[str]]:
    """Errors of all labels and sets, or of energy and forces on the set that matters most."""
    labels = [label for label in learn_plots.error_labels({"": records}) if every or label in ("forces", "energy")]
    columns = {}
    for label in labels:
        for set_name in learn_plots.SETS:
            values = [number(error_of(record, set_name, label)) for record in records]
            if any(value != MISSING for value in values):
                name = set_name if every else f"{set_name[:5]}."
                columns[f"{label}\n{name}\n{report_units()[label]}"] = values
                if not every:
                    break
    return columns


def run_columns(records: Records) -> dict[str, list[str]]:
    """Columns of the table of explorations by their headings, as text."""
    runs = [(record, run) for record in records for run in record.explorations]
    return {
        "round": [str(record.number) for record, _ in runs],
        "run": [run.name for _, run in runs],
        "steps": [f"{run.steps} of {run.total_steps}" for _, run in runs],
        "seen": [str(run.seen) for _, run in runs],
        "flagged": [str(run.flagged) for _, run in runs],
        "highest σ\neV/Å": [number(run.highest_uncertainty) for _, run in runs],
        "distance from\ntraining range": [number(run.highest_envelope_distance) for _, run in runs],
        "time": [duration(run.seconds) for _, run in runs],
        "end": [f"{run.outcome}: {run.reason}" if run.reason else run.outcome for _, run in runs],
    }


def error_ratio(record: RoundRecord) -> float | None:
    """Root mean square of the true force errors of a round's labelled frames, divided by that of the predicted ones."""
    predicted, true = predicted_and_true(record)
    return float(np.sqrt(np.mean(true**2) / np.mean(predicted**2))) if len(true) else None


def count(value: int | None) -> str:
    """Write a whole number, a dash if there is none."""
    return MISSING if value is None else str(value)


def number(value: float | None, digits: int = 3) -> str:
    """Write a number with so many significant digits, a dash if there is none."""
    if value is None or not math.isfinite(value):
        return MISSING
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits}g}")  # 9.999 has a digit before the point, 10.0 two
    places = max(0, digits - 1 - math.floor(math.log10(abs(rounded))))
    return f"{value:.{places}f}"


def duration(seconds: float | None) -> str:
    """Write a time as ``4.2 s``, ``12 min`` or ``3 h 05 min``."""
    if seconds is None or not math.isfinite(seconds):
        return MISSING
    if seconds < 99.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _headline(records: Records) -> dict[str, str]:
    """Numbers that a reader looks for first, by their names; none before the first round."""
    if not records:
        return {}
    last = records[-1]
    facts = {
        "rounds": str(len(records)),
        "labelled frames": str(labels_of(last) + (last.new or 0)),
        "of them chosen by the loop": str(sum(record.new or 0 for record in records)),
    }
    for label in ("forces", "energy"):
        for set_name in learn_plots.SETS:
            value = error_of(last, set_name, label)
            if value is not None:
                facts[f"RMSE of {label}, {set_name} frames"] = f"{number(value)} {report_units()[label]}"
    facts["time"] = duration(_total(_total(record.seconds.values()) for record in records))
    return facts


def _figures(report: LearningReport) -> list[Picture]:
    """All pictures that there is something to show in."""
    records = report.records
    labels = sorted(learn_plots.error_labels(report.records_by_name), key=lambda label: label != "forces")
    figures = [
        _embedded(
            learn_plots.error_figure(report.records_by_name, label),
            f"Error of {label} against labelled frames",
            f"Root mean square error of {label} against the number of frames that have a label.",
        )
        for label in labels
    ]
    if any(len(predicted_and_true(record)[0]) for record in records):
        figures += [
            _embedded(learn_plots.calibration_figure(records), "Predicted and true error", CAPTION_OF_CALIBRATION),
            _embedded(
                learn_plots.fractions_figure(records),
                "Fractions within the predicted error",
                "Part of each round's newly labelled frames whose error is at most that predicted, or twice that.",
            ),
        ]
    if any(record.explorations for record in records):
        caption = "Highest force uncertainty that each run met. The mark tells how the run ended."
        figures.append(_embedded(learn_plots.exploration_figure(records, report.thresholds), "Exploration", caption))
    if any(run.highest_envelope_distance for record in records for run in record.explorations):
        caption = "How far runs left the range of the training data, in units of that range."
        figure = learn_plots.envelope_figure(records, report.envelope_thresholds)
        figures.append(_embedded(figure, "Distance from the training range", caption))
    if any(record.candidate_uncertainties for record in records):
        caption = "Candidates that the runs of each round offered, and those that were chosen."
        figures.append(_embedded(learn_plots.selection_figure(records, report.thresholds), "Selection", caption))
    if any(record.seconds for record in records):
        figures.append(_embedded(learn_plots.time_figure(records), "Time", "Time that each stage of each round took."))
    return figures


def _embedded(figure: Figure, name: str, caption: str) -> Picture:
    """A figure whose picture stands in the page itself."""
    stream = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "beadwise"}):  # the same page for the same records
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return Picture(name, caption, base64.b64encode(stream.getvalue()).decode("ascii"))


def _highest_uncertainty(record: RoundRecord) -> float | None:
    """Highest force uncertainty in eV/Å that a round's runs met."""
    values = [run.highest_uncertainty for run in record.explorations if run.highest_uncertainty is not None]
    return max(values, default=None)


def _total(values: Iterable[float | None]) -> float | None:
    """Sum of what is known; None if nothing is."""
    known = [value for value in values if value is not None]
    return math.fsum(known) if known else None


def _percent(fraction: float | None) -> str:
    return MISSING if fraction is None else f"{100 * fraction:.0f} %"
