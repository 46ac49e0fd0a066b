"""What all pictures have in common: panels in the style of the house, their axes and words, and how they are written.

Matplotlib takes long to import: only what draws imports this, and what may draw does so when it does.
"""

from __future__ import annotations

import math
import textwrap
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import Formatter, LogLocator, NullFormatter

from .colours import COLOURS as COLOURS
from .colours import PALE as PALE
from .errors import PictureError
from .whole_files import whole_file

WIDTH = 8.0  # inches, of pictures that stand alone
PANEL_SIZE = (5.0, 3.7)  # inches: legible at the width of a phone
RESOLUTION = 140  # dots per inch
MARGIN = 0.06  # inches, so that no letter touches the edge
LETTERS_PER_INCH = 16  # of what stands below a picture
BAND_ALPHA = 0.3  # of the band of an error around a curve
MOST_OF_BANDS = 0.5  # of the height of the curves, that bands may add to an axis on either side
LEGEND: dict[str, Any] = {"fontsize": 8.5, "frameon": False}
Grid = Literal["both", "x", "y"]
FAR_APART = 6.0  # ratio of largest to smallest value from which an axis is logarithmic
NARROWEST = 3.0  # ratio that a logarithmic axis spans at least
TICKS = {10.0: (1, 1.5, 2, 3, 5, 7), 300.0: (1, 2, 5), math.inf: (1,)}  # of each decade, up to a ratio of the ends


def panel(size: tuple[float, float] = PANEL_SIZE) -> tuple[Figure, Axes]:
    """Make a figure of one panel, of a size in inches."""
    figure, (axes,) = panels(size)
    return figure, axes


def panels(
    size: tuple[float, float], rows: int = 1, columns: int = 1, grid: Grid = "both", **arrangement: Any
) -> tuple[Figure, np.ndarray]:
    """Make a figure of several panels.

    Parameters
    ----------
    size : tuple of float
        Width and height of the figure in inches.
    rows, columns : int
    grid : {"both", "x", "y"}
        Which lines stand behind the curves.
    **arrangement
        As for `matplotlib.figure.Figure.subplots`.

    Returns
    -------
    figure : Figure
    panels : ndarray of Axes, shape (rows * columns,)
        Row by row.
    """
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(w_pad=MARGIN, h_pad=MARGIN))
    FigureCanvasAgg(figure)
    all_axes = figure.subplots(rows, columns, squeeze=False, **arrangement).ravel()
    for axes in all_axes:
        dress(axes, grid)
    return figure, all_axes


def dress(axes: Axes, grid: Grid = "both") -> None:
    """Give a panel its frame and grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=grid, color="0.93", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=9)


def head(axes: Axes, text: str, size: float = 11.0) -> None:
    """Write what a picture is of above its first panel."""
    axes.set_title(text, loc="left", fontsize=size)


def foot(figure: Figure, text: str) -> None:
    """Write what must be said in small letters below a picture, in lines that are not wider than it."""
    width = int(LETTERS_PER_INCH * figure.get_figwidth())
    lines = [part for line in text.splitlines() for part in textwrap.wrap(line, width)]
    figure.supxlabel("\n".join(lines), fontsize=7.5, color="0.35")


def band(axes: Axes, coordinate: np.ndarray, values: np.ndarray, error: np.ndarray, colour: str, **style: Any) -> None:
    """Draw an error around a curve; style as for `Axes.fill_between`."""
    style = {"color": colour, "alpha": BAND_ALPHA, "linewidth": 0, "zorder": 2, **style}
    axes.fill_between(coordinate, values - error, values + error, **style)


def reach(values: np.ndarray, *errors: np.ndarray) -> tuple[float, float]:
    """Find how high and how low a curve and its bands come, zero among them.

    Bands that are far wider than the curve is high count in part only: it could not be seen beside them.

    Parameters
    ----------
    values : ndarray of float64, shape (points,)
    *errors : ndarray of float64, shape (points,)
        What is not finite is no part of a picture.

    Returns
    -------
    highest, lowest : float
    """
    known = np.isfinite(values)
    curve = values[known]
    high, low = float(curve.max(initial=0.0)), float(curve.min(initial=0.0))
    furthest = MOST_OF_BANDS * (high - low)
    bands = [np.nan_to_num(error[known], nan=0.0, posinf=0.0) for error in errors]
    above = [float((curve + own).max(initial=high)) for own in bands]
    below = [float((curve - own).min(initial=low)) for own in bands]
    return min(max([high, *above]), high + furthest), max(min([low, *below]), low - furthest)


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
    try:
        with whole_file(path) as unfinished:
            figure.savefig(unfinished, format="png", dpi=RESOLUTION)
    except OSError as error:
        raise PictureError(f"cannot write the plot '{path}': {error.strerror or error}") from error
