"""Cube files: the density of a molecule on a regular grid, as other programs draw it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io.cube import write_cube
from ase.units import Bohr

from ...whole_files import whole_file
from ..errors import StructureError
from ..structures import Batch
from .grids import density_on
from .model import DensityModel

MOST_POINTS = 20_000_000


@dataclass(frozen=True)
class Grid:
    """A regular grid about a molecule.

    Parameters
    ----------
    origin : ndarray of float64, shape (3,)
        The first point, in Å.
    points : tuple of int
        Along x, y and z.
    spacing : float
        In Å.
    """

    origin: np.ndarray
    points: tuple[int, int, int]
    spacing: float

    @staticmethod
    def about(positions: np.ndarray, spacing: float, margin: float) -> Grid:
        """The grid that ends a margin beyond the outermost atoms, all in Å.

        Raises
        ------
        StructureError
            If it has too many points.
        """
        lowest = positions.min(axis=0) - margin
        sizes = np.floor((positions.max(axis=0) + margin - lowest) / spacing) + 1
        if not sizes.prod() <= MOST_POINTS:
            raise StructureError(
                f"a spacing of {spacing:g} Å makes {' × '.join(f'{size:.10g}' for size in sizes)} points; allowed are "
                f"{MOST_POINTS:.0e} of them: take a larger spacing or a smaller margin"
            )
        return Grid(lowest, (int(sizes[0]), int(sizes[1]), int(sizes[2])), spacing)

    @property
    def places(self) -> np.ndarray:
        """All points in Å, shape (points, 3), z running fastest."""
        axes = [start + self.spacing * np.arange(count) for start, count in zip(self.origin, self.points, strict=True)]
        return np.stack([own.ravel() for own in np.meshgrid(*axes, indexing="ij")], axis=1)


def density_on_grid(model: DensityModel, atoms: Atoms, grid: Grid) -> np.ndarray:
    """The density of a molecule in e/bohr³, of the shape of the grid.

    Raises
    ------
    StructureError
        As `DensityModel.constrained`.
    """
    own = model.constrained(Batch.from_ase(atoms))
    positions = own.batch.positions[0] / Bohr
    values = density_on(model.basis, own.batch.numbers, positions, own.coefficients[0], grid.places / Bohr)
    return values.reshape(grid.points)


def write_density_cube(path: Path, atoms: Atoms, grid: Grid, values: np.ndarray) -> None:
    """Write a cube file, in e/bohr³ and bohr; there is never half of it."""
    box = Atoms(atoms.numbers, atoms.positions, cell=np.diag(np.array(grid.points) * grid.spacing))
    with whole_file(path) as target, open(target, "w", encoding="utf-8") as file:
        write_cube(file, box, values, grid.origin, "electron density in e/bohr^3, by beadwise")
