"""Harmonic vibrations of ethanol (trans) by PySCF itself beside those of the shipped model `ethanol`, and a spectrum.

    pip install pyscf
    python docs/pictures/vibrations/against_pyscf.py reference     # minutes: writes ethanol_pyscf.csv
    python docs/pictures/vibrations/against_pyscf.py [FOLDER]      # the table, and against_pyscf.png

PySCF at the level of the model's labels (docs/ethanol/labels.py): minimum, analytic Hessian, slopes of the dipole by
differences along its own normal modes.  FOLDER holds `run.csv`, the infrared spectrum of classical dynamics of the
model at 300 K, as `beadwise spectrum ir` writes it.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
from ase.build import molecule
from ase.calculators.calculator import Calculator, all_changes
from ase.optimize import BFGS
from ase.units import Bohr, Hartree
from beadwise.analysis.vibrations.derivatives import Derivatives, derivatives
from beadwise.analysis.vibrations.harmonic import KM_PER_MOL, Modes, normal_modes
from beadwise.model import Batch
from beadwise.model.crystals.minimum import minimum_of
from beadwise.model.files import load_model
from beadwise.pictures import COLOURS, LEGEND, WIDTH, curve_style, foot, panel, write_png

HERE = Path(__file__).resolve().parent
TABLE = HERE / "ethanol_pyscf.csv"
STEP = 0.02  # Å, of the atom that a mode moves most
WIDTH_OF_LINES = 40.0  # cm⁻¹
BOX = 100.0**3 * 1e-24  # cm³, of the dynamics
TO_KM = 6.02214076e23 * 1e-5  # of n α V in cm² to km/mol per cm⁻¹


def reference() -> None:
    """Minimum, Hessian and dipoles by PySCF."""
    sys.path.insert(0, str(HERE.parents[1] / "ethanol"))
    import labels

    class Labelled(Calculator):
        implemented_properties = ("energy", "forces")

        def calculate(self, atoms, properties=None, system_changes=all_changes):
            super().calculate(atoms, properties, system_changes)
            self.solution = labels.self_consistent_field(atoms)
            forces = -self.solution.nuc_grad_method().kernel() * Hartree / Bohr
            self.results = {"energy": self.solution.e_tot * Hartree, "forces": forces - forces.mean(axis=0)}

    atoms = molecule("CH3CH2OH")
    atoms.set_dihedral(0, 1, 2, 3, 180.0, indices=[3])
    atoms.calc = Labelled()
    BFGS(atoms).run(fmax=0.003, steps=60)
    atoms.get_forces()
    hessian = atoms.calc.solution.Hessian().kernel().transpose(0, 2, 1, 3).reshape(3 * len(atoms), -1)
    found = Derivatives((hessian + hessian.T) / 2 * Hartree / Bohr**2, 0.0, None, None, None)
    modes = normal_modes(found, atoms.get_masses(), atoms.positions, False)

    def dipole(positions):
        moved = atoms.copy()
        moved.positions = positions
        return labels.self_consistent_field(moved).dip_moment(unit="AU", verbose=0) * Bohr

    rows = []
    for wavenumber, own in zip(modes.wavenumbers, modes.displacements, strict=True):
        step = STEP / np.abs(own).max() * own
        slope = (dipole(atoms.positions + step) - dipole(atoms.positions - step)) / (2 * STEP / np.abs(own).max())
        rows.append([f"{wavenumber:.2f}", f"{KM_PER_MOL * np.square(slope).sum():.3f}"])
    with open(TABLE, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["wavenumber (cm^-1)", "infrared (km/mol)"], *rows])


def of_model() -> Modes:
    """The same of the shipped model."""
    atoms = molecule("CH3CH2OH")
    atoms.set_dihedral(0, 1, 2, 3, 180.0, indices=[3])
    model = load_model("ethanol")
    at = minimum_of(model, Batch.from_ase(atoms), True, 0.005, 1e-3, None)
    found = derivatives(model, at.structure, at.hessian)
    return normal_modes(found, atoms.get_masses(), at.structure.positions[0], False)


def table_of(path: Path) -> np.ndarray:
    """Rows of numbers of a CSV file."""
    with open(path, newline="", encoding="utf-8") as file:
        return np.array([row for row in csv.reader(file) if row and row[0][0].isdigit()], dtype=float)


def main() -> None:
    if sys.argv[1:] == ["reference"]:
        reference()
        return
    (theirs, strengths), ours = table_of(TABLE).T, of_model()
    for one in zip(theirs, ours.wavenumbers, strengths, ours.infrared, strict=True):
        print(f"| {one[0]:.0f} | {one[1]:.0f} | {100 * (one[1] / one[0] - 1):+.1f} % | {one[2]:.1f} | {one[3]:.1f} |")
    figure, axes = panel((WIDTH, 3.4))
    grid = np.linspace(1, 4200, 4200)
    series = {"PySCF, harmonic": (theirs, strengths), "ethanol, harmonic": (ours.wavenumbers, ours.infrared)}
    for colour, (label, (places, heights)) in zip(COLOURS, series.items(), strict=False):
        half = WIDTH_OF_LINES / 2
        lines = half / np.pi / (np.square(grid[:, None] - places) + half**2)
        axes.plot(grid, lines @ heights, label=label, **curve_style(colour))
    kept = HERE / "ethanol_dynamics.csv"
    for folder in sys.argv[1:]:
        rows = table_of(Path(folder) / "run.csv")
        kept.write_text(
            "\n".join(["# nα of one molecule in (100 Å)³", *(f"{x:g},{y:.6g}" for x, y in rows[:, :2])]) + "\n"
        )
    if kept.exists():
        x, y = table_of(kept).T
        axes.plot(x, y * BOX * TO_KM, label="ethanol, classical dynamics, 300 K", **curve_style(COLOURS[2]))
    axes.set(xlim=(100, 4200), ylim=(0, None), xlabel="ν̃ / cm⁻¹", ylabel="intensity / km/mol per cm⁻¹")
    axes.legend(**LEGEND, loc="upper center")
    foot(figure, f"harmonic lines with {WIDTH_OF_LINES:g} cm⁻¹ full width")
    write_png(figure, HERE / "against_pyscf.png")


if __name__ == "__main__":
    main()
