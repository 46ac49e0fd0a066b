"""Pictures of active learning: errors, calibration, exploration, selection and time, round by round."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ...pictures import (
    COLOURS,
    LEGEND,
    PALE,
    SMALLEST,
    WIDTH,
    drawn_values,
    foot,
    head,
    label_decades,
    log_limits,
    panel,
    scale,
    series_style,
    write_png,
)
from ..data import DataError
from ..fitting.accuracy import report_units
from ..loop.state import RoundRecord

SETS = {"independent": ("-", "o"), "validation": ("--", "s")}  # dashes and marks
OUTCOME_MARKS = {"finished": "o", "stopped": "v", "broken": "X"}
STAGES = ("fit", "evaluate", "explore", "select", "label")
MOST_NAMED = 8  # rounds in a legend
MULTIPLES = {1: "true ≤ predicted", 2: "true ≤ 2 × predicted"}
Records = Sequence[RoundRecord]


def finite(values: Iterable[float | None]) -> np.ndarray:
    """Values as float64, NaN for what is missing."""
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)


def labels_of(record: RoundRecord) -> int:
    """Labels that were spent before this round's fit: training and validation."""
    return (record.training or 0) + (record.validation or 0)


def error_of(record: RoundRecord, set_name: str, label: str) -> float | None:
    """Root mean square error in the unit of `report_units`; None if it is not known."""
    return (record.errors.get(set_name) or {}).get(label)


def error_labels(records_by_name: Mapping[str, Records]) -> list[str]:
    """Labels for which any round of any loop has an error, in the order of `report_units`."""
    records = [record for own in records_by_name.values() for record in own]
    return [
        label
        for label in report_units()
        if any(error_of(record, own, label) is not None for record in records for own in SETS)
    ]


def error_figure(records_by_name: Mapping[str, Records], label: str) -> Figure:
    """Error of one label on independent and validation frames against the number of labelled frames.

    Parameters
    ----------
    records_by_name : mapping of str to sequence of RoundRecord
        By the name in the legend: a loop, and others to compare with.
    label : str
        One of `beadwise.learning.fitting.accuracy.report_units`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = panel()
    for number, (name, records) in enumerate(records_by_name.items()):
        for set_name, (dashes, mark) in SETS.items():
            errors = finite(error_of(record, set_name, label) for record in records)
            if np.isnan(errors).all():
                continue
            text = f"{name}, {set_name}" if len(records_by_name) > 1 else set_name
            style = series_style(COLOURS[number % len(COLOURS)], dashes, mark)
            axes.plot([labels_of(record) for record in records], errors, label=text, **style)
    axes.set_xlabel("labelled frames (training and validation)")
    axes.set_ylabel(f"RMSE of {label} / {report_units()[label]}")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    scale(axes, drawn_values(axes))
    _legend_below(figure, axes.get_legend_handles_labels()[0])
    return figure


def calibration_figure(records: Records) -> Figure:
    """Predicted uncertainty against true force error of the frames that each round labelled, log–log."""
    figure, axes = panel((5.0, 4.8))
    colours = _round_colours(records)
    drawn = [np.zeros(0)]
    named_every = -(-len(records) // MOST_NAMED)
    for place, (record, colour) in enumerate(zip(records, colours, strict=True)):
        predicted, true = predicted_and_true(record)
        if len(predicted):
            axes.plot(predicted, true, "o", color=colour, markersize=4.5, alpha=0.75, markeredgewidth=0, zorder=3)
            if place % named_every == 0:
                axes.plot([], [], "o", color=colour, markersize=5, label=f"round {record.number}")
            drawn += [predicted, true]
    lowest, highest = log_limits(np.concatenate(drawn))
    line = np.array([lowest / 10, highest * 10])
    axes.plot(line, line, color="0.25", linewidth=1.0, label="true = predicted", zorder=2)
    axes.plot(line, 2 * line, color="0.55", linewidth=1.0, linestyle="--", label="true = 2 × predicted", zorder=2)
    axes.set(xscale="log", yscale="log", xlim=(lowest, highest), ylim=(lowest, highest), aspect="equal")
    for axis in (axes.xaxis, axes.yaxis):
        label_decades(axis, highest / lowest)
    axes.set_xlabel("predicted force error / eV/Å")
    axes.set_ylabel("true force error / eV/Å")
    _legend_below(figure, axes.get_legend_handles_labels()[0])
    return figure


def fractions_figure(records: Records) -> Figure:
    """Of every round's labelled frames the part whose true error is below once and twice the predicted one."""
    figure, axes = panel()
    numbers = [record.number for record in records]
    for colour, (multiple, text) in zip(COLOURS, MULTIPLES.items(), strict=False):
        values = finite(fraction_below(record, multiple) for record in records)
        axes.plot(numbers, 100 * values, label=text, **series_style(colour))
    axes.set_ylim(0, 105)
    axes.set_ylabel("labelled frames / %")
    _round_axis(axes, records)
    _legend_below(figure, axes.get_legend_handles_labels()[0])
    return figure


