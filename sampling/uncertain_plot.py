"""Pictures of functions with two errors: that of the sampling, and that of the model."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

CURVE, SAMPLING, MODEL = "#1f3b57", "#1f5a92", "#c8641e"


def plot_two_errors(
    coordinate: np.ndarray,
    values: np.ndarray,
    sampling_error: np.ndarray,
    model_error: np.ndarray,
    noise_floor: np.ndarray,
    image: Path,
    axis: str,
    name: str,
    title: str = "",
) -> None:
    """Draw a function with a band for each error, and below it the errors themselves.

    Parameters
    ----------
    coordinate, values, sampling_error, model_error, noise_floor : ndarray of float64, shape (points,)
        What is not a number is left out.
    image : Path
        The PNG to write; it is replaced at once, so that a viewer never sees half of it.
    axis, name : str
        What stands along the two axes, with units.
    title : str
        Above the picture.
    """
    figure = Figure(figsize=(8.0, 6.0), layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2.2, 1.0))
    for error, colour, label, order in (
        (model_error, MODEL, "± model error", 2),
        (sampling_error, SAMPLING, "± sampling error", 3),
    ):
        above.fill_between(
            coordinate, values - error, values + error, color=colour, alpha=0.35, linewidth=0, label=label, zorder=order
        )
        below.plot(coordinate, error, color=colour, linewidth=1.3, label=label.removeprefix("± "))
    above.plot(coordinate, values, color=CURVE, linewidth=1.2, zorder=4)
    below.plot(coordinate, noise_floor, color=MODEL, linewidth=1.0, linestyle=":", label="model error by chance alone")
    above.set_ylabel(name)
    below.set_ylabel("error")
    below.set_xlabel(axis)
    below.set_ylim(bottom=0)
    above.margins(x=0)
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="0.93", linewidth=0.6)
        axes.legend(fontsize=8.5, frameon=False)
    if title:
        above.set_title(title, loc="left", fontsize=9)
    temporary = image.with_name(f".{image.name}")
    figure.savefig(temporary, format="png", dpi=140)
    os.replace(temporary, image)
