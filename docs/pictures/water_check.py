"""Check a path-integral run of water for unphysical events, and plot what was found.

    python docs/pictures/water_check.py 'pimd_nvt.pos_*.xyz' water_check.png

Reads the bead positions that i-PI wrote (xyz in Å, cubic cell in the comment line, atoms as O H H) and prints,
over all beads and times: the longest distance between an O and its own H, how often it exceeded 1.4, 1.6 and 1.8 Å, the
shortest distance of every pair of species, and how often an H was nearer to another O, in all and at the end.
"""

import glob
import sys

import numpy as np
from ase.io import iread
from beadwise.pictures import COLOURS, WIDTH, foot, head, panels, write_png
from matplotlib.lines import Line2D

THRESHOLDS = (1.4, 1.6, 1.8)
FARTHEST = 6.0


class Events:
    """What the frames of all beads add up to."""

    def __init__(self):
        self.frames, self.bonds, self.longest = 0, 0, 0.0
        self.exceeded = dict.fromkeys(THRESHOLDS, 0)
        self.shortest = {"O-O": np.inf, "O-H": np.inf, "H-H": np.inf}
        self.bond_histogram = np.zeros(200)
        self.pair_histograms = {name: np.zeros(240) for name in self.shortest}

    def add(self, positions, box):
        oxygen = positions[::3]
        hydrogen = positions.reshape(-1, 3, 3)[:, 1:].reshape(-1, 3)
        between = {
            "O-O": distances(oxygen, oxygen, box),
            "O-H": distances(oxygen, hydrogen, box),
            "H-H": distances(hydrogen, hydrogen, box),
        }
        own = between["O-H"][np.repeat(np.arange(len(oxygen)), 2), np.arange(len(hydrogen))]
        self.frames += 1
        self.bonds += len(own)
        self.longest = max(self.longest, own.max())
        for threshold in THRESHOLDS:
            self.exceeded[threshold] += int((own > threshold).sum())
        self.bond_histogram += np.histogram(own, bins=200, range=(0.6, 1.8))[0]
        for name, distance in between.items():
            if name != "O-H":
                np.fill_diagonal(distance, np.inf)
            self.shortest[name] = min(self.shortest[name], distance.min())
            ideal = distance.size / box**3
            self.pair_histograms[name] += np.histogram(distance, bins=240, range=(0, FARTHEST))[0] / ideal
        return int((between["O-H"].argmin(axis=0) != np.repeat(np.arange(len(oxygen)), 2)).sum())


def distances(first, second, box):
    difference = first[:, None] - second[None]
    difference -= box * np.round(difference / box)
    return np.linalg.norm(difference, axis=2)


def main(pattern, image):
    events, crossed, at_the_end = Events(), 0, {}
    for path in sorted(glob.glob(pattern)):
        box = box_of(path)
        for frame in iread(path):
            at_the_end[path] = events.add(frame.positions, box)
            crossed += at_the_end[path]
    print(f"{len(at_the_end)} beads, {events.frames} frames of them, {events.bonds} O-H bonds")
    print(f"longest bond {events.longest:.3f} Å")
    for threshold, count in events.exceeded.items():
        print(f"bonds longer than {threshold} Å: {count} ({100 * count / events.bonds:.2e} %)")
    print("shortest distances / Å: " + ", ".join(f"{name} {value:.3f}" for name, value in events.shortest.items()))
    print(f"H nearer to another O: {crossed} in all frames, {sum(at_the_end.values())} in the last ones")
    plot(events, image)


def box_of(path):
    with open(path) as file:
        file.readline()
        return float(file.readline().split("CELL(abcABC):")[1].split()[0])


def plot(events, image):
    figure, (above, below) = panels((WIDTH, 5.6), 2)
    edges = np.linspace(0.6, 1.8, 201)
    density = events.bond_histogram / events.bond_histogram.sum() / (edges[1] - edges[0])
    above.stairs(density, edges, color=COLOURS[0], linewidth=1.2)
    above.set(xlabel="distance of O and its own H / Å", ylabel="probability density / Å⁻¹", xlim=(0.6, 1.6))
    edges = np.linspace(0, FARTHEST, 241)
    shells = 4 / 3 * np.pi * np.diff(edges**3)
    handles = []
    for (name, histogram), colour in zip(events.pair_histograms.items(), COLOURS, strict=False):
        below.stairs(histogram / events.frames / shells, edges, color=colour, linewidth=1.2)
        handles.append(Line2D([], [], color=colour, label=name.replace("-", "–")))
    below.set(xlabel="distance / Å", ylabel="pair distribution function", xlim=(0.5, FARTHEST), ylim=(0, 3.5))
    head(above, "Distances in all beads")
    below.legend(handles=handles, loc="upper right", frameon=False, fontsize=9)
    foot(figure, f"{events.frames} frames of beads; the O–H bond, at 1 Å, is cut off in the lower panel")
    write_png(figure, image)


if __name__ == "__main__":
    main(*sys.argv[1:])
