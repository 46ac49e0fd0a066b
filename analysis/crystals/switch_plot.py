"""A picture of what is integrated over λ."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...pictures import BAND_LABEL, COLOURS, WIDTH, foot, head, panels, write_png


def plot_switch(
    rows: np.ndarray, scale: float, unit: str, results: Sequence[tuple[str, float, float]], image: Path
) -> None:
    """Draw ⟨V − V_har⟩ against λ, and against y, where steep ends are opened.

    Parameters
    ----------
    rows : ndarray of float64, shape (runs, 4)
        λ, mean and standard error in eV, and samples.
    scale : float
        From eV to meV per formula unit.
    unit : str
        The formula unit.
    results : sequence of (str, float, float)
        Method, A − A_har and its error in eV.
    image : Path
        The PNG to write; it is replaced at once.

    Raises
    ------
    PictureError
        If the file cannot be written.
    """
    couplings, means, errors = rows[:, 0], scale * rows[:, 1], scale * rows[:, 2]
    figure, both = panels((WIDTH, 3.8), columns=2, grid="y", sharey=True)
    style = {"fmt": "o-", "color": COLOURS[0], "markersize": 4.5, "capsize": 3, "linewidth": 1.0}
    points = both[0].errorbar(couplings, means, errors, label=f"runs, {BAND_LABEL}", **style)
    both[1].errorbar(path_coordinate(couplings), means, errors, **style)
    for axes, name in zip(both, ("λ", "y, with λ = 10y³ − 15y⁴ + 6y⁵"), strict=True):
        axes.axhline(0, color="0.6", linewidth=0.8)
        axes.set_xlim(-0.02, 1.02)
        axes.set_xlabel(name)
    both[0].set_ylabel(f"⟨V − V$_{{har}}$⟩ / meV per {unit}")
    head(both[0], "from the harmonic crystal to the potential", [points], width=WIDTH)
    lines = [
        f"A − A_har = {scale * value:.4g} ± {scale * error:.2g} meV per {unit}: {name}"
        for name, value, error in results
    ]
    foot(figure, "\n".join(lines))
    write_png(figure, image)


def path_coordinate(couplings: np.ndarray) -> np.ndarray:
    """The y of λ = 10y³ − 15y⁴ + 6y⁵, which increases from 0 to 1, by halving intervals; any shape."""
    low, high = np.zeros_like(couplings), np.ones_like(couplings)
    for _ in range(60):
        middle = (low + high) / 2
        is_low = middle**3 * (10 - 15 * middle + 6 * middle**2) < couplings
        low, high = np.where(is_low, middle, low), np.where(is_low, high, middle)
    return np.asarray((low + high) / 2)
