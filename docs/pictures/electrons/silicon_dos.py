"""A density of states that was not fitted, label and model: `silicon_dos.py MODEL FRAMES`.

MODEL is fitted as docs/how_to/electrons.md shows, FRAMES are labelled frames that it has not seen, of which the first
is drawn.  Writes silicon_dos.png beside this file.
"""

from __future__ import annotations

import sys
from pathlib import Path

import ase.io
import beadwise
import numpy as np
from beadwise.learning.data.curves import best_shifts, shifted, smoothed
from beadwise.model import Batch
from beadwise.pictures import COLOURS, REFERENCE, WIDTH, panels, write_png

SMOOTHING = 0.15  # eV
FURTHEST = 5.0  # eV


def main() -> None:
    model = beadwise.load(sys.argv[1])
    atoms = ase.io.read(sys.argv[2], 0)
    response = model.evaluate(Batch.from_ase(atoms), ("density_of_states", "fermi_level"))
    curves, number = model.curves, len(atoms)
    predicted, label = response.density_of_states, atoms.info["dos"][None]
    label = shifted(label, best_shifts(label, predicted, curves.step, FURTHEST), curves.step)
    draw(
        curves.energies,
        *(smoothed(own, curves.step, SMOOTHING)[0] / number for own in (label, predicted)),
        response["fermi_level"][0],
        number,
    )


def draw(energies: np.ndarray, label: np.ndarray, predicted: np.ndarray, level: float, number: int) -> None:
    figure, axes = panels((WIDTH, 3.6), 1)
    axes = np.ravel(axes)[0]
    axes.plot(energies, label, color=REFERENCE, linewidth=1.4, label=f"label, {number} atoms of silicon")
    axes.plot(energies, predicted, color=COLOURS[0], linewidth=1.6, label="model")
    axes.axvline(level, color=COLOURS[1], linewidth=1.0, linestyle=":", label="Fermi level of the model")
    axes.set_xlim(energies[0], energies[-1])
    axes.set_ylim(0, 1.25 * max(label.max(), predicted.max()))
    axes.set_xlabel("energy / eV")
    axes.set_ylabel("states / (eV atom)")
    axes.legend(loc="upper left", ncols=3)
    write_png(figure, Path(__file__).with_suffix(".png"))


if __name__ == "__main__":
    main()
