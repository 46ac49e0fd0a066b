"""Harmonic vibrations of α-quartz by `beadwise vibrations` beside density functional perturbation theory.

    beadwise fit quartz_energy.toml        # beside SiO2_train.xyz of S. Falletta et al., Nat. Commun. 16, 4031 (2025)
    beadwise fit quartz_dipole.toml        # the same
    python docs/pictures/vibrations/quartz.py structure            # quartz.xyz, in the cell of these frames
    beadwise vibrations quartz.xyz --model quartz.toml --optical-permittivity 2.431 --output quartz
    python docs/pictures/vibrations/quartz.py quartz.csv FOLDER    # the tables, and quartz.png

FOLDER holds the reference of the same authors, SiO2-IR-dfpt.dat, and SiO2-epsim-dfpt.dat, which it is checked with.
"""

from __future__ import annotations

import csv
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase.io import write
from ase.spacegroup import crystal
from beadwise.analysis.vibrations.harmonic import COULOMB, KM_PER_MOL, WAVENUMBER
from beadwise.pictures import COLOURS, LEGEND, WIDTH, curve_style, foot, panel, write_png

HERE = Path(__file__).resolve().parent
A, C = 9.97060653781279 / 2, 10.957060208830441 / 2  # Å, of the frames, whose cell is 2 × 1 × 2 of a × √3 a × c
VOLUME = np.sqrt(0.75) * A**2 * C
SILICON, OXYGEN = (0.4697, 0, 2 / 3), (0.4135, 0.2669, 0.1191 + 2 / 3)  # where the minimum is looked for, in P3₂21
PER_QE = 42.2561  # km/mol in (D/Å)²/u
PERMITTIVITY = 2.431  # ε∞ of the reference: what its Re ε has at 2.5 and at 1500 cm⁻¹ beyond √3/2 of that of its lines
WIDTH_OF_LINES = 20.0  # cm⁻¹, standard deviation of the Gaussians of the reference's ε(ν)
SAME = 1.0  # cm⁻¹, of the two modes of a pair


@dataclass(frozen=True)
class Line:
    """A mode of symmetry A1 or A2, or a pair of symmetry E: wavenumber in cm⁻¹, infrared intensity in km/mol."""

    symmetry: str
    wavenumber: float
    infrared: float


def lines_of(wavenumbers: np.ndarray, infrared: np.ndarray) -> list[Line]:
    """Modes by symmetry: pairs are E, single modes A2 where they are active in the infrared, and A1 where not."""
    found, place = [], 0
    while place < len(wavenumbers):
        two = wavenumbers[place : place + 2]
        own = infrared[place : place + 2]
        if len(two) == 2 and two[1] - two[0] < SAME and np.ptp(own) <= 0.2 * max(own.max(), 1.0):
            found.append(Line("E", float(two.mean()), float(own.sum())))
            place += 2
        else:
            found.append(Line("A2" if own[0] > 1.0 else "A1", float(two[0]), float(own[0])))
            place += 1
    counts = {name: sum(one.symmetry == name for one in found) for name in ("A1", "A2", "E")}
    if counts != {"A1": 4, "A2": 4, "E": 8}:
        raise SystemExit(f"modes of symmetry {counts}; α-quartz has 4 A1, 4 A2 and 8 E")
    return found


def strengths(lines: list[Line], symmetry: str) -> tuple[np.ndarray, np.ndarray]:
    """Wavenumbers, and what each line adds to ε along one axis, as (numerator in cm⁻²)/(ν̃₀² − ν̃²)."""
    own = [one for one in lines if one.symmetry == symmetry]
    per_axis = 1.0 if symmetry == "A2" else 0.5
    places = np.array([one.wavenumber for one in own])
    moments = per_axis * np.array([one.infrared for one in own]) / KM_PER_MOL
    return places, 4 * np.pi * COULOMB / VOLUME * moments * WAVENUMBER**2


def longitudinal(lines: list[Line], symmetry: str) -> np.ndarray:
    """Where ε along an axis is zero: as the field of the wave adds to the squares of wavenumbers."""
    places, factors = strengths(lines, symmetry)
    roots = np.sqrt(factors)
    return np.sqrt(np.linalg.eigvalsh(np.diag(places**2) + np.outer(roots, roots) / PERMITTIVITY))


