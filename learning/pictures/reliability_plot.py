"""Whether predicted uncertainties are right: predicted standard deviation against the error that was found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from ...pictures import COLOURS, label_decades, log_limits, panels, write_png
from ..data import DataError
from ..fitting.reliability import MULTIPLES, fractions_within, gaussian_fraction, reliability_bins

PANEL_SIZE = 3.5  # inches
COLUMNS = 2
ROOM_FOR_CAPTION = 0.12  # part of the height
Reliability = tuple[np.ndarray, np.ndarray, str]


def plot_reliability(reliabilities: Mapping[str, Reliability], path: str | Path) -> None:
    """Draw the error that was found against the predicted uncertainty, a panel for each property.

    Parameters
    ----------
    reliabilities : mapping of str to tuple (sigma, errors, unit)
        By the name of the property: predicted standard deviations and errors of the same shape, and their unit.
    path : str or Path
        The PNG to write; it is replaced at once, so that a viewer never sees half of it.

    Raises
    ------
    DataError
        If there is no property, or its numbers are not as `fractions_within` takes them.
    PictureError
        If the file cannot be written.
    """
    if not reliabilities:
        raise DataError("there is nothing to plot: no property has uncertainties")
    columns = min(len(reliabilities), COLUMNS)
    rows = -(-len(reliabilities) // columns)
    figure, all_axes = panels((PANEL_SIZE * columns, PANEL_SIZE * rows), rows, columns)
    for axes, (name, (sigma, errors, unit)) in zip(all_axes, reliabilities.items(), strict=False):
        _draw_panel(axes, name, np.asarray(sigma), np.asarray(errors), unit)
    for axes in all_axes[len(reliabilities) :]:
        axes.set_visible(False)
    write_png(figure, path)


def _draw_panel(axes: Axes, name: str, sigma: np.ndarray, errors: np.ndarray, unit: str) -> None:
    """Draw one property."""
    predicted, found, interval = reliability_bins(sigma, errors)
    drawn = np.concatenate([predicted, found, interval.ravel()])
    lowest, highest = log_limits(drawn[drawn > 0])
    highest *= (highest / lowest) ** ROOM_FOR_CAPTION
    axes.plot([lowest, highest], [lowest, highest], color="0.55", linewidth=1.0, zorder=1)
    axes.errorbar(
        predicted,
        found,
        yerr=np.maximum([found - interval[0], interval[1] - found], 0.0),
        fmt="o",
        color=COLOURS[0],
        markersize=4.5,
        linewidth=1.1,
        capsize=2.0,
        zorder=3,
    )
    axes.set(xscale="log", yscale="log", xlim=(lowest, highest), ylim=(lowest, highest), aspect="equal")
    for axis in (axes.xaxis, axes.yaxis):
        label_decades(axis, highest / lowest)
    axes.tick_params(labelsize=8)
    axes.set_title(name, fontsize=10)
    axes.set_xlabel(f"predicted σ / {unit}", fontsize=9)
    axes.set_ylabel(f"root mean square error / {unit}", fontsize=9)
    # in the corner that the points leave free
    too_sure = np.log(np.maximum(found, lowest) / np.maximum(predicted, lowest)).sum() > 0
    x, y, across, up = (0.97, 0.03, "right", "bottom") if too_sure else (0.04, 0.98, "left", "top")
    caption = _caption(sigma, errors)
    axes.text(x, y, caption, ha=across, va=up, transform=axes.transAxes, fontsize=8, linespacing=1.4)


def _caption(sigma: np.ndarray, errors: np.ndarray) -> str:
    """Write the fractions within once and twice σ, beside those of normally distributed errors."""
    found = fractions_within(sigma, errors)
    return "\n".join(
        f"within {multiple}σ: {100 * fraction:.1f} % (Gaussian {100 * gaussian_fraction(multiple):.1f} %)"
        for multiple, fraction in zip(MULTIPLES, found, strict=True)
    )
