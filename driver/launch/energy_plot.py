"""A picture of i-PI's property output: energies, temperature, pressure and volume against time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from ...pictures import COLOURS, DASHES, SMALL, SMALLEST, WIDTH, foot, head, panels, write_png
from ...runs.output.properties import Property, PropertyTable, read_property_table

PANELS = {
    "conserved": "conserved quantity,\nchange",
    "potential": "potential energy",
    "kinetic_cv": "quantum kinetic\nenergy",
    "kinetic_md": "kinetic energy\n(ring polymer)",
    "temperature": "temperature",
    "pressure_cv": "pressure\n(quantum)",
    "pressure_md": "pressure\n(ring polymer)",
    "volume": "volume",
    "density": "density",
}
MOST_POINTS = 2000
SMALLER_UNITS = {"eV": "meV"}  # for what is below a tenth of the unit
SMALL_VALUE = 0.1
COLOUR, MEAN_COLOUR = COLOURS[:2]


def plot_energies(source: Path, image: Path) -> bool:
    """Draw each known property of an i-PI output in a panel of its own, as their scales differ by far.

    Parameters
    ----------
    source : Path
        i-PI's property output.
    image : Path
        The PNG to write; it is replaced at once, so that a viewer never sees half of it.

    Returns
    -------
    bool
        Whether there was anything to draw.

    Raises
    ------
    PictureError
        If the file cannot be written.
    """
    table = read_property_table(source)
    axis = None if table is None else _horizontal_axis(table)
    if table is None or axis is None:
        return False
    drawn = {name: [one for one in table.properties if one.name == name] for name in PANELS}
    drawn = {name: members for name, members in drawn.items() if members}
    if not drawn:
        return False
    figure, all_axes = panels((WIDTH, 0.6 + 1.55 * len(drawn)), len(drawn), sharex=True)
    for axes, (name, members) in zip(all_axes, drawn.items(), strict=True):
        _draw_panel(axes, table, axis, name, members)
    head(all_axes[0], source.name)
    all_axes[-1].set_xlabel("step" if axis.name == "step" else f"time / {axis.unit_label}")
    foot(figure, "the first twentieth of the run sets no scale")
    figure.align_ylabels(all_axes)
    write_png(figure, image)
    return True


def _horizontal_axis(table: PropertyTable) -> Property | None:
    return table.first("time") or table.first("step")


def _draw_panel(axes: Axes, table: PropertyTable, axis: Property, name: str, members: list[Property]) -> None:
    times, unit = table.values(axis), members[0].unit_label
    columns = [table.values(one) for one in members]
    if name == "conserved":
        columns = [values - values[0] for values in columns]
        if unit in SMALLER_UNITS and max(np.abs(values).max() for values in columns) < SMALL_VALUE:
            columns, unit = [1000 * values for values in columns], SMALLER_UNITS[unit]
    for index, (one, values) in enumerate(zip(members, columns, strict=True)):
        _draw_column(axes, times, values, COLOURS[index % len(COLOURS)], one.argument)
    axes.set_ylabel(f"{PANELS[name]} / {unit}" if "\n" in PANELS[name] else f"{PANELS[name]}\n/ {unit}", fontsize=SMALL)
    axes.ticklabel_format(axis="y", useOffset=False, scilimits=(-3, 6))
    axes.margins(x=0.0)
    _limit(axes, np.concatenate(columns), len(members))
    if len(members) > 1:
        # above the panel, where it covers no curve
        place: dict[str, Any] = {"loc": "lower right", "bbox_to_anchor": (1.0, 0.97), "borderaxespad": 0.0}
        axes.legend(**place, fontsize=SMALLEST, frameon=False, ncols=len(members), borderpad=0.0)
    elif name != "conserved":
        _draw_mean(axes, times, columns[0])


def _limit(axes: Axes, drawn: np.ndarray, members: int) -> None:
    """Leave the first twentieth out of the scale: collapsed ring polymers spread at once, and would dwarf the rest."""
    columns = np.asarray(drawn, dtype=float).reshape(members, -1)
    settled = columns[:, columns.shape[1] // 20 :]
    low, high = settled.min(), settled.max()
    if columns.shape[1] >= 20 and high > low:
        margin = 0.15 * (high - low)
        axes.set_ylim(low - margin, high + margin)


def _draw_column(axes: Axes, times: np.ndarray, values: np.ndarray, colour: str, label: str) -> None:
    stride = -(-len(times) // MOST_POINTS)
    marker = "." if len(times) == 1 else None
    axes.plot(times[::stride], values[::stride], color=colour, linewidth=0.9, marker=marker, label=label)


def _draw_mean(axes: Axes, times: np.ndarray, values: np.ndarray) -> None:
    """Mean of the second half, as the first is often spent on reaching equilibrium."""
    half = len(values) // 2
    mean = values[half:].mean()
    axes.hlines(mean, times[half], times[-1], color=MEAN_COLOUR, linewidth=1.4, linestyle=DASHES, zorder=3)
    axes.set_title(f"mean of the second half {mean:.6g}", loc="right", fontsize=SMALLEST, color=MEAN_COLOUR, pad=2)
