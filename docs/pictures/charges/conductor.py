"""How the polarizability of a chain grows where charges equilibrate, and where they move along bonds: run this script.

Chains of equal atoms 1.4006 Å apart, Gaussians of 0.694 Å, hardness 8.556 eV/e²; of transfers the strength is that of
a reach of 2.5 Å.  Writes conductor.png and conductor.json beside it.
"""

import json
from pathlib import Path

import numpy as np
from beadwise.model import Batch
from beadwise.model.charges.kinds import EquilibratedCharges, TransferredCharges
from beadwise.model.electrostatics import COULOMB, Electrostatics
from beadwise.pictures import COLOURS, WIDTH, foot, head, panels, write_png
from matplotlib.lines import Line2D

ATOMS = (5, 10, 20, 40, 80)
SPACING, SIGMA, HARDNESS, REACH = 1.4006, 0.694, 8.556, 2.5


def main() -> None:
    growth: dict[str, list[float]] = {"equilibration": [], "transfers": []}
    for atoms in ATOMS:
        positions = SPACING * np.arange(atoms)[:, None] * [1.0, 0.0, 0.0]
        batch = Batch(np.full(atoms, 6), positions[None], np.zeros((1, 3, 3)), np.zeros(3, dtype=bool))
        sums = Electrostatics(batch.positions, batch.cells, batch.periodic, np.full(atoms, SIGMA))
        own = np.full(atoms, HARDNESS + COULOMB / (SIGMA * np.sqrt(np.pi)))
        whole = EquilibratedCharges(batch, np.zeros((1, atoms)), sums, own, np.zeros(1))
        growth["equilibration"].append(float(COULOMB * whole.polarizability()[0, 0, 0] / atoms))
        field = -positions[:, 0][None]  # 1 V/Å
        moved = TransferredCharges(batch, field, np.zeros(atoms), REACH).dipole()[0][0, 0]
        growth["transfers"].append(float(COULOMB * moved / atoms))
    here = Path(__file__).parent
    (here / "conductor.json").write_text(json.dumps({"atoms": ATOMS, **growth}, indent=1) + "\n")
    figure, (axes,) = panels((WIDTH, 3.4))
    handles = []
    for (name, own), colour in zip(growth.items(), COLOURS, strict=False):
        axes.loglog(ATOMS, own, "o-", color=colour)
        handles.append(Line2D([], [], color=colour, marker="o", label=name))
    axes.set_xticks(ATOMS, map(str, ATOMS))
    axes.minorticks_off()
    axes.set(xlabel="atoms of the chain", ylabel="polarizability of an atom / Å³", ylim=(1, 500))
    head(axes, "Charges that equilibrate make a conductor of every chain", handles)
    foot(
        figure, "along chains of equal atoms 1.4006 Å apart, σ 0.694 Å, hardness 8.556 eV/e²; reach of transfers 2.5 Å"
    )
    write_png(figure, here / "conductor.png")


if __name__ == "__main__":
    main()
