"""What pictures of learning have in common: a panel in the style of the house, its axes, and how it is written."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import Formatter, LogLocator, NullFormatter

from .errors import PictureError

PANEL_SIZE = (5.0, 3.7)  # inches: legible at the width of a phone
COLOURS = ("#1f5a92", "#c8641e", "#4a8c3f", "#8a4f9e", "#b03a48", "#3b8f8f", "#7a6a1f", "#555555")
PALE = "#b9d3ea"
FAR_APART = 6.0  # ratio of largest to smallest value from which an axis is logarithmic
NARROWEST = 3.0  # ratio that a logarithmic axis spans at least
TICKS = {10.0: (1, 1.5, 2, 3, 5, 7), 300.0: (1, 2, 5), math.inf: (1,)}  # of each decade, up to a ratio of the ends


def panel(size: tuple[float, float] = PANEL_SIZE) -> tuple[Figure, Axes]:
    """Make a figure of one panel, of a size in inches."""
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    dress(axes)
    return figure, axes


def dress(axes: Axes) -> None:
    """Give a panel its frame and grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="0.93", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=9)


def series_style(colour: str, dashes: str = "-", mark: str = "o") -> dict[str, Any]:
    """How a series of few points is drawn, as arguments of `Axes.plot`."""
    return {
        "color": colour,
        "linestyle": dashes,
        "linewidth": 1.3,
        "marker": mark,
        "markersize": 5.5,
        "markeredgecolor": "white",
        "markeredgewidth": 0.6,
        "zorder": 3,
    }


def drawn_values(axes: Axes) -> np.ndarray:
    """All finite values that the lines of a panel show."""
    values = np.concatenate([np.asarray(line.get_ydata(), dtype=np.float64) for line in axes.lines] or [np.zeros(0)])
    return values[np.isfinite(values)]


def scale(axes: Axes, values: np.ndarray) -> None:
    """Choose a logarithmic vertical axis where values are far apart, otherwise one from zero."""
    if len(values) and values.min() > 0 and values.max() > FAR_APART * values.min():
        lowest, highest = log_limits(values)
        axes.set(yscale="log", ylim=(lowest, highest))
        label_decades(axes.yaxis, highest / lowest)
    else:
        axes.set_ylim(0, 1.12 * float(values.max(initial=0.0)) or 1.0)


def log_limits(values: np.ndarray) -> tuple[float, float]:
    """Find a range of a logarithmic axis around positive values, with a margin."""
    if not len(values):
        return 0.1, 1.0
    lowest, highest = float(values.min()), float(values.max())
    margin = max(1.25, math.sqrt(NARROWEST * lowest / highest))
    return lowest / margin, highest * margin


def label_decades(axis: Axis, ratio: float) -> None:
    """Write plain numbers on a logarithmic axis whose ends have this ratio."""
    ticks = next(own for most, own in TICKS.items() if ratio <= most)
    axis.set_major_locator(LogLocator(10, subs=ticks))
    axis.set_major_formatter(PlainNumbers())
    axis.set_minor_formatter(NullFormatter())


class PlainNumbers(Formatter):
    """Numbers of an axis as 0.02 rather than 2×10⁻²."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Write one number."""
        return f"{x:g}"


def write_png(figure: Figure, path: str | Path) -> None:
    """Write a picture at once, so that a viewer never sees half of it.

    Raises
    ------
    PictureError
        If the file cannot be written.
    """
    image = Path(path)
    temporary = image.with_name(f".{image.name}")
    try:
        figure.savefig(temporary, format="png", dpi=140)
        temporary.replace(image)
    except OSError as error:
        raise PictureError(f"cannot write the plot '{image}': {error.strerror}") from error
