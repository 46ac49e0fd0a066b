"""Electron density of a water molecule that was not fitted, and what the model misses: docs/pictures/density/water.png.

python docs/pictures/density/water.py

water.json beside it has the structure, and coefficients of the label (PBE/def2-SVP by PySCF) and of the model, in the
functions of docs/water_density/h_o.nw.
"""

import json
from pathlib import Path

import numpy as np
from ase.units import Bohr
from beadwise.colours import REFERENCE
from beadwise.learning.fitting.electron_density.basis_file import shells_of_file
from beadwise.model.electron_density.basis import AuxiliaryBasis, Functions
from beadwise.model.electron_density.grids import Quadrature, density_on
from beadwise.pictures import TEXT, panels, write_png

HERE = Path(__file__).parent
NUMBERS = np.array([8, 1, 1])
LEVELS = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0]  # e/bohr³
LARGEST = 3e-4  # e/bohr³, of the difference


def main() -> None:
    """Draw the plane of the molecule: lines of equal density, and the difference to the label."""
    raw = json.loads((HERE / "water.json").read_text(encoding="utf-8"))
    shells = shells_of_file(HERE.parents[1] / "water_density" / "h_o.nw")
    basis, positions = AuxiliaryBasis(shells, {1: 1.0, 8: 8.0}), np.array(raw["positions"])
    order = Functions(basis, NUMBERS).labels_order()
    label, model = (np.array(raw[name])[order] for name in ("label", "model"))
    first, second = (positions[atom] - positions[0] for atom in (1, 2))
    along = (first / np.linalg.norm(first) + second / np.linalg.norm(second)) / 2
    along /= np.linalg.norm(along)  # between the bonds
    across = first - second - ((first - second) @ along) * along
    plane = np.stack([across / np.linalg.norm(across), along])
    axis = np.linspace(-2.3, 2.3, 231)
    x, y = np.meshgrid(axis, axis + 0.2, indexing="ij")
    points = (positions[0] + np.stack([x.ravel(), y.ravel()], axis=1) @ plane) / Bohr
    atoms = (positions - positions[0]) @ plane.T
    both = np.stack([model, model - label])
    density, difference = density_on(basis, NUMBERS, positions / Bohr, both, points).reshape(2, *x.shape)
    where, weights = Quadrature().of(NUMBERS, positions / Bohr)
    missed = np.abs(density_on(basis, NUMBERS, positions / Bohr, model - label, where)) @ weights / 10
    figure, (left, right) = panels((8.4, 4.0), columns=2)
    lines = left.contour(x, y, density, levels=LEVELS, cmap="viridis_r", norm="log", linewidths=1.2)
    figure.colorbar(lines, ax=left, label="density / e bohr⁻³", format="%g", shrink=0.8)
    colours = right.pcolormesh(
        x, y, 1e3 * difference, cmap="RdBu_r", vmin=-1e3 * LARGEST, vmax=1e3 * LARGEST, rasterized=True
    )
    figure.colorbar(colours, ax=right, label="model − label / 10⁻³ e bohr⁻³", extend="both", shrink=0.8)
    left.set_title("electron density of the model", fontsize=TEXT)
    right.set_title(f"misplaced: {100 * missed:.3f} % of 10 electrons", fontsize=TEXT)
    for axes in (left, right):
        axes.plot(*atoms.T, "o", color=REFERENCE, markersize=3)
        axes.set(xlabel="x / Å", ylabel="y / Å", aspect="equal")
    write_png(figure, HERE / "water.png")


if __name__ == "__main__":
    main()
