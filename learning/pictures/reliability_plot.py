"""Whether predicted uncertainties are right: predicted standard deviation against the error that was found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from ...pictures import (
    COLOURS,
    REFERENCE,
    SMALL,
    SMALLEST,
    WIDTH,
    foot,
    label_decades,
    log_limits,
    panels,
    write_png,
)
from ..data import DataError
from ..fitting.reliability import MULTIPLES, fractions_within, gaussian_fraction, reliability_bins

PANEL_SIZE = WIDTH / 2
COLUMNS = 2
NOTE = (
    "points: predictions of about the same σ; bars: 16th to 84th percentile, resampled; line: as predicted\n"
    "above: errors within once and twice σ, in brackets those of a Gaussian"
)
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
    foot(figure, NOTE)
    write_png(figure, path)


def _draw_panel(axes: Axes, name: str, sigma: np.ndarray, errors: np.ndarray, unit: str) -> None:
    """Draw one property."""
    predicted, found, interval = reliability_bins(sigma, errors)
    drawn = np.concatenate([predicted, found, interval.ravel()])
    lowest, highest = log_limits(drawn[drawn > 0])
    axes.plot([lowest, highest], [lowest, highest], color=REFERENCE, linewidth=0.8, zorder=1)
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
    axes.tick_params(labelsize=SMALLEST)
    axes.set_title(f"{name}, {errors.size} values\n{_caption(sigma, errors)}", fontsize=SMALL)
    axes.set_xlabel(f"predicted σ / {unit}", fontsize=9)
    axes.set_ylabel(f"root mean square error / {unit}", fontsize=9)


def _caption(sigma: np.ndarray, errors: np.ndarray) -> str:
    """Write the fractions within once and twice σ, beside those of normally distributed errors."""
    found = fractions_within(sigma, errors)
    return "; ".join(
        f"{multiple}σ: {100 * fraction:.1f} % ({100 * gaussian_fraction(multiple):.1f})"
        for multiple, fraction in zip(MULTIPLES, found, strict=True)
    )
