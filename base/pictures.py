"""What all pictures have in common: panels in the style of the house, their axes and words, and how they are written.

Matplotlib takes long to import: only what draws imports this, and what may draw does so when it does.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from matplotlib.ticker import Formatter, LogLocator, NullFormatter

from .colours import COLOURS, PRELIMINARY, REFERENCE
from .colours import PALE as PALE
from .errors import PictureError
from .whole_files import whole_file

WIDTH = 6.6  # inches, of pictures that stand alone: letters can be read where they are shown 600 pixels wide
PANEL_SIZE = (5.0, 3.7)  # inches: legible at the width of a phone
RESOLUTION = 150  # dots per inch
MARGIN = 0.06  # inches, so that no letter touches the edge
TEXT, SMALL, SMALLEST = 10.0, 9.0, 8.0  # points: labels, ticks and legends, what stands below
LETTER = 0.53  # mean width of a letter, in its height
LEFT = 0.8  # inches, about, of what stands left of a panel
LEGEND_ROW = 1.45 * SMALL  # points
BAND_ALPHA = 0.3  # of the band of an error around a curve
BAND_LABEL = "± 1 standard error"
HALO = [withStroke(linewidth=2.0, foreground="white")]  # of letters that stand on curves
DASHES = (0, (4, 2))
STYLE: Any = {  # the names that matplotlib knows are typed one by one
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that pictures are the same on every machine
    "font.size": TEXT,
    "axes.titlesize": 11.0,
    "axes.labelsize": TEXT,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "0.93",
    "grid.linewidth": 0.6,
    "axes.prop_cycle": f"cycler('color', {list(COLOURS)})",
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "hatch.linewidth": 0.45,  # points; by default matplotlib hatches with lines as thick as a curve
}
LEGEND: dict[str, Any] = {"fontsize": SMALL, "frameon": False}
Grid = Literal["both", "x", "y"]
FAR_APART = 6.0  # ratio of largest to smallest value from which an axis is logarithmic
NARROWEST = 3.0  # ratio that a logarithmic axis spans at least
TICKS = {6.0: (1, 1.5, 2, 3, 5, 7), 300.0: (1, 2, 5), math.inf: (1,)}  # of each decade, up to a ratio of the ends


def panel(size: tuple[float, float] = PANEL_SIZE) -> tuple[Figure, Axes]:
    """Make a figure of one panel, of a size in inches."""
    figure, (axes,) = panels(size)
    return figure, axes


def panels(
    size: tuple[float, float], rows: int = 1, columns: int = 1, grid: Grid = "both", **arrangement: Any
) -> tuple[Figure, np.ndarray]:
    """Make a figure of several panels; every picture begins here, so that all have one style.

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
    with rc_context(STYLE):
        figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(w_pad=MARGIN, h_pad=MARGIN))
        FigureCanvasAgg(figure)
        all_axes = figure.subplots(rows, columns, squeeze=False, **arrangement).ravel()
    for axes in all_axes:
        dress(axes, grid)
    return figure, all_axes


