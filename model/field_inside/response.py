"""What local polarizabilities and dipoles become when all of them act on each other."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
from scipy import linalg

from ..errors import StructureError
from .interaction import DipoleInteraction

LARGEST_DENSE = 400  # sites, above which the equations are solved step by step
TOLERANCE = 1e-12  # of such a solution, relative
MOST_STEPS = 500


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
        self.local = 0.5 * (local + np.swapaxes(local, 1, 2))
        self.dipoles = dipoles
        lowest = np.linalg.eigvalsh(self.local)[:, 0] if len(local) else np.ones(1)
        if not (lowest > 0).all():
            site = int(np.argmin(lowest))
            raise StructureError(
                f"local polarizability of site {site} has the eigenvalue {lowest[site]:.4g} Å³; all must be positive"
            )
        self.inverse = np.linalg.inv(self.local)
        self._solve()

    def _solve(self) -> None:
        """X for the three directions of the field, and the dipoles p that m makes of all."""
        sites = self.interaction.sites
        right = np.tile(np.eye(3), (sites, 1, 1))
        if self.dipoles is not None:
            right = np.concatenate([right, self.inverse @ self.dipoles[:, :, None]], axis=2)
        solve = self._solve_dense if sites <= LARGEST_DENSE else self._solve_by_steps
        found = solve(right)
        self.parts = found[:, :, :3]
        self.all_dipoles = found[:, :, 3] if self.dipoles is not None else None

    def _solve_dense(self, right: np.ndarray) -> np.ndarray:
        sites = self.interaction.sites
        matrix = self.interaction.dense().reshape(sites, 3, sites, 3)
        own = np.arange(sites)
        matrix[own, :, own, :] += self.inverse
        try:
            found = linalg.solve(matrix.reshape(3 * sites, 3 * sites), right.reshape(3 * sites, -1), assume_a="pos")
        except linalg.LinAlgError:
            raise StructureError(self._diverges()) from None
        return np.asarray(found).reshape(right.shape)

    def _solve_by_steps(self, right: np.ndarray) -> np.ndarray:
        """Conjugate gradients with a⁻¹ as the first guess of the matrix, all columns together."""
        found = self.local @ right
        rest = right - self._times(found)
        ahead = self.local @ rest
        direction = ahead
        size = np.einsum("iam,iam->m", rest, ahead)
        enough = TOLERANCE**2 * np.einsum("iam,iam->m", right, self.local @ right)
        for _ in range(MOST_STEPS):
            if (size <= enough).all():
                return found
            image = self._times(direction)
            curvature = np.einsum("iam,iam->m", direction, image)
            if (curvature[size > enough] <= 0).any():
                break
            step = np.divide(size, curvature, out=np.zeros_like(size), where=size > enough)
            found = found + step * direction
            rest = rest - step * image
            ahead = self.local @ rest
            size, before = np.einsum("iam,iam->m", rest, ahead), size
            direction = ahead + np.divide(size, before, out=np.zeros_like(size), where=before > 0) * direction
        raise StructureError(self._diverges())

    def _times(self, vectors: np.ndarray) -> np.ndarray:
        return self.inverse @ vectors + self.interaction.apply(vectors)

    def _diverges(self) -> str:
        mean = float(np.trace(self.local.mean(axis=0)) / 3)
        return (
            f"local polarizabilities of {mean:.4g} Å³ on average are so large, or so near to each other, that the "
            "polarizability diverges; smaller ones are needed, or a longer damping"
        )

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
        pairs = [(c, d) for c in range(3) for d in range(c, 3)]
        left, right = (self.parts[:, :, [pair[side] for pair in pairs]] for side in (0, 1))
        gradients, strains = self.interaction.derivatives(left, right)
        by_position, by_strain = np.zeros((self.interaction.sites, 3, 3, 3)), np.zeros((3, 3, 3, 3))
        for number, (c, d) in enumerate(pairs):
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
