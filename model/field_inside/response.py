"""What local polarizabilities and dipoles become when all of them act on each other."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np

from ..errors import StructureError
from .dressing import PAIRS, checked_local
from .interaction import DipoleInteraction

TOLERANCE = 1e-13  # of the solution, relative


class FieldInside:
    """The response of sites with local polarizabilities a_i, and local dipoles m_i, in each other's field.

    With A = a⁻¹ + T: ``X_i = Σ_j (A⁻¹)_ij`` is the response of site i to the field in the medium, ``W_i = a_i⁻¹ X_i``
    the field that acts on it, of a field of 1.  The polarizability is Σ X_i, and the dipole Σ W_iᵀ m_i: a dipole is
    felt as much as the field is where it is.

    Parameters
    ----------
    interaction : DipoleInteraction
        T, its sites being those of the polarizabilities.
    local : ndarray of float64, shape (sites, 3, 3)
        a_i in Å³, symmetric and positive definite.
    dipoles : ndarray of float64, shape (sites, 3), optional
        m_i in e·Å.

    Raises
    ------
    StructureError
        If a polarizability is not positive, or they are so large that the polarizability diverges.
    """

    def __init__(self, interaction: DipoleInteraction, local: np.ndarray, dipoles: np.ndarray | None = None):
        self.interaction = interaction
        self.local = checked_local(np.asarray(local, dtype=np.float64)[None])[0]
        self.dipoles = dipoles
        self.inverse = np.linalg.inv(self.local)
        right = np.broadcast_to(np.eye(3)[:, None], (3, interaction.sites, 3))
        if dipoles is not None:
            right = np.concatenate([right, (self.inverse @ dipoles[:, :, None])[None, :, :, 0]])
        found = interaction.sums.induced(self.local[None], right[None], TOLERANCE)[0][0]
        self.parts = np.moveaxis(found[:3], 0, 2)
        self.all_dipoles = found[3] if dipoles is not None else None

    @cached_property
    def acting(self) -> np.ndarray:
        """W_i, the field that acts on each site of a field of 1 in the medium, shape (sites, 3, 3)."""
        return np.asarray(self.inverse @ self.parts)

    @cached_property
    def polarizability(self) -> np.ndarray:
        """α in Å³, shape (3, 3): the response to the field in the medium."""
        total = self.parts.sum(axis=0)
        return 0.5 * (total + total.T)

    @cached_property
    def dipole(self) -> np.ndarray:
        """The dipole in e·Å, shape (3,), of local dipoles and all that they induce."""
        assert self.dipoles is not None
        return np.einsum("iac,ia->c", self.acting, self.dipoles)

    def polarizability_derivatives(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Derivatives of α by local polarizabilities, positions of the sites, and strain, with no further solution.

        ``dα = Σ W_iᵀ da_i W_i − Σ X_iᵀ dT_ij X_j``.

        Returns
        -------
        by_local : ndarray of float64, shape (sites, 3, 3, 3, 3)
            ∂α_cd/∂a_i,ab on the axes (site, c, d, a, b), symmetric in a, b.
        by_position : ndarray of float64, shape (sites, 3, 3, 3)
            ∂α_cd/∂r_ie on the axes (site, e, c, d) at constant a.
        by_strain : ndarray of float64, shape (3, 3, 3, 3)
            ∂α_cd/∂ε_ef on the axes (e, f, c, d) at constant a.
        """
        w = self.acting
        by_local = np.einsum("iac,ibd->icdab", w, w)
        by_local = 0.5 * (by_local + np.swapaxes(by_local, 3, 4))
        by_local = 0.5 * (by_local + np.swapaxes(by_local, 1, 2))
        columns = np.moveaxis(self.parts, 2, 0)[None]
        gradients, strains = self.interaction.derivatives_of_pairs(columns, PAIRS)
        by_position, by_strain = np.zeros((self.interaction.sites, 3, 3, 3)), np.zeros((3, 3, 3, 3))
        for number, (c, d) in enumerate(PAIRS):
            for one, other in ((c, d), (d, c)):
                by_position[:, :, one, other] = -gradients[number]
                by_strain[:, :, one, other] = -strains[number]
        return by_local, by_position, by_strain

    def dipole_derivatives(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Derivatives of the dipole by local dipoles, local polarizabilities, positions of the sites, and strain.

        One column more is solved for all of them, and not one for each: with p = A⁻¹ a⁻¹ m,
        ``dM = Σ W_iᵀ dm_i + Σ W_iᵀ da_i a_i⁻¹ (p_i − m_i) − Σ X_iᵀ dT_ij p_j``.

        Returns
        -------
        by_dipole : ndarray of float64, shape (sites, 3, 3)
            ∂M_c/∂m_ia on the axes (site, a, c).
        by_local : ndarray of float64, shape (sites, 3, 3, 3)
            ∂M_c/∂a_i,ab on the axes (site, c, a, b), symmetric in a, b.
        by_position : ndarray of float64, shape (sites, 3, 3)
            ∂M_c/∂r_ie on the axes (site, e, c).
        by_strain : ndarray of float64, shape (3, 3, 3)
            ∂M_c/∂ε_ef on the axes (e, f, c).
        """
        assert self.dipoles is not None and self.all_dipoles is not None
        induced = np.einsum("iab,ib->ia", self.inverse, self.all_dipoles - self.dipoles)
        by_local = np.einsum("iac,ib->icab", self.acting, induced)
        by_local = 0.5 * (by_local + np.swapaxes(by_local, 2, 3))
        right = np.repeat(self.all_dipoles[:, :, None], 3, axis=2)
        gradients, strains = self.interaction.derivatives(self.parts, right)
        return self.acting, by_local, -np.moveaxis(gradients, 0, 2), -np.moveaxis(strains, 0, 2)


def undressed(interaction: DipoleInteraction, screened: np.ndarray) -> np.ndarray:
    """Local polarizabilities a_i from those that include the field of all others, exactly.

    Of p_i = a_i (1 − Σ_j T_ij p_j) it follows that a_i = p_i (1 − Σ_j T_ij p_j)⁻¹.

    Parameters
    ----------
    interaction : DipoleInteraction
    screened : ndarray of float64, shape (sites, 3, 3)
        p_i in Å³, the response of site i to the field in the medium, as labels per molecule are.

    Returns
    -------
    ndarray of float64, shape (sites, 3, 3)
        In Å³; of labels that are not exact the symmetric part is the best of them.

    Raises
    ------
    StructureError
        If no local polarizability gives such a response.
    """
    acting = np.eye(3) - interaction.apply(screened)
    if not (np.abs(np.linalg.det(acting)) > math.sqrt(np.finfo(float).eps)).all():
        site = int(np.argmin(np.abs(np.linalg.det(acting))))
        raise StructureError(f"no field acts on site {site} of the labels, so that nothing is known of its response")
    local = screened @ np.linalg.inv(acting)
    return np.asarray(0.5 * (local + np.swapaxes(local, 1, 2)))