def dress(axes: Axes, grid: Grid = "both") -> None:
    """Give a panel its frame and grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=grid, color=STYLE["grid.color"], linewidth=STYLE["grid.linewidth"])
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=SMALL)


def head(axes: Axes, text: str, handles: Sequence[Artist] = (), size: float = 11.0, width: float | None = None) -> None:
    """Write what a picture is of above its first panel, and between the two what its lines mean.

    There a legend covers nothing, whatever is drawn.

    Parameters
    ----------
    axes : Axes
    text : str
        Broken into lines that are not wider than the panel.
    handles : sequence of Artist
        What a legend explains, each with its label.
    size : float
        Of the letters, in points.
    width : float, optional
        Of what they may cover in inches, where that is more than the panel.
    """
    width = (width or _width_of(axes)) - LEFT
    rows = _legend_above(axes, handles, width)
    lines = textwrap.wrap(text, int(72 * width / (LETTER * size))) or [""]
    above = 6.0 + LEGEND_ROW * rows
    # an empty title keeps the height free; what is wider than the panel must not make the panel narrower
    axes.set_title("\n".join(" " for _ in lines), loc="left", fontsize=size, pad=above)
    written = axes.annotate(
        "\n".join(lines),
        (0.0, 1.0),
        xycoords="axes fraction",
        xytext=(0.0, above),
        textcoords="offset points",
        va="baseline",
        fontsize=size,
        annotation_clip=False,
    )
    written.set_in_layout(False)


def _width_of(axes: Axes) -> float:
    """Of a panel, in inches, about: the layout is not known before all is drawn."""
    grid = axes.get_subplotspec()
    figure = axes.get_figure(root=True)
    assert figure is not None
    if grid is None:
        return figure.get_figwidth()
    ratios = np.asarray(grid.get_gridspec().get_width_ratios(), dtype=np.float64)
    return figure.get_figwidth() * float(ratios[grid.colspan.start : grid.colspan.stop].sum() / ratios.sum())


def _legend_above(axes: Axes, handles: Sequence[Artist], width: float) -> int:
    """Put a legend above a panel in the most columns that fit into a width in inches; its rows."""
    for columns in range(len(handles), 0, -1):
        legend = axes.legend(
            handles=handles,
            loc="lower left",
            bbox_to_anchor=(0.0, 1.0),
            borderaxespad=0.1,
            borderpad=0.2,
            labelspacing=0.3,
            columnspacing=1.4,
            ncols=columns,
            **LEGEND,
        )
        legend.set_in_layout(False)
        if columns == 1 or legend.get_window_extent().width <= width * legend.figure.dpi:
            return -(-len(handles) // columns)
    return 0


def name_panel(axes: Axes, text: str, across: Literal["left", "right"] = "right") -> None:
    """Write what one of several panels shows into a corner at its top that its curves leave free."""
    place = 0.97 if across == "right" else 0.03
    axes.text(place, 0.97, text, ha=across, va="top", transform=axes.transAxes, fontsize=SMALL, path_effects=HALO)


def titled(title: str, preliminary: str = "") -> str:
    """A title that says if, and why, a picture is preliminary."""
    return f"{title} – preliminary: {preliminary}" if preliminary else title


def foot(figure: Figure, text: str) -> None:
    """Write what must be said in small letters below a picture, in lines that are not wider than it."""
    width = int(72 * figure.get_figwidth() / (LETTER * SMALLEST))
    lines = [part for line in text.splitlines() for part in textwrap.wrap(line, width)]
    figure.supxlabel("\n".join(lines), fontsize=SMALLEST, color="0.35")


def curve_style(colour: str, is_preliminary: bool = False, has_band: bool = True) -> dict[str, Any]:
    """How a curve is drawn, as arguments of `Axes.plot`: preliminary ones dashed, and grey without a band."""
    return {
        "color": PRELIMINARY if is_preliminary and not has_band else colour,
        "linestyle": DASHES if is_preliminary else "-",
        "linewidth": 1.4,
        "zorder": 3,
    }


def reference_style(dashes: Any = "-") -> dict[str, Any]:
    """How experiment, or what is exact, is drawn, as arguments of `Axes.plot`: black."""
    return {"color": REFERENCE, "linestyle": dashes, "linewidth": 1.2, "zorder": 2}


def band(axes: Axes, coordinate: np.ndarray, values: np.ndarray, error: np.ndarray, colour: str, **style: Any) -> None:
    """Draw an error around a curve; style as for `Axes.fill_between`."""
    style = {"color": colour, "alpha": BAND_ALPHA, "linewidth": 0, "zorder": 2, **style}
    axes.fill_between(coordinate, values - error, values + error, **style)


def band_entry(label: str = BAND_LABEL, colour: str = "0.4") -> Patch:
    """What a legend says of a band; grey stands for the bands of all curves."""
    return Patch(facecolor=colour, alpha=BAND_ALPHA, linewidth=0, label=label)


def reach(values: np.ndarray, *errors: np.ndarray) -> tuple[float, float]:
    """Find how high and how low a curve and its bands come, zero among them.

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
    bands = [np.zeros(len(curve)), *(np.nan_to_num(error[known], nan=0.0, posinf=0.0) for error in errors)]
    widest = np.max(bands, axis=0)
    return float((curve + widest).max(initial=0.0)), float((curve - widest).min(initial=0.0))


def series_style(colour: str, dashes: Any = "-", mark: str = "o") -> dict[str, Any]:
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
    """Write a picture at once, so that a viewer never sees half of it; the same picture makes the same bytes.

    Raises
    ------
    PictureError
        If the file cannot be written.
    """
    try:
        with whole_file(path) as unfinished, rc_context(STYLE):
            figure.savefig(
                unfinished, format="png", dpi=RESOLUTION, metadata={"Software": None}, pil_kwargs={"optimize": True}
            )
    except OSError as error:
        raise PictureError(f"cannot write the plot '{path}': {error.strerror or error}") from error