def predicted_and_true(record: RoundRecord) -> tuple[np.ndarray, np.ndarray]:
    """Predicted and true force errors of a round's labelled frames in eV/Å, of those that have both."""
    pairs = [(p, t) for p, t in zip(record.predicted_errors, record.true_errors, strict=False) if p and t]
    both = np.array([pair for pair in pairs if np.isfinite(pair).all()], dtype=np.float64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def fraction_below(record: RoundRecord, multiple: float) -> float | None:
    """Part of a round's labelled frames whose true error is at most so many times the predicted one."""
    predicted, true = predicted_and_true(record)
    return float(np.mean(true <= multiple * predicted)) if len(true) else None


def exploration_figure(records: Records, thresholds: Mapping[str, float] | None = None) -> Figure:
    """Highest force uncertainty that each run of each round met; the mark tells how the run ended.

    Parameters
    ----------
    records : sequence of RoundRecord
    thresholds : mapping of str to float, optional
        In eV/Å by their names, drawn as lines.
    """
    return _runs_figure(records, "highest_uncertainty", "highest force uncertainty / eV/Å", thresholds or {})


def envelope_figure(records: Records, thresholds: Mapping[str, float] | None = None) -> Figure:
    """Highest distance from the range of the training data that each run met; see `exploration_figure`."""
    label = "highest distance from training range,\nin units of that range"
    return _runs_figure(records, "highest_envelope_distance", label, thresholds or {})


def _runs_figure(records: Records, attribute: str, label: str, thresholds: Mapping[str, float]) -> Figure:
    figure, axes = panel()
    names = list(dict.fromkeys(run.name for record in records for run in record.explorations))
    for number, name in enumerate(names):
        runs = [(record.number, run) for record in records for run in record.explorations if run.name == name]
        values = finite(getattr(run, attribute) for _, run in runs)
        colour = COLOURS[number % len(COLOURS)]
        axes.plot([place for place, _ in runs], values, color=colour, linewidth=1.2, label=name, zorder=3)
        for (place, run), value in zip(runs, values, strict=True):
            mark = OUTCOME_MARKS.get(run.outcome, "o")
            axes.plot([place], [value], mark, color=colour, markersize=6.5, markeredgecolor="white", zorder=4)
    axes.set_ylabel(label)
    scale(axes, np.append(drawn_values(axes), list(thresholds.values())))
    _round_axis(axes, records)
    _draw_thresholds(axes, thresholds)
    outcomes = {run.outcome for record in records for run in record.explorations}
    handles = axes.get_legend_handles_labels()[0]
    handles += [
        Line2D([], [], color="0.4", marker=mark, linestyle="", markersize=6, label=outcome)
        for outcome, mark in OUTCOME_MARKS.items()
        if outcome in outcomes
    ]
    _legend_below(figure, handles)
    return figure


def selection_figure(records: Records, thresholds: Mapping[str, float] | None = None) -> Figure:
    """Force uncertainties of each round's candidates as a density, and those that were chosen as points."""
    figure, axes = panel()
    every = np.concatenate(
        [finite(own) for record in records for own in (record.candidate_uncertainties, record.selected_uncertainties)]
        or [np.zeros(0)]
    )
    every = every[every > 0]
    lowest, highest = log_limits(every)
    edges = np.geomspace(lowest, highest, 41)
    for record in records:
        candidates, selected = (finite(own) for own in (record.candidate_uncertainties, record.selected_uncertainties))
        counts = np.histogram(candidates[np.isfinite(candidates)], edges)[0]
        width = 0.38 * counts / max(1, counts.max())
        axes.stairs(
            record.number + width,
            edges,
            baseline=record.number - width,
            orientation="horizontal",
            fill=True,
            color=PALE,
            zorder=2,
        )
        # side by side, in the order of choice
        across = record.number + 0.25 * np.linspace(-1, 1, len(selected)) if len(selected) > 1 else [record.number]
        if len(selected):
            axes.plot(across, selected, "o", color=COLOURS[1], markersize=3.5, alpha=0.8, markeredgewidth=0, zorder=3)
    axes.set(yscale="log", ylim=(lowest, highest))
    axes.set_ylabel("force uncertainty / eV/Å")
    label_decades(axes.yaxis, highest / lowest)
    _round_axis(axes, records)
    _draw_thresholds(axes, thresholds or {})
    _legend_below(
        figure,
        [
            Line2D([], [], color=PALE, linewidth=7, label="candidates"),
            Line2D([], [], color=COLOURS[1], marker="o", linestyle="", markersize=5, label="chosen, left to right"),
        ],
    )
    return figure


def time_figure(records: Records) -> Figure:
    """Time that each stage of each round took, as stacked bars."""
    figure, axes = panel()
    names = [*STAGES, *dict.fromkeys(name for record in records for name in record.seconds if name not in STAGES)]
    seconds = np.array([[record.seconds.get(name) or 0.0 for name in names] for record in records]).reshape(
        -1, len(names)
    )
    unit, divisor = _time_unit(seconds.sum(axis=1).max(initial=0.0))
    below = np.zeros(len(records))
    for number, name in enumerate(names):
        own = seconds[:, number] / divisor
        if own.any():
            colour = COLOURS[number % len(COLOURS)]
            axes.bar([record.number for record in records], own, 0.65, bottom=below, color=colour, label=name, zorder=2)
        below += own
    axes.set_ylabel(f"time / {unit}")
    _round_axis(axes, records)
    _legend_below(figure, axes.get_legend_handles_labels()[0])
    return figure


def comparison_plot(
    records_by_name: Mapping[str, Records],
    path: str | Path,
    frames: str = "independent frames",
    note: str = "",
    title: str = "",
) -> None:
    """Draw the force error on independent frames against the number of labelled frames, a curve for each loop.

    Parameters
    ----------
    records_by_name : mapping of str to sequence of RoundRecord
        By the name in the legend, such as ``active`` and ``random``.
    path : str or Path
        The PNG to write; it is replaced at once, so that a viewer never sees half of it.
    frames : str
        What the independent frames are, for the vertical axis.
    note : str
        A line below the picture.
    title : str
        Above it.

    Raises
    ------
    DataError
        If no round has an error to draw.
    PictureError
        If the file cannot be written.
    """
    figure, axes = panel((WIDTH, 4.0))
    for number, (name, records) in enumerate(records_by_name.items()):
        errors = finite(error_of(record, "independent", "forces") for record in records)
        colour, mark = COLOURS[number % len(COLOURS)], "os^D"[number % 4]
        axes.plot([labels_of(record) for record in records], errors, label=name, **series_style(colour, "-", mark))
    drawn = drawn_values(axes)
    if not len(drawn):
        raise DataError(f"there is nothing to plot: no round of {list(records_by_name)} has a force error")
    axes.set_xlabel("labelled frames (training and validation)")
    axes.set_ylabel(f"force RMSE, {frames} / {report_units()['forces']}")
    axes.xaxis.set_major_locator(MaxNLocator(7, integer=True))
    scale(axes, drawn)
    head(axes, title, axes.get_legend_handles_labels()[0])
    if note:
        foot(figure, note)
    write_png(figure, path)


def _round_colours(records: Records) -> list:
    """Colours of rounds, from light to dark."""
    return list(colormaps["viridis_r"](np.linspace(0.2, 0.95, max(1, len(records)))))[: len(records)]


def _round_axis(axes: Axes, records: Records) -> None:
    """Let the horizontal axis count the rounds."""
    numbers = [record.number for record in records] or [1]
    axes.set_xlim(min(numbers) - 0.5, max(numbers) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(min(10, len(numbers)), integer=True, min_n_ticks=1))
    axes.grid(axis="x", visible=False)
    axes.set_xlabel("round")


def _draw_thresholds(axes: Axes, thresholds: Mapping[str, float]) -> None:
    """Draw named lines; one beyond the ends of the axis would push its name out of the picture."""
    lowest, highest = axes.get_ylim()
    for name, value in thresholds.items():
        if not lowest <= value <= highest:
            continue
        axes.axhline(value, color="0.55", linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
        axes.annotate(
            name,
            (1.0, value),
            xycoords=("axes fraction", "data"),
            xytext=(-2, 2),
            textcoords="offset points",
            ha="right",
            fontsize=SMALLEST,
            color="0.4",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.3, "alpha": 0.8},
            zorder=5,
        )


def _legend_below(figure: Figure, handles: Sequence) -> None:
    """Put a legend below the panel, where it covers nothing."""
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=3, **LEGEND)


def _time_unit(longest: float) -> tuple[str, float]:
    """Unit for times up to ``longest`` seconds, and its seconds."""
    if longest < 300:
        return "s", 1.0
    return ("min", 60.0) if longest < 3 * 3600 else ("h", 3600.0)
