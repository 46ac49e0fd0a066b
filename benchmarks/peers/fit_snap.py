"""Fit SNAP, linear or quadratic, to LAMMPS' own descriptors by linear least squares."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from ase import Atoms
from labelled import Record, energies, force_error, frames, options
from lammps_box import Box, predicted

RFAC0, RADIUS = 0.99363, 0.5  # LAMMPS' usual ones; both elements have the whole cutoff
WEIGHTS = {"energy": 30.0, "forces": 1.0, "virial": 0.3}  # of eV/atom, eV/Å and eV/atom
RIDGES = 10.0 ** np.arange(-13, -3)  # of the diagonal of the normal equations, once columns are scaled
HELD = 10  # one of so many training frames chooses among them


def descriptors(structure: Atoms, chosen: argparse.Namespace) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows for energy (eV), forces (eV/Å), virial (eV; xx yy zz yz xz xy) of a structure; a column for each weight."""
    shape = f"{chosen.cutoff} {RFAC0} {chosen.twojmax} {RADIUS} {RADIUS}"
    shape += f" {chosen.weight_oxygen} {chosen.weight_hydrogen} quadraticflag {chosen.quadratic}"
    commands = [f"pair_style zero {chosen.cutoff + 0.01}", "pair_coeff * *"]
    commands += [f"compute snap all snap {shape}", "thermo_style custom step pe c_snap[1][1]"]
    box = Box(structure, commands)
    box.run("run 0 post no")
    rows = box.lammps.numpy.extract_compute("snap", 0, 2)[:, :-1].copy()
    box.close()
    forces = 1 + 3 * len(structure)
    return rows[0], rows[1:forces], rows[forces:]


class Equations:
    """Weighted normal equations of some frames; *level*, the mean energy per atom, is taken off."""

    def __init__(self, structures: list[Atoms], level: float, chosen: argparse.Namespace):
        self.matrix = self.vector = self.square = 0.0
        for structure in structures:
            rows, targets = weighted(structure, level, chosen)
            self.matrix, self.vector = self.matrix + rows.T @ rows, self.vector + rows.T @ targets
            self.square += targets @ targets

    def add(self, other: Equations) -> None:
        self.matrix, self.vector = self.matrix + other.matrix, self.vector + other.vector
        self.square += other.square

    def loss(self, weights: np.ndarray) -> float:
        """Sum of weighted squares that is left."""
        return float(weights @ (self.matrix @ weights - 2 * self.vector) + self.square)

    def solve(self, ridge: float) -> np.ndarray:
        """Weights."""
        scale = 1 / np.sqrt(np.diag(self.matrix))
        scaled = self.matrix * scale * scale[:, None]
        return scale * np.linalg.solve(scaled + ridge * np.eye(len(scale)), scale * self.vector)


def weighted(structure: Atoms, level: float, chosen: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    """Rows and labels of one structure; the last column is a constant for each atom."""
    atoms = len(structure)
    energy, forces, virial = descriptors(structure, chosen)
    factors = {"energy": WEIGHTS["energy"] / atoms, "forces": WEIGHTS["forces"], "virial": WEIGHTS["virial"] / atoms}
    rows = {
        "energy": np.append(energy, atoms)[None],
        "forces": np.pad(forces, ((0, 0), (0, 1))),
        "virial": np.pad(virial, ((0, 0), (0, 1))),
    }
    labels = {
        "energy": [structure.get_potential_energy() - atoms * level],
        "forces": structure.get_forces().ravel(),
        "virial": -structure.get_volume() * structure.get_stress(),
    }
    return (
        np.vstack([factors[name] * rows[name] for name in factors]),
        np.concatenate([factors[name] * np.array(labels[name]) for name in factors]),
    )


def write(weights: np.ndarray, level: float, chosen: argparse.Namespace, folder: Path) -> list[str]:
    """The two files of LAMMPS, and the commands that read them."""
    *slopes, constant = weights
    of_type = np.array(slopes).reshape(2, -1)
    lines = [f"2 {of_type.shape[1] + 1}"]
    widths = ((("O", chosen.weight_oxygen), of_type[0]), (("H", chosen.weight_hydrogen), of_type[1]))
    for (name, width), own in widths:
        lines += [f"{name} {RADIUS} {width}", f"{constant + level:.17g}", *(f"{value:.17g}" for value in own)]
    (folder / "water.snapcoeff").write_text("\n".join(lines) + "\n", encoding="utf-8")
    parameters = f"rcutfac {chosen.cutoff}\nrfac0 {RFAC0}\ntwojmax {chosen.twojmax}\nbzeroflag 1\n"
    parameters += f"quadraticflag {chosen.quadratic}\n"
    (folder / "water.snapparam").write_text(parameters, encoding="utf-8")
    return commands(folder)


def commands(folder: Path) -> list[str]:
    """LAMMPS' commands for a fitted SNAP."""
    return ["pair_style snap", f"pair_coeff * * {folder / 'water.snapcoeff'} {folder / 'water.snapparam'} O H"]


def main() -> None:
    defaults = {"twojmax": 6, "quadratic": 1, "cutoff": 4.0, "weight_oxygen": 1.0}
    chosen = options(__doc__, **defaults, weight_hydrogen=-0.5, every=1)
    settings = {name: getattr(chosen, name) for name in (*defaults, "weight_hydrogen")} | {"weights": WEIGHTS}
    record = Record(chosen, settings, ("lammps",), solved=chosen.every == 1)
    train, valid = frames(chosen.train)[:: chosen.every], frames(chosen.valid)[:: chosen.every]
    level = float(np.mean(energies(train) / [len(atoms) for atoms in train]))
    held, rest = train[::HELD], [atoms for place, atoms in enumerate(train) if place % HELD]
    held_out, fitted = Equations(held, level, chosen), Equations(rest, level, chosen)
    ridge = min(RIDGES, key=lambda ridge: held_out.loss(fitted.solve(ridge)))
    fitted.add(held_out)
    weights = fitted.solve(ridge)
    write(weights, level, chosen, chosen.folder)
    note = {"frames": len(train), "weights": len(weights), "ridge": ridge}
    record.note(**note, forces=force_error(valid, lambda atoms: predicted(atoms, commands(chosen.folder))))


if __name__ == "__main__":
    main()
