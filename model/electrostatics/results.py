"""What electrostatics answers with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PLACES = np.array([[4, 9, 8], [9, 5, 7], [8, 7, 6]])  # of second derivatives in the kernel's ten


@dataclass(frozen=True)
class Potentials:
    """Potentials at every site of the charges and dipoles of all others, and of all images.

    Parameters
    ----------
    values : ndarray of float64, shape (beads, columns, sites, 10)
        φ and its derivatives by x, y, z, xx, yy, zz, yz, xz, xy, in V, V/Å and V/Å².
    """

    values: np.ndarray

    @property
    def potential(self) -> np.ndarray:
        """φ in V, shape (beads, columns, sites): what a charge there has as ∂E/∂q, in eV/e."""
        return self.values[..., 0]

    @property
    def gradient(self) -> np.ndarray:
        """∇φ in V/Å, shape (beads, columns, sites, 3): the field is its negative; ∂E/∂p of a dipole there."""
        return self.values[..., 1:4]

    @property
    def second(self) -> np.ndarray:
        """∇∇φ in V/Å², shape (beads, columns, sites, 3, 3): the gradient of the field is its negative."""
        return self.values[..., PLACES]


@dataclass(frozen=True)
class ChargeEnergy:
    """Energy of charges and dipoles, and all its derivatives.

    Parameters
    ----------
    energy : ndarray of float64, shape (beads,)
        In eV.
    by_charge : ndarray of float64, shape (beads, sites)
        ∂E/∂q in V.
    by_dipole : ndarray of float64, shape (beads, sites, 3)
        ∂E/∂p in V/Å.
    forces : ndarray of float64, shape (beads, sites, 3)
        −∂E/∂r at constant charges and dipoles, in eV/Å.
    virial : ndarray of float64, shape (beads, 3, 3)
        −∂E/∂ε of r → r + ε r, at constant charges and dipoles, in eV.
    """

    energy: np.ndarray
    by_charge: np.ndarray
    by_dipole: np.ndarray
    forces: np.ndarray
    virial: np.ndarray
