"""Curves of energies that a model makes of few numbers: an axis, and a basis of curves on it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..quantity import Form, Irrep
from ..short_repr import short_repr

TOLERANCE = 1e-8  # of the basis, which is orthonormal


@dataclass(frozen=True, repr=False)
class EnergyCurves:
    """An axis of energies, and the orthonormal curves on it whose coefficients a model adds up over atoms.

    A curve is Σ_k c_k b_k(E): linear in the coefficients, so that heads that give them give the curve, and the basis is
    what few coefficients say best of the curves of the training (principal components, without their mean taken away).

    Parameters
    ----------
    first, step : float
        First energy and spacing, in eV.
    basis : ndarray of float64, shape (channels, points)
        Rows are orthonormal.
    smearing : float
        Standard deviation in eV of the Gaussian that the labels are smeared with; 0 where nothing is said.
    electrons : tuple of float
        Of an atom of each species, in the energies of the axis; empty where they are not known.
    free_zero : bool
        Whether the zero of energy is that which the labels were shifted to, so that another label may be shifted, too.

    Raises
    ------
    ValueError
        If numbers are not finite, the step is not positive, or the basis is not orthonormal.
    """

    first: float
    step: float
    basis: np.ndarray
    smearing: float = 0.0
    electrons: tuple[float, ...] = ()
    free_zero: bool = True

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if not (np.isfinite(self.first) and 0 < self.step < np.inf and 0 <= self.smearing < np.inf):
            raise ValueError(
                f"an axis from {self.first} eV in steps of {self.step} eV with a smearing of {self.smearing} eV; "
                "finite numbers are needed, a step above 0 and no negative smearing"
            )
        if self.basis.ndim != 2 or not np.isfinite(self.basis).all():
            raise ValueError(f"a basis of curves of the shape {self.basis.shape}; finite rows of curves are needed")
        product = self.basis @ self.basis.T
        if np.abs(product - np.eye(len(self.basis))).max() > TOLERANCE:
            raise ValueError("curves of a basis are not orthonormal")
        if not all(0 <= own < np.inf for own in self.electrons):
            raise ValueError(
                f"{list(self.electrons)} electrons of the species; finite numbers, not below 0, are needed"
            )

    @property
    def points(self) -> int:
        """Number of energies."""
        return self.basis.shape[1]

    @property
    def channels(self) -> int:
        """Number of coefficients."""
        return self.basis.shape[0]

    @cached_property
    def energies(self) -> np.ndarray:
        """In eV, shape (points,)."""
        return self.first + self.step * np.arange(self.points)

    @cached_property
    def form(self) -> Form:
        """From coefficients to curves, and back."""
        irreps = (Irrep(0, count=self.channels),)
        return Form(irreps, (self.points,), lambda own: own @ self.basis, lambda curve: curve @ self.basis.T)
