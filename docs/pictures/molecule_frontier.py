"""Force error against time per atom, a molecule and water: `python docs/pictures/molecule_frontier.py`.

It draws molecule_frontier.json, a table that says itself how it was made, and frontier.json, which frontier.py writes.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from beadwise.pictures import COLOURS, HALO, SMALL, SMALLEST, WIDTH, PlainNumbers, foot, head, panels, write_png

HERE = Path(__file__).parent
MARKS = {"linear": "s", "products": "o", "messages": "D", "teacher": "^"}
PLACES = {  # of names beside points: offset in points, and alignment
    "products, 32": (-8, -4, "right"),
    "messages, 100 passes": (8, -4, "left"),
    "products, 64, taught": (8, -4, "left"),
    "ethanol_accurate: messages, taught": (8, -4, "left"),
    "the teacher, with GFN2-xTB": (-8, -4, "right"),
    "water: 32, 32; l ≤ 3": (-8, -4, "right"),
    "128, 64; l ≤ 4": (-4, -14, "right"),
}
ENERGY_FORCES = "energy, forces, virial"


def main() -> None:
    table = json.loads((HERE / "molecule_frontier.json").read_text(encoding="utf-8"))
    water = json.loads((HERE / "frontier.json").read_text(encoding="utf-8"))
    figure, (left, right) = panels((1.45 * WIDTH, 4.6), columns=2, sharey=True)
    for row in table["rows"]:
        left.plot(row["microseconds"], row["force"], MARKS[row["kind"]], color=COLOURS[0], markersize=7, zorder=3)
        name(left, row["model"], row["microseconds"], row["force"])
    for peer, error in table["published"]["force"].items():
        left.axhline(error, color="0.6", linewidth=0.9, linestyle=":", zorder=1)
        left.text(18000, error, peer, fontsize=SMALLEST, color="0.3", va="center", ha="right", path_effects=HALO)
    for label, speed in table["time_only"].items():
        left.axvline(speed, color="0.6", linewidth=0.9, linestyle="--", zorder=1)
        left.text(speed, 75, f"{label} ", rotation=90, va="top", ha="right", fontsize=SMALLEST, color="0.3")
    for label, own in water["errors"].items():
        speed = water["microseconds_per_atom"][label][ENERGY_FORCES]
        right.plot(speed, own["forces"]["mean_absolute_error"], "o", color=COLOURS[1], markersize=7, zorder=3)
        name(right, label, speed, own["forces"]["mean_absolute_error"])
    ticks = np.array([2, 3, 5, 10, 20, 50])
    for axes, limit, title in ((left, 20000, "Ethanol"), (right, 300, "Liquid water")):
        axes.set(xscale="log", yscale="log", xlim=(2, limit), ylim=(1.7, 80), yticks=ticks)
        axes.minorticks_off()
        axes.xaxis.set_major_formatter(PlainNumbers())
        axes.yaxis.set_major_formatter(PlainNumbers())
        axes.set_xlabel("time, one thread / µs per atom")
        head(axes, title)
    left.set_ylabel("mean absolute force error / meV/Å")
    foot(
        figure,
        f"ethanol: {table['frames']}; dotted: others, as quoted\n"
        "dashed: time alone, measured beside ours; water: 100 frames that were never fitted (bulk_valid.xyz)",
    )
    write_png(figure, HERE / "molecule_frontier.png")


def name(axes, label: str, speed: float, error: float) -> None:
    """Write a label beside a point."""
    across, up, side = PLACES.get(label, (8, -3, "left"))
    place = {"xytext": (across, up), "textcoords": "offset points", "ha": side}
    axes.annotate(label, (speed, error), fontsize=SMALL, path_effects=HALO, zorder=4, **place)


if __name__ == "__main__":
    main()
