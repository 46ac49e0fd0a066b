"""The infrared spectrum of liquid water by classical dynamics, TRPMD and Te PIGS, from tables beside this file.

python docs/pictures/te_pigs/compare.py

`ir_te_pigs.csv` is of one run: 101 frames at 500 K (16 beads, 12 fs apart), fitted by `beadwise pigs`, then classical
dynamics of the same 32 molecules at 300 K (0.5 fs, stochastic velocity rescaling with 100 fs).  The others are those of
docs/explanation/water_spectra.md.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from beadwise.pictures import COLOURS, LEGEND, WIDTH, band, curve_style, panel, write_png

HERE = Path(__file__).resolve().parent
TABLES = {
    "classical": HERE.parent / "water_spectra" / "ir_classical.csv",
    "TRPMD, 32 beads": HERE.parent / "water_spectra" / "ir_trpmd.csv",
    "Te PIGS, fitted at 500 K": HERE / "ir_te_pigs.csv",
}
STRETCH, BEND = (2700.0, 4100.0), (1450.0, 1850.0)  # cm⁻¹


def table_of(path: Path) -> np.ndarray:
    """Wavenumber, nα and its standard error."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = [row for row in csv.reader(file) if row and not row[0].startswith("#")]
    return np.array([row[:3] for row in rows[1:]], dtype=float)


def main() -> None:
    figure, axes = panel((WIDTH, 3.6))
    for colour, (name, path) in zip(COLOURS, TABLES.items(), strict=False):
        x, y, error = table_of(path).T
        axes.plot(x, y / 1000, label=name, **curve_style(colour))
        band(axes, x, y / 1000, error / 1000, colour)
        inside = (x > STRETCH[0]) & (x < STRETCH[1])
        bend = (x > BEND[0]) & (x < BEND[1])
        centre = (x[inside] * y[inside]).sum() / y[inside].sum()
        width = np.sqrt((np.square(x[inside] - centre) * y[inside]).sum() / y[inside].sum())
        print(f"{name}: stretch centre {centre:.0f}, rms width {width:.0f}, bend {x[bend][y[bend].argmax()]:.0f} cm⁻¹")
    axes.set(xlim=(0, 4200), ylim=(0, None), xlabel="ν̃ / cm⁻¹", ylabel="n(ω) α(ω) / 10³ cm⁻¹")
    axes.legend(**LEGEND, loc="upper left")
    write_png(figure, HERE / "ir.png")


if __name__ == "__main__":
    main()