def absorption(grid: np.ndarray, lines: list[Line]) -> np.ndarray:
    """Im ε, the mean of three axes, with Gaussians."""
    total = np.zeros_like(grid)
    for symmetry, axes in (("A2", 1), ("E", 2)):
        for place, factor in zip(*strengths(lines, symmetry), strict=True):
            shape = np.exp(-((grid - place) ** 2) / (2 * WIDTH_OF_LINES**2)) / (WIDTH_OF_LINES * np.sqrt(2 * np.pi))
            total += axes / 3 * np.pi / 2 * factor / place * shape
    return total


def static(lines: list[Line]) -> float:
    """ε(0), the mean of three axes."""
    places = {name: strengths(lines, name) for name in ("A2", "E")}
    own = {name: float((factor / place**2).sum()) for name, (place, factor) in places.items()}
    return PERMITTIVITY + (own["A2"] + 2 * own["E"]) / 3


def read_table(path: Path) -> list[Line]:
    """Of ``beadwise vibrations``."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = [row[:2] for row in csv.reader(file) if row and row[0][0].isdigit()]
    return lines_of(*np.array(rows, dtype=float).T)


def main() -> None:
    if sys.argv[1:] == ["structure"]:
        atoms = crystal(["Si", "O"], [SILICON, OXYGEN], spacegroup=154, cellpar=[A, A, C, 90, 90, 120])
        write("quartz.xyz", atoms, columns=["symbols", "positions"])
        return
    ours, folder = read_table(Path(sys.argv[1])), Path(sys.argv[2])
    reference = np.loadtxt(folder / "SiO2-IR-dfpt.dat")[1:]  # the first is a translation
    theirs = lines_of(reference[:, 1], PER_QE * reference[:, 3])
    for symmetry in ("A1", "A2", "E"):
        for one, own in zip(*([x for x in every if x.symmetry == symmetry] for every in (theirs, ours)), strict=True):
            change = f"{one.infrared:.1f} | {own.infrared:.1f}" if symmetry != "A1" else " | "
            known, found = one.wavenumber, own.wavenumber
            print(f"| {symmetry} | {known:.1f} | {found:.1f} | {100 * (found / known - 1):+.1f} % | {change} |")
    for symmetry in ("A2", "E"):
        for one, own in zip(longitudinal(theirs, symmetry), longitudinal(ours, symmetry), strict=True):
            print(f"longitudinal {symmetry}: {one:.1f} {own:.1f} {100 * (own / one - 1):+.1f} %")
        sums = [sum(x.infrared for x in every if x.symmetry == symmetry) for every in (theirs, ours)]
        print(f"sum of {symmetry}: {sums[0]:.1f} {sums[1]:.1f} km/mol, {100 * (sums[1] / sums[0] - 1):+.2f} %")
    print(f"ε(0): {static(theirs):.3f} {static(ours):.3f}")
    curve = np.loadtxt(folder / "SiO2-epsim-dfpt.dat")
    of_lines = absorption(curve[:, 0], theirs)
    share = float(curve[:, 1] @ of_lines / (of_lines @ of_lines))
    left = np.abs(curve[:, 1] - share * of_lines).max() / curve[:, 1].max()
    print(f"Im ε of the reference is {share:.5f} of that of its lines (√3/2 = {np.sqrt(0.75):.5f}), within {left:.0e}")
    figure, axes = panel((WIDTH, 3.2))
    grid = np.linspace(50, 1300, 2501)
    for colour, (label, lines) in zip(COLOURS, {"perturbation theory": theirs, "model": ours}.items(), strict=False):
        axes.plot(grid, absorption(grid, lines), label=label, **curve_style(colour))
    axes.set(xlim=(50, 1300), ylim=(0, None), xlabel="ν̃ / cm⁻¹", ylabel="Im ε")
    axes.legend(**LEGEND, loc="upper center")
    foot(figure, f"transverse lines of α-quartz, Gaussians with a deviation of {WIDTH_OF_LINES:g} cm⁻¹")
    write_png(figure, HERE / "quartz.png")


if __name__ == "__main__":
    main()
