"""Pictures of functions with two errors: that of the sampling, and that of the model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.artist import Artist

from ..pictures import COLOURS, DASHES, REFERENCE, WIDTH, band, band_entry, head, panels, reach, write_png

SAMPLING, MODEL = COLOURS[:2]


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

    Raises
    ------
    PictureError
        If the file cannot be written.
    """
    figure, (above, below) = panels((WIDTH, 5.4), 2, grid="y", sharex=True, height_ratios=(2.0, 1.0))
    handles: list[Artist] = []
    for error, colour, label, order in (
        (model_error, MODEL, "model error", 2),
        (sampling_error, SAMPLING, "sampling error", 3),
    ):
        band(above, coordinate, values, error, colour, zorder=order)
        below.plot(coordinate, error, color=colour, linewidth=1.3)
        handles.append(band_entry(f"± {label}", colour))
    above.plot(coordinate, values, color=REFERENCE, linewidth=1.2, zorder=4)
    (floor,) = below.plot(
        coordinate, noise_floor, color=MODEL, linewidth=1.2, linestyle=DASHES, label="model error by chance alone"
    )
    highest, lowest = reach(values, sampling_error, model_error)
    margin = 0.06 * (highest - lowest) or 1.0
    above.set_ylim(lowest - (margin if lowest < 0 else 0.0), highest + margin)
    above.set_ylabel(name)
    unit = name.rpartition(" / ")[2] if " / " in name else ""
    below.set_ylabel(f"error / {unit}" if unit else "error")
    below.set_xlabel(axis)
    below.set_ylim(bottom=0)
    above.margins(x=0)
    figure.align_ylabels()
    head(above, title, [*handles, floor])
    write_png(figure, image)
