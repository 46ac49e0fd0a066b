"""Pictures of free energies step by step, from the harmonic crystal to the reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...pictures import BAND_LABEL, COLOURS, WIDTH, head, panels, write_png
from .cycle import CycleReport, differences

ADDED = "+ "


def plot_cycle(report: CycleReport, image: Path) -> None:
    """Draw how crystals differ from the first, contribution by contribution; of one alone, its contributions.

    Parameters
    ----------
    report : CycleReport
    image : Path
        The PNG to write; it is replaced at once.

    Raises
    ------
    PictureError
        If the file cannot be written.
    """
    first = report.crystals[0]
    others = report.crystals[1:]
    figure, (axes,) = panels((WIDTH, 4.2), grid="y")
    names = [part.name for part in first.parts]
    handles = []
    if others:
        for number, other in enumerate(others):
            values, errors = np.array(list(differences(first, other).values())).T
            sums, bars = np.cumsum(values), np.sqrt(np.cumsum(errors**2))
            handles.append(
                axes.errorbar(
                    np.arange(len(sums)),
                    sums,
                    bars,
                    fmt="o-",
                    color=COLOURS[number],
                    markersize=5.5,
                    capsize=3,
                    linewidth=1.3,
                    label=f"{other.name}, {BAND_LABEL}",
                )
            )
        title = f"Free energy over that of {first.name}, as contributions are added, {first.temperature:g} K"
        labels = [names[0], *(ADDED + name for name in names[1:])]
        axes.set_ylabel(f"Δ{first.letter} / meV per {first.unit}")
    else:
        values, errors = np.array([first.per_unit(part) for part in first.parts[1:]]).T
        handles = [
            axes.bar(
                np.arange(len(values)),
                values,
                yerr=errors,
                capsize=3,
                color=COLOURS[0],
                alpha=0.7,
                width=0.6,
                label=f"contributions, {BAND_LABEL}",
            )
        ]
        title = f"{first.name}: free energy over the minimum, {first.temperature:g} K, {first.nuclei}"
        labels = names[1:]
        axes.set_ylabel(f"meV per {first.unit}")
    axes.axhline(0, color="0.6", linewidth=0.8)
    axes.set_xticks(range(len(labels)), labels, rotation=20, ha="right")
    axes.set_xlim(-0.5, len(labels) - 0.5)
    head(axes, title, handles)
    write_png(figure, image)
