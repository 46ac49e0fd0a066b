"""Local polarizabilities of a batch of beads in each other's field, and what the polarizability of all changes with."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from ..electrostatics import COULOMB, Electrostatics
from ..errors import StructureError

PAIRS = [(c, d) for c in range(3) for d in range(c, 3)]  # of directions of the field
OF_VALUES = 5e-5  # tolerance: the polarizability is exact up to its square, and the sums up to 1e-7
OF_DERIVATIVES = 1e-9  # which are exact up to the tolerance itself
OF_PARTS = 1e-13  # of single sites, whose sum is the polarizability


def checked_local(local: np.ndarray) -> np.ndarray:
    """Symmetric parts of local polarizabilities, shape (beads, sites, 3, 3), in Å³.

    Raises
    ------
    StructureError
        If one is not positive, or not finite.
    """
    if not np.isfinite(local).all():
        raise StructureError("local polarizabilities have numbers that are not finite")
    local = 0.5 * (local + np.swapaxes(local, -1, -2))
    try:
        np.linalg.cholesky(local)  # there is one if they are positive, and it is found sooner than eigenvalues
    except np.linalg.LinAlgError:
        values = np.linalg.eigvalsh(local)[..., 0]
        bead, site = np.unravel_index(int(np.argmin(values)), values.shape)
        raise StructureError(
            f"local polarizability of site {site} has the eigenvalue {values[bead, site]:.4g} Å³; all must be positive"
        ) from None
    return local


class Dressing:
    """The response X = (a⁻¹ + T)⁻¹ 1 of all sites to the field in the medium, of all beads.

    Parameters
    ----------
    sums : Electrostatics
        Of the sites.
    local : ndarray of float64, shape (beads, sites, 3, 3)
        a in Å³, as `checked_local` gives it.
    tolerance : float
        Of the solution, relative.

    Raises
    ------
    StructureError
        If two sites lie on each other, or the polarizability diverges.
    """

    def __init__(self, sums: Electrostatics, local: np.ndarray, tolerance: float = OF_VALUES):
        self.sums, self.local = sums, local
        beads, sites = local.shape[:2]
        right = np.ascontiguousarray(np.broadcast_to(np.eye(3)[None, :, None], (beads, 3, sites, 3)))
        self.columns, self._rest = sums.induced(local, right, tolerance)  # (beads, 3, sites, 3): field, site, dipole

    @cached_property
    def polarizability(self) -> np.ndarray:
        """α in Å³, shape (beads, 3, 3), exact up to the square of the tolerance."""
        beads, directions = self.columns.shape[:2]
        columns, rest = (one.reshape(beads, directions, -1) for one in (self.columns, self._rest))
        total = self.columns.sum(axis=2) + columns @ np.swapaxes(rest, 1, 2)
        return np.asarray(0.5 * (total + np.swapaxes(total, 1, 2)))

    @cached_property
    def acting(self) -> np.ndarray:
        """W, the field that acts on each site of a field of 1 in the medium, shape (beads, sites, 3, 3)."""
        return np.linalg.solve(self.local, np.moveaxis(self.columns, 1, 3))

    def by_positions(self, left: Sequence[np.ndarray], right: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Derivatives of ``u·α·v`` by positions of the sites and by strain, at constant local polarizabilities.

        ``−Σ x_i dT_ij y_j`` with x = X u and y = X v: nothing more is solved.

        Parameters
        ----------
        left, right : sequence of ndarray of float64, shape (3,)
            u and v, as many of one as of the other.

        Returns
        -------
        gradients : ndarray of float64, shape (beads, pairs, sites, 3)
            In Å².
        strains : ndarray of float64, shape (beads, pairs, 3, 3)
            In Å³.
        """
        _, gradients, strains = self.sums.couplings(None, self.columns, PAIRS)
        weights = np.zeros((len(left), len(PAIRS)))
        for number, (u, v) in enumerate(zip(left, right, strict=True)):
            weights[number] = [u[c] * v[d] if c == d else u[c] * v[d] + u[d] * v[c] for c, d in PAIRS]
        return (
            np.einsum("np,bpia->bnia", -weights / COULOMB, gradients),
            np.einsum("np,bpae->bnae", -weights / COULOMB, strains),
        )

    def by_local(self, left: Sequence[np.ndarray], right: Sequence[np.ndarray]) -> np.ndarray:
        """Derivatives of ``u·α·v`` by the local polarizabilities, W u ⊗ W v, shape (beads, pairs, sites, 3, 3).

        Parameters
        ----------
        left, right : sequence of ndarray of float64, shape (3,)
            As in `by_positions`.
        """
        u, v = (np.einsum("biac,nc->bnia", self.acting, np.array(one)) for one in (left, right))
        both = u[..., :, None] * v[..., None, :]
        return np.asarray(0.5 * (both + np.swapaxes(both, -1, -2)))
