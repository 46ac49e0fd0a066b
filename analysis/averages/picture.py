"""The picture of averages: means with both errors, and how the values of single beads are distributed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...pictures import COLOURS, WIDTH, foot, head, panels, write_png
from .outcome import Outcome
from .rows import Row

MOST_GROUPS = 8  # of which distributions are drawn
MOST_ROWS = 14  # of which means are drawn
EMPTY = "no distribution"


def draw(outcome: Outcome, image: Path) -> None:
    """Draw the means of groups, about their own values, and the distributions of single beads.

    Parameters
    ----------
    outcome : Outcome
    image : Path
        The PNG to write.

    Raises
    ------
    PictureError
        If it cannot be written.
    """
    rows = _rows(outcome)
    names = [name for name in outcome.distributions][:MOST_GROUPS]
    height = 1.2 * len(names) + 1.1
    figure, every = panels((WIDTH, height), len(names), 1) if len(names) > 1 else panels((WIDTH, 3.4))
    by_name = {row.name: row for row in rows}
    for place, (axes, name) in enumerate(zip(every, names, strict=True)):
        own, colour = outcome.distributions[name], COLOURS[place % len(COLOURS)]
        axes.stairs(own.density, own.edges, fill=True, color=colour, alpha=0.35)
        axes.stairs(own.density, own.edges, color=colour)
        axes.set_yticks([])
        axes.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
        if (row := by_name.get(name)) is not None:
            axes.axvline(row.mean, color="0.2", linewidth=1.0)
            for error, alpha in ((row.model_error, 0.18), (row.sampling_error, 0.35)):
                if np.isfinite(error):
                    axes.axvspan(row.mean - error, row.mean + error, color="0.2", alpha=alpha, linewidth=0)
    every[-1].set_xlabel(f"{outcome.name.replace('_', ' ')}{f' / {outcome.unit}' if outcome.unit else ''}")
    head(every[0], outcome.title)
    foot(figure, "single beads; line: mean over beads and time, dark band: ± sampling error, pale: ± model error")
    write_png(figure, image)


def _rows(outcome: Outcome) -> list[Row]:
    return [row for row in outcome.rows if row.name in outcome.distributions][:MOST_ROWS]
