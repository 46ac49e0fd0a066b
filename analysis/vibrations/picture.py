"""Harmonic bands as sticks and as Lorentzians of one width."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...pictures import COLOURS, WIDTH, curve_style, foot, panels, write_png
from .harmonic import Modes

FULL_WIDTH = 10.0  # cm⁻¹
BEYOND = 1.08


def draw(modes: Modes, title: str, image: Path) -> None:
    """Draw infrared and Raman intensities, or a density of modes where the model has neither.

    Parameters
    ----------
    modes : Modes
    title : str
    image : Path
    """
    rows = [
        (label, values)
        for label, values in (("infrared / km/mol", modes.infrared), ("Raman / Å⁴/u", modes.raman))
        if values is not None
    ] or [("modes", np.ones_like(modes.wavenumbers))]
    figure, every = panels((WIDTH, 2.2 * len(rows) + 0.6), rows=len(rows), sharex=True)
    grid = np.linspace(0, BEYOND * max(modes.wavenumbers.max(), 100.0), 4000)
    for place, (axes, (label, values)) in enumerate(zip(every.ravel(), rows, strict=True)):
        kept = modes.wavenumbers > 0
        shapes = 1 / (1 + np.square((grid[:, None] - modes.wavenumbers[kept]) / (FULL_WIDTH / 2)))
        axes.plot(grid, shapes @ values[kept], **curve_style(COLOURS[place]))
        axes.vlines(modes.wavenumbers[kept], 0, values[kept], color="0.3", lw=0.8)
        axes.set_ylabel(label)
        axes.set_ylim(bottom=0)
    every.ravel()[-1].set_xlabel("ν̃ / cm⁻¹")
    foot(figure, f"{title}; sticks, and Lorentzians of {FULL_WIDTH:g} cm⁻¹ full width")
    write_png(figure, image)
