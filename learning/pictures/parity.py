"""Parity plots: prediction against reference, a panel for each property and set of frames."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.ticker import MaxNLocator

from ...pictures import COLOURS, DASHES, PALE, REFERENCE, SMALLEST, WIDTH, panels, write_png
from ..data import DataError
from ..fitting.accuracy import ErrorReport, PropertyErrors

MOST_POINTS = 1500  # more are shown as a two-dimensional histogram
BINS = (80, 28)  # across, and along the errors
COLUMNS_OF_ONE_SET = 2
ROW_HEIGHT = 4.0  # inches, of a panel with its errors below
ERROR_HEIGHT = 0.36  # of errors, in the height of the panel above them
DENSITY_COLOURS = LinearSegmentedColormap.from_list("density", [PALE, "#4f8fc4", COLOURS[0], "#0b1f3a"])
# Their mean says nothing about the model, and what varies is small beside it.
ABOUT_MEAN = ("energy", "polarizability")


def plot_parity(reports: Mapping[str, ErrorReport], image: str | Path) -> None:
    """Draw prediction against reference, and below it the errors, which on that scale are often too small to be seen.

    Energies and polarizabilities are shown relative to the mean of the reference over its frames.

    Parameters
    ----------
    reports : mapping of str to ErrorReport
        By the name of the set, such as ``training`` and ``validation``; each gets a column, a single one is unnamed and
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
    wanted = [(title, name) for name in names for title in reports]
    columns = len(reports) if len(reports) > 1 else min(len(names), COLUMNS_OF_ONE_SET)
    rows = -(-len(wanted) // columns)
    size = (WIDTH if columns > 1 else 0.6 * WIDTH) * max(1.0, columns / 3), ROW_HEIGHT * rows
    figure, all_axes = panels(size, 2 * rows, columns, height_ratios=[1.0, ERROR_HEIGHT] * rows)
    grid = all_axes.reshape(rows, 2, columns)
    for place in range(rows * columns):
        above, below = grid[place // columns, :, place % columns]
        title, name = wanted[place] if place < len(wanted) else ("", "")
        own = reports[title].properties.get(name) if title in reports else None
        if own is None:
            above.set_visible(False)
            below.set_visible(False)
            continue
        _draw_panels(above, below, name, own)
        above.set_title(f"{title}: {name}" if len(reports) > 1 else name, fontsize=10)
    figure.align_ylabels()
    write_png(figure, image)


def _draw_panels(above: Axes, below: Axes, name: str, own: PropertyErrors) -> None:
    origin = own.reference.mean(axis=0) if name in ABOUT_MEAN else 0.0
    reference, predicted = (own.reference - origin).ravel(), (own.predicted - origin).ravel()
    limits = _limits(reference, predicted)
    errors = predicted - reference
    widest = 1.08 * float(np.abs(errors).max()) or 1e-6
    _draw_points(above, reference, predicted, limits, limits, BINS[0])
    _draw_points(below, reference, errors, limits, (-widest, widest), BINS[1])
    above.plot(limits, limits, color=REFERENCE, linewidth=0.8, zorder=1)
    below.axhline(0.0, color=REFERENCE, linewidth=0.8, zorder=1)
    rmse = own.root_mean_square_error
    for edge in (-rmse, rmse):
        below.axhline(edge, color=COLOURS[1], linewidth=0.9, linestyle=DASHES, zorder=3)
    about = " − mean" if name in ABOUT_MEAN else ""
    above.set_ylabel(f"predicted{about}\n/ {own.unit}", fontsize=9)
    below.set_ylabel(f"error\n/ {own.unit}", fontsize=9)
    below.set_xlabel(f"reference{about} / {own.unit}", fontsize=9)
    above.tick_params(labelbottom=False)
    for axis, most in ((above.xaxis, 5), (above.yaxis, 5), (below.xaxis, 5), (below.yaxis, 3)):
        axis.set_major_locator(MaxNLocator(most))
    for axes in (above, below):
        axes.tick_params(labelsize=SMALLEST)
    caption = _caption(own)
    above.text(0.04, 0.96, caption, transform=above.transAxes, va="top", fontsize=SMALLEST, linespacing=1.4)


def _draw_points(
    axes: Axes, x: np.ndarray, y: np.ndarray, across: tuple[float, float], up: tuple[float, float], bins: int
) -> None:
    """Draw points, or how many there are in each bin."""
    if len(x) > MOST_POINTS:
        box = [[*across], [*up]]
        axes.hist2d(x, y, bins=(BINS[0], bins), range=box, cmap=DENSITY_COLOURS, norm=LogNorm(), zorder=2)
    else:
        axes.plot(x, y, ".", color=COLOURS[0], markersize=4, alpha=0.5, markeredgewidth=0, zorder=2)
    axes.set(xlim=across, ylim=up)


def _limits(reference: np.ndarray, predicted: np.ndarray) -> tuple[float, float]:
    """Find a common range of both axes, with a margin; never empty."""
    lowest, highest = min(reference.min(), predicted.min()), max(reference.max(), predicted.max())
    margin = 0.05 * (highest - lowest) or max(1e-6, 1e-3 * abs(highest))
    return float(lowest - margin), float(highest + margin)


def _caption(own: PropertyErrors) -> str:
    percent = "" if own.percent_error is None else f"\n{own.percent_error:.2g} % of standard deviation"
    return f"RMSE {own.root_mean_square_error:.3g} {own.unit}{percent}\n{own.count} values"
