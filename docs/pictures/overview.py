"""Draw the overview picture from bead positions of i-PI: python docs/pictures/overview.py 'pos_*.xyz' overview.png."""

import glob
import sys

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
from ase.io import read

INK, BOX = "#22303c", "#eef3f7"
COLOURS = {8: "#c8442f", 1: "#6d7f8d"}


def molecules_near(beads, count):
    """Positions (beads, molecules, 3, 3) of the molecules nearest to the first one, unwrapped around it."""
    cell = beads[0].cell.array
    positions = np.array([frame.positions for frame in beads]).reshape(len(beads), -1, 3, 3)
    centre = positions.mean(axis=0)[0, 0]
    offset = positions.mean(axis=0)[:, 0] - centre
    shift = np.round(offset @ np.linalg.inv(cell)) @ cell
    nearest = np.argsort(np.linalg.norm(offset - shift, axis=1))[:count]
    return (positions - shift[:, None] - centre)[:, nearest]


def draw_ring_polymers(axes, beads):
    """Every bead as a dot, every bond of every bead as a faint line, seen along z."""
    positions = molecules_near(beads, 6)
    for bead in positions:
        for oxygen, *hydrogens in bead:
            for hydrogen in hydrogens:
                axes.plot(*zip(oxygen[:2], hydrogen[:2], strict=True), color=INK, lw=0.5, alpha=0.18, zorder=1)
            axes.scatter(*oxygen[:2], s=30, color=COLOURS[8], alpha=0.55, lw=0, zorder=2)
            axes.scatter(*np.array(hydrogens)[:, :2].T, s=14, color=COLOURS[1], alpha=0.55, lw=0, zorder=2)
    axes.set_aspect("equal", adjustable="datalim")
    axes.axis("off")
    axes.set_title("i-PI: the beads of ring polymers", fontsize=11, color=INK)


def draw_flow(axes):
    """From the density to every property."""

    def box(x, y, text, colour=BOX, size=10):
        style = {"boxstyle": "round,pad=0.5,rounding_size=0.3", "fc": colour, "ec": INK, "lw": 0.9}
        return axes.text(x, y, text, ha="center", va="center", fontsize=size, color=INK, bbox=style)

    def arrow(source, target):
        style = {"arrowstyle": "-|>", "color": INK, "lw": 1.2, "shrinkA": 1, "shrinkB": 1}
        style |= {"patchA": source.get_bbox_patch(), "patchB": target.get_bbox_patch()}
        axes.annotate("", target.get_position(), source.get_position(), arrowprops=style)

    expansion = r"$c_{lm,k}=\sum_j R_n(r_{ij})\,Y_{lm}(\hat r_{ij})$"
    density = box(1.3, 3, f"one density\nper atom and bead\n{expansion}", "#dbe9f4", 11)
    heads = [
        (5.0, "energy", "forces, virial"),
        (3.0, "dipole  (λ = 1)", "Born effective charges"),
        (1.0, "polarizability  (λ = 0 ⊕ 2)", ""),
    ]
    for y, name, derived in heads:
        head = box(5.3, y, name)
        arrow(density, head)
        if derived:
            arrow(head, box(9.0, y, derived, "#f6ece6"))
    note = "and back to i-PI in one message, for the whole batch of beads"
    axes.text(5.3, -0.25, note, ha="center", fontsize=9.5, color=INK)
    axes.set_xlim(-0.6, 10.6)
    axes.set_ylim(-0.5, 6)
    axes.axis("off")
    axes.set_title("beadwise: one pass, every property", fontsize=11, color=INK)


def main(pattern, image):
    beads = [read(path, "-1") for path in sorted(glob.glob(pattern))]
    for frame in beads:
        frame.set_cell(np.eye(3) * 12.42)
    figure, (left, right) = plt.subplots(1, 2, figsize=(11.5, 3.9), width_ratios=[1, 2.1], layout="constrained")
    draw_ring_polymers(left, beads)
    draw_flow(right)
    figure.savefig(image, dpi=130, facecolor="white")


if __name__ == "__main__":
    main(*sys.argv[1:])
