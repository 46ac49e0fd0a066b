"""How far a proton of water is shared, drawn from water.csv: `python docs/pictures/enhanced_sampling/water.py`.

water.csv is what `beadwise profile` wrote; see docs/explanation/enhanced_sampling.md.
"""

import csv
from pathlib import Path

import numpy as np
from beadwise.sampling.plot import plot_profiles
from beadwise.sampling.profile import FreeEnergyProfile

HERE = Path(__file__).resolve().parent
VALUES, ERRORS = " free energy (eV)", " standard error (eV)"
EDGES = np.linspace(0.0, 0.66, 23)
NOTE = (
    "10 ps with 16 beads and 30 ps classical, 32 molecules; histograms; jackknife over 16 blocks of each run\n"
    "the sharing is Σ 1/(1 + (r/1.25 Å)⁶) over all other oxygens: 0.1 in a hydrogen bond, 0.5 in the middle"
)


def main() -> None:
    lines = (HERE / "water.csv").read_text(encoding="utf-8").splitlines()
    header, *rows = csv.reader(line for line in lines if not line.startswith("#"))
    columns = dict(zip(header, np.array(rows, dtype=np.float64).T, strict=True))
    names = [name.removesuffix(VALUES) for name in header if name.endswith(VALUES)]
    profiles = {}
    for name in names:
        values, error = columns[name + VALUES], columns[name + ERRORS]
        profiles[name] = FreeEnergyProfile(EDGES, values, error, 300.0, 1801, np.nan, 16, 16)
    plot_profiles(
        profiles, HERE / "water.png", "sharing of the proton (coordination number)", "A proton of water", NOTE
    )


if __name__ == "__main__":
    main()
