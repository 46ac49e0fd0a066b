"""The magnetic shielding of every nucleus: λ = 0, 2 and an axial λ = 1, nine numbers in ppm; and what is made of it.

The shielding σ says how the electrons weaken a magnetic field at a nucleus, B(1 − σ): σ_ab = ∂²E/∂B_a∂μ_b, which is not
symmetric (Mauri, Pfrommer, Louie, Phys. Rev. Lett. 77, 5300 (1996)).  Its antisymmetric part is a pseudovector.

Haeberlen's numbers: U. Haeberlen, High Resolution NMR in Solids, Advances in Magnetic Resonance, Supplement 1 (1976).
Herzfeld's and Berger's: J. Chem. Phys. 73, 6021 (1980), as in the convention of Maryland; what all of them are called:
R. K. Harris et al., IUPAC Recommendations 2008, Pure Appl. Chem. 80, 59 (2008).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..quantity import Quantity, Unit
from .forms import SCALAR, TENSOR

PPM = Unit(plain="ppm")
QUANTITY = Quantity(
    name="shielding",
    form=TENSOR,
    unit=PPM,
    per="atom",
    aliases=("nmr_shielding", "shielding_tensor", "magnetic_shielding"),
)
SHIFT = Quantity(name="chemical_shift", form=SCALAR, unit=PPM, per="atom", aliases=("shift", "nmr_shift"))


@dataclass(frozen=True)
class PrincipalValues:
    """What the symmetric part of shielding tensors (…, 3, 3) is told by; every field has the shape (…).

    Parameters
    ----------
    isotropic : ndarray of float64
        σ_iso = Tr σ/3, in ppm.
    lowest, middle, highest : ndarray of float64
        Eigenvalues σ_11 ≤ σ_22 ≤ σ_33 of the symmetric part, in ppm.
    reduced_anisotropy : ndarray of float64
        Haeberlen's Δ = σ_zz − σ_iso, in ppm, where |σ_zz − σ_iso| ≥ |σ_xx − σ_iso| ≥ |σ_yy − σ_iso|.
    asymmetry : ndarray of float64
        Haeberlen's η = (σ_yy − σ_xx)/Δ, from 0 to 1; 0 of a tensor without anisotropy, for which it means nothing.
    span : ndarray of float64
        Ω = σ_33 − σ_11, in ppm.
    skew : ndarray of float64
        κ = 3 (σ_iso − σ_22)/Ω, from −1 to 1; 0 of a tensor without anisotropy.
    """

    isotropic: np.ndarray
    lowest: np.ndarray
    middle: np.ndarray
    highest: np.ndarray
    reduced_anisotropy: np.ndarray
    asymmetry: np.ndarray
    span: np.ndarray
    skew: np.ndarray


def isotropic_value(tensors: np.ndarray) -> np.ndarray:
    """A third of the trace of tensors (…, 3, 3)."""
    return np.trace(tensors, axis1=-2, axis2=-1) / 3


def principal_values(tensors: np.ndarray) -> PrincipalValues:
    """Haeberlen's and Herzfeld's and Berger's numbers of tensors.

    They are no linear functions: of a mean tensor they are not the means of those of its samples, whose spans are too
    large, as fluctuations open every span.

    Parameters
    ----------
    tensors : ndarray of float64, shape (…, 3, 3)
        In ppm; what is not finite gives NaN.

    Returns
    -------
    PrincipalValues
    """
    tensors = np.asarray(tensors, dtype=np.float64)
    is_known = np.isfinite(tensors).all(axis=(-2, -1))
    symmetric = np.where(is_known[..., None, None], 0.5 * (tensors + np.swapaxes(tensors, -1, -2)), 0.0)
    eigenvalues = np.where(is_known[..., None], np.linalg.eigvalsh(symmetric), np.nan)
    isotropic = eigenvalues.mean(axis=-1)
    away = eigenvalues - isotropic[..., None]
    order = np.argsort(np.abs(away), axis=-1, kind="stable")
    smallest, between, largest = (np.take_along_axis(away, order[..., k : k + 1], -1)[..., 0] for k in range(3))
    span = eigenvalues[..., 2] - eigenvalues[..., 0]
    return PrincipalValues(
        isotropic=isotropic,
        lowest=eigenvalues[..., 0],
        middle=eigenvalues[..., 1],
        highest=eigenvalues[..., 2],
        reduced_anisotropy=largest,
        asymmetry=_ratio(smallest - between, largest),
        span=span,
        skew=_ratio(-3 * away[..., 1], span),
    )


def chemical_shift(isotropic: np.ndarray, reference: float | np.ndarray) -> np.ndarray:
    """δ = σ_ref − σ in ppm, of shieldings in ppm, where σ_ref is small against 10⁶ ppm (Harris et al. 2008).

    Parameters
    ----------
    isotropic : ndarray of float64
        σ_iso.
    reference : float or ndarray of float64
        σ_ref of the nucleus in the reference compound, computed at the level of the labels.
    """
    return reference - isotropic


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Their ratio; 0 where `below` is 0, NaN where it is not known."""
    return np.divide(above, np.where(below == 0, 1.0, below)) * (below != 0)
