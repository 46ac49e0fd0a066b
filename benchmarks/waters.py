"""Boxes of water of any size, for timing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import write
from measuring import water_box
from scipy.spatial.transform import Rotation

SPACING = 3.107  # Å, of a cubic lattice of molecules at 0.997 g/cm³
BOND, ANGLE = 0.96, np.deg2rad(104.5)


def box(atoms: int) -> Atoms:
    """64 molecules of liquid water; for other numbers molecules on a lattice, turned at random.

    Parameters
    ----------
    atoms : int
        Three for each molecule.
    """
    if atoms == 192:
        return water_box()
    molecules, left = divmod(atoms, 3)
    if left or molecules < 1:
        raise ValueError(f"{atoms} atoms are no whole number of water molecules")
    side = int(np.ceil(molecules ** (1 / 3) - 1e-9))
    places = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)[:molecules]
    hydrogens = BOND * np.array([[1, 0, 0], [np.cos(ANGLE), np.sin(ANGLE), 0]])
    turns = Rotation.random(molecules, random_state=1).as_matrix()
    offsets = np.concatenate([np.zeros((molecules, 1, 3)), hydrogens @ np.swapaxes(turns, 1, 2)], axis=1)
    positions = (places[:, None] + 0.5) * SPACING + offsets
    return Atoms("OHH" * molecules, positions.reshape(-1, 3), cell=[side * SPACING] * 3, pbc=True)


def write_box(path: Path, atoms: int) -> None:
    """Write a box as i-PI reads it."""
    structure = box(atoms)
    cell = " ".join(f"{number:.8f}" for number in structure.cell.cellpar())
    write(path, structure, format="xyz", comment=f"# CELL(abcABC): {cell} cell{{angstrom}} positions{{angstrom}}")
