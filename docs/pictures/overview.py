"""Draw the overview picture: python docs/pictures/overview.py ['pos_*.xyz'].

Without files the molecules are those of overview.json; with the positions of beads that i-PI wrote (xyz in Å, atoms as
O H H, a cubic cell), overview.json is written anew with the last frame of the molecules around the first one.
"""

import glob
import json
import sys
from pathlib import Path

import numpy as np
from ase.io import read
from beadwise.pictures import COLOURS, PALE, REFERENCE, SMALL, TEXT, WIDTH, panels, write_png
from matplotlib.patches import FancyArrowPatch

HERE = Path(__file__).resolve().parent
HEIGHT = 3.7  # inches
MOLECULES = 2
OXYGEN, HYDROGEN = COLOURS[1], "0.55"
LEFT = (0.15, 1.0, 1.95, 3.0)  # of the ring polymers: where they begin across and up, and where they end, in inches
DERIVED = "#f6ece6"


def molecules_near(beads):
    """Positions (beads, molecules, 3, 3) of the molecules nearest to the first one, unwrapped around it."""
    cell = beads[0].cell.array
    positions = np.array([frame.positions for frame in beads]).reshape(len(beads), -1, 3, 3)
    centre = positions.mean(axis=0)[0, 0]
    offset = positions.mean(axis=0)[:, 0] - centre
    shift = np.round(offset @ np.linalg.inv(cell)) @ cell
    nearest = np.argsort(np.linalg.norm(offset - shift, axis=1))[:MOLECULES]
    return (positions - shift[:, None] - centre)[:, nearest]


def kept_molecules(pattern):
    """The molecules of the files, which are kept, or those that are kept."""
    kept = HERE / "overview.json"
    if pattern:
        beads = [read(path, "-1") for path in sorted(glob.glob(pattern))]
        for frame in beads:
            with open(sorted(glob.glob(pattern))[0]) as file:
                file.readline()
                frame.set_cell([float(file.readline().split("CELL(abcABC):")[1].split()[0])] * 3)
        kept.write_text(json.dumps(np.round(molecules_near(beads), 3).tolist()) + "\n")
    return np.array(json.loads(kept.read_text()))


def seen_flat(positions):
    """The two axes along which the molecules are widest, shape (beads, molecules, 3, 2)."""
    centred = positions - positions.mean(axis=(0, 1, 2))
    _, _, axes = np.linalg.svd(centred.reshape(-1, 3), full_matrices=False)
    turned = np.array([[1.0, 1.0], [-1.0, 1.0]]) / np.sqrt(2)  # along the diagonal there is more room
    return centred @ axes[:2].T @ turned


def draw_ring_polymers(axes, positions):
    """Every bead as a dot, every bond of every bead as a faint line."""
    flat = seen_flat(positions)
    low, high = flat.min(axis=(0, 1, 2)), flat.max(axis=(0, 1, 2))
    x0, y0, x1, y1 = LEFT
    scale = min((x1 - x0) / (high - low)[0], (y1 - y0) / (high - low)[1])
    flat = (flat - (high + low) / 2) * scale + [(x0 + x1) / 2, (y0 + y1) / 2]
    for bead in flat:
        for oxygen, *hydrogens in bead:
            for hydrogen in hydrogens:
                axes.plot(*zip(oxygen, hydrogen, strict=True), color="0.3", linewidth=0.5, alpha=0.2, zorder=1)
            axes.plot(*oxygen, "o", color=OXYGEN, markersize=7, alpha=0.6, markeredgewidth=0, zorder=2)
            axes.plot(
                *np.array(hydrogens).T, "o", color=HYDROGEN, markersize=4.5, alpha=0.6, markeredgewidth=0, zorder=2
            )


def draw_flow(axes, beads):
    """From the beads to the density, to every property, and back."""

    def box(x, y, text, colour, size=TEXT):
        style = {"boxstyle": "round,pad=0.45,rounding_size=0.25", "fc": colour, "ec": REFERENCE, "lw": 0.8}
        return axes.text(x, y, text, ha="center", va="center", fontsize=size, bbox=style, zorder=3)

    def arrow(start, end, source=None, target=None):
        boxes = {"patchA": source and source.get_bbox_patch(), "patchB": target and target.get_bbox_patch()}
        style = {"arrowstyle": "-|>", "mutation_scale": 11, "linewidth": 1.1, "color": REFERENCE, "zorder": 2}
        axes.add_patch(FancyArrowPatch(start, end, shrinkA=0, shrinkB=1, **style, **boxes))

    title = {"ha": "center", "fontsize": 11}
    axes.text(1.05, 3.4, "i-PI: ring polymers", **title)
    axes.text(4.6, 3.4, "beadwise: one pass for all beads", **title)
    density = box(
        3.05, 1.95, "one density\nper atom and bead\n\n$c_{lm}=\\sum_j R_n(r_{ij})\\,Y_{lm}(\\hat r_{ij})$", PALE
    )
    heads = {2.85: ("energy", "forces, virial"), 1.95: ("dipole", "Born charges"), 1.05: ("polarizability", "∂α/∂r")}
    for y, (name, derived) in heads.items():
        head, rest = box(4.83, y, name, "white", SMALL), box(6.03, y, derived, DERIVED, SMALL)
        arrow((3.05, 1.95), (4.83, y), density, head)
        arrow((4.83, y), (6.03, y), head, rest)
    arrow((2.0, 1.95), (3.05, 1.95), None, density)
    axes.plot([6.03, 6.03, 1.05], [0.8, 0.42, 0.42], color=REFERENCE, linewidth=1.1, zorder=2)
    arrow((1.05, 0.42), (1.05, 0.9))
    text = f"back in one message, for all {beads} beads"
    axes.text(3.55, 0.47, text, ha="center", va="bottom", fontsize=SMALL)


def main(pattern=None):
    positions = kept_molecules(pattern)
    figure, (axes,) = panels((WIDTH, HEIGHT))
    figure.set_layout_engine("none")
    axes.set_position((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(0, HEIGHT))
    axes.axis("off")
    draw_ring_polymers(axes, positions)
    draw_flow(axes, len(positions))
    write_png(figure, HERE / "overview.png")


if __name__ == "__main__":
    main(*sys.argv[1:])
