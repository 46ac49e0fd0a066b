"""Parity plots: prediction against reference, a panel for each property and set of frames."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.ticker import MaxNLocator

from ...pictures import COLOURS, PALE, panels, write_png
from ..data import DataError
from ..fitting.accuracy import ErrorReport, PropertyErrors

MOST_POINTS = 1500  # more are shown as a two-dimensional histogram
BINS = 90
PANEL_SIZE = 3.3  # inches
COLUMNS_OF_ONE_SET = 3
COLOUR, LINE_COLOUR = COLOURS[:2]
DENSITY_COLOURS = LinearSegmentedColormap.from_list("density", [PALE, "#4f8fc4", COLOUR, "#0b1f3a"])
# Their mean says nothing about the model, and what varies is small beside it.
ABOUT_MEAN = ("energy", "polarizability")


def plot_parity(reports: Mapping[str, ErrorReport], image: str | Path) -> None:
    """Draw prediction against reference.

    Energies and polarizabilities are shown relative to the mean of the reference over its frames.

    Parameters
    ----------
    reports : mapping of str to ErrorReport
        By the name of the set, such as ``training`` and ``validation``; each gets a row, a single one is unnamed and
        its panels are wrapped.
    image : str or Path
        The PNG to write.

    Raises
    ------
    DataError
        If the reports hold nothing to draw.
    PictureError
        If the file cannot be written.
    """
    names = list(dict.fromkeys(name for report in reports.values() for name in report.properties))
    if not names:
        raise DataError("there is nothing to plot: the reports hold no property")
    wanted = [(title, name) for title in reports for name in names]
    columns = len(names) if len(reports) > 1 else min(len(names), COLUMNS_OF_ONE_SET)
    rows = -(-len(wanted) // columns)
    figure, all_axes = panels((PANEL_SIZE * columns, PANEL_SIZE * rows), rows, columns)
    for axes, (title, name) in zip(all_axes, wanted, strict=False):
        own = reports[title].properties.get(name)
        if own is None:
            axes.set_visible(False)
            continue
        _draw_panel(axes, name, own)
        axes.set_title(f"{title}: {name}" if len(reports) > 1 else name, fontsize=10)
    for axes in all_axes[len(wanted) :]:
        axes.set_visible(False)
    figure.align_ylabels()
    write_png(figure, image)


def _draw_panel(axes: Axes, name: str, own: PropertyErrors) -> None:
    origin = own.reference.mean(axis=0) if name in ABOUT_MEAN else 0.0
    reference, predicted = (own.reference - origin).ravel(), (own.predicted - origin).ravel()
    lowest, highest = _limits(reference, predicted)
    if len(reference) > MOST_POINTS:
        box = [[lowest, highest], [lowest, highest]]
        axes.hist2d(reference, predicted, bins=BINS, range=box, cmap=DENSITY_COLOURS, norm=LogNorm(), zorder=2)
    else:
        axes.plot(reference, predicted, ".", color=COLOUR, markersize=4, alpha=0.5, markeredgewidth=0, zorder=2)
    axes.plot([lowest, highest], [lowest, highest], color=LINE_COLOUR, linewidth=0.8, zorder=1)
    axes.set(xlim=(lowest, highest), ylim=(lowest, highest), aspect="equal")
    about = " − mean" if name in ABOUT_MEAN else ""
    axes.set_xlabel(f"reference{about} / {own.unit}", fontsize=9)
    axes.set_ylabel(f"predicted{about} / {own.unit}", fontsize=9)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5))
    axes.tick_params(labelsize=8)
    axes.text(0.04, 0.96, _caption(own), transform=axes.transAxes, va="top", fontsize=8, linespacing=1.4)


def _limits(reference: np.ndarray, predicted: np.ndarray) -> tuple[float, float]:
    """Find a common range of both axes, with a margin; never empty."""
    lowest, highest = min(reference.min(), predicted.min()), max(reference.max(), predicted.max())
    margin = 0.05 * (highest - lowest) or max(1e-6, 1e-3 * abs(highest))
    return float(lowest - margin), float(highest + margin)


def _caption(own: PropertyErrors) -> str:
    percent = "" if own.percent_error is None else f"\n{own.percent_error:.2g} % of standard deviation"
    return f"RMSE {own.root_mean_square_error:.3g} {own.unit}{percent}"
