"""The dipole–dipole interaction of points and their images, by Ewald's sum or a mesh, or without images."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..electrostatics import COULOMB, Electrostatics
from ..errors import StructureError

LARGEST_EWALD = 500  # sites, above which the mesh is faster
COST_OF_PAIRS = 1.2  # of the splitting: pairs are made once and used in every step, so that more of them pay


def splitting_of(sites: int, volume: float) -> float:
    """κ in 1/Å at which induced dipoles of so many sites cost the least, found by measurement.

    Parameters
    ----------
    sites : int
    volume : float
        In Å³.
    """
    return COST_OF_PAIRS * math.sqrt(math.pi) * (max(sites, 1) / volume**2) ** (1 / 6)


def sums_of(
    positions: np.ndarray,
    cells: np.ndarray,
    periodic: bool,
    damping: float,
    accuracy: float,
    splitting: float | None = None,
    threads: int = 1,
) -> Electrostatics:
    """Electrostatics of polarizable sites, for a batch of beads.

    Parameters
    ----------
    positions, cells : ndarray of float64, shapes (beads, sites, 3), (beads, 3, 3)
        In Å.
    periodic : bool
        Whether there are images, in all three directions.
    damping, accuracy, splitting, threads
        As of `Electrostatics`.

    Raises
    ------
    StructureError
        As `Electrostatics`.
    """
    sites, is_small = positions.shape[1], positions.shape[1] <= LARGEST_EWALD
    if splitting is None and periodic and len(cells) and is_small:
        volume = float(np.abs(np.linalg.det(cells)).mean())
        splitting = splitting_of(sites, volume) if volume > 0 else None  # which is refused below
    return Electrostatics(
        positions, cells, [periodic] * 3, None, damping, accuracy, splitting, mesh=not is_small, threads=threads
    )


class DipoleInteraction:
    """T_ij = Σ_R (1/r³ − 3 r r/r⁵) with r = r_j − r_i + R, so that two dipoles have the energy p_i·T_ij·p_j.

    In a lattice it is Ewald's sum without the wave k = 0, which means a conductor around all (tin foil; de Leeuw,
    Perram, Smith, Proc. R. Soc. Lond. A 373, 27 (1980)), for many sites by a particle mesh.  At short range 1/r³ may be
    damped as if both were smeared out (Thole, Chem. Phys. 59, 341 (1981)): 1 − e^(−w) and 1 − (1 + w) e^(−w) for the
    two terms, w = (r/damping)³.

    Parameters
    ----------
    positions : ndarray of float64, shape (sites, 3)
        In Å.
    cell : ndarray of float64, shape (3, 3)
        Lattice vectors in Å, one per row.
    periodic : bool
        Whether there are images, in all three directions.
    damping : float
        Length in Å; 0 for none.
    accuracy : float
        What is left out of the sums, about, relative to the whole.
    splitting : float, optional
        κ in 1/Å; by default such that the sums cost about the same.

    Raises
    ------
    StructureError
        If two sites lie on each other.
    """

    def __init__(
        self,
        positions: np.ndarray,
        cell: np.ndarray,
        periodic: bool = True,
        damping: float = 0.0,
        accuracy: float = 1e-10,
        splitting: float | None = None,
    ):
        places = np.asarray(positions, dtype=np.float64)[None]
        self.sums = sums_of(places, np.asarray(cell, dtype=np.float64)[None], periodic, damping, accuracy, splitting)

    @property
    def sites(self) -> int:
        """Number of sites."""
        return self.sums.sites

    def dense(self) -> np.ndarray:
        """T as a matrix, shape (3 sites, 3 sites), symmetric."""
        units = np.eye(3 * self.sites).reshape(self.sites, 3, 3 * self.sites)
        matrix = self.apply(units).reshape(3 * self.sites, 3 * self.sites)
        return 0.5 * (matrix + matrix.T)

    def apply(self, dipoles: np.ndarray) -> np.ndarray:
        """Σ_j T_ij p_j without the matrix.

        Parameters
        ----------
        dipoles : ndarray of float64, shape (sites, 3, columns)

        Returns
        -------
        ndarray of float64, same shape
        """
        found = self.sums.potentials(dipoles=np.moveaxis(dipoles, 2, 0)[None]).gradient[0]
        return np.moveaxis(found, 0, 2) / COULOMB

    def derivatives(self, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Derivatives of ``Q = Σ_ij x_i T_ij y_j`` by positions and strain, at constant x and y.

        Parameters
        ----------
        left, right : ndarray of float64, shape (sites, 3, columns)
            x and y; a column of one belongs to that of the other.

        Returns
        -------
        gradients : ndarray of float64, shape (columns, sites, 3)
        strains : ndarray of float64, shape (columns, 3, 3)
            ∂Q/∂ε of r_a → r_a + ε_ab r_b.
        """
        count = left.shape[2]
        columns = np.moveaxis(np.concatenate([left, right], axis=2), 2, 0)[None]
        return self.derivatives_of_pairs(columns, [(column, count + column) for column in range(count)])

    def derivatives_of_pairs(
        self, columns: np.ndarray, pairs: Sequence[tuple[int, int]]
    ) -> tuple[np.ndarray, np.ndarray]:
        """The same for pairs out of columns, shape (1, columns, sites, 3)."""
        _, gradients, strains = self.sums.couplings(None, columns, pairs)
        return gradients[0] / COULOMB, strains[0] / COULOMB


def refuse_partly_periodic(periodic: np.ndarray) -> None:
    """Refuse a batch with images in some directions only.

    Raises
    ------
    StructureError
    """
    if periodic.any() and not periodic.all():
        raise StructureError(f"periodic directions are {periodic.tolist()}; a field inside needs all three, or none")
