"""Pictures of surfaces of free energy: contours, and the error beside them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from ase.units import kB
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ...pictures import PANEL_SIZE, foot, head, panels, write_png
from .surface import FreeEnergySurface

LEVELS = 12
CAP = 20.0  # k_B T: what is higher is not told from what was never seen
MAP, ERROR_MAP = "viridis", "magma_r"
MILLI = 1000


def plot_surfaces(surfaces: Mapping[str, FreeEnergySurface], image: Path, variables: tuple[str, str]) -> None:
    """Draw each surface as filled contours in eV, and its standard error in meV on the right.

    Parameters
    ----------
    surfaces : mapping of str to FreeEnergySurface
        By the name above them.
    image : Path
        The PNG to write; it is replaced at once.
    variables : tuple of str
        Names of the variables and their units, below and beside the panels.

    Raises
    ------
    PictureError
        If the file cannot be written.
    """
    width, height = PANEL_SIZE
    figure, axes = panels((2 * width, height * len(surfaces)), rows=len(surfaces), columns=2)
    for row, (name, surface) in enumerate(surfaces.items()):
        left, right = axes[2 * row : 2 * row + 2]
        highest = min(float(np.nanmax(surface.free_energy)), CAP * kB * surface.temperature)
        levels = _round_levels(highest)
        _fill(figure, left, surface, surface.free_energy, levels, MAP, "free energy / eV")
        errors = MILLI * surface.standard_error
        most = float(np.nanquantile(errors, 0.98)) if np.isfinite(errors).any() else 1.0
        _fill(figure, right, surface, errors, _round_levels(most), ERROR_MAP, "error / meV")
        for own, title in ((left, name), (right, f"{name}: one standard error")):
            own.set_xlabel(variables[0])
            own.set_ylabel(variables[1])
            head(own, title, [])
    first = next(iter(surfaces.values()))
    said = (first.notes.get(topic, "") for topic in ("data", "estimator", "standard errors"))
    foot(figure, "; ".join(filter(None, said)))
    write_png(figure, image)


def _round_levels(highest: float) -> np.ndarray:
    """Levels of contours from zero at round numbers."""
    return np.asarray(MaxNLocator(LEVELS).tick_values(0.0, highest or 1.0))


def _fill(
    figure: Figure,
    axes: Axes,
    surface: FreeEnergySurface,
    values: np.ndarray,
    levels: np.ndarray,
    colours: str,
    label: str,
) -> None:
    """Filled contours with lines between them; white where nothing is known."""
    masked = np.ma.masked_invalid(values.T)
    shape = (len(surface.edges[0]) - 1, len(surface.edges[1]) - 1)
    if min(shape) < 2:  # contours need two cells along each variable
        filled: ScalarMappable = axes.pcolormesh(*surface.edges, masked, cmap=colours, vmin=levels[0], vmax=levels[-1])
    else:
        filled = axes.contourf(*surface.coordinates, masked, levels, cmap=colours, extend="max")
        axes.contour(*surface.coordinates, masked, levels, colors="black", linewidths=0.4, alpha=0.6)
    axes.set_xlim(surface.edges[0][0], surface.edges[0][-1])
    axes.set_ylim(surface.edges[1][0], surface.edges[1][-1])
    bar = figure.colorbar(filled, ax=axes, format="%.3g")
    bar.set_label(label)
