"""What a heavier isotope changes, from beads that are scaled about their centroid.

For one atom of mass m that becomes αm, ``Z(αm)/Z(m) α^(−3/2) = ⟨exp(−h)⟩`` with
``h = (β/P) Σ_k [V(q̄ + (q_k − q̄)/√α) − V(q_k)]`` over the beads q_k of that atom and their centroid q̄ (M. Ceriotti,
T. E. Markland, J. Chem. Phys. 138, 014112 (2013)).  α^(3/2) is the ratio of the classical momenta, the same in all
phases, so that differences of ln ⟨exp(−h)⟩ between phases are logarithms of fractionation ratios.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from .errors import SamplingError
from .jackknife import blocks_of, error_without_blocks
from .promotion import FEWEST_EFFECTIVE, WIDEST_SPREAD

FEWEST_SAMPLES = 8
BLOCKS = 16


@dataclass(frozen=True)
class IsotopeRatio:
    """ln of Z(αm)/Z(m) α^(−3/2) for one atom, averaged over atoms.

    Parameters
    ----------
    logarithm, standard_error : float
    spread : float
        Standard deviation of h.
    samples, atoms : int
    warnings : tuple of str
    """

    logarithm: float
    standard_error: float
    spread: float
    samples: int
    atoms: int
    warnings: tuple[str, ...]

    @property
    def ratio(self) -> float:
        """⟨exp(−h)⟩."""
        return float(np.exp(self.logarithm))


def scaled_beads(positions: np.ndarray, atom: int, ratio: float) -> np.ndarray:
    """Beads in which those of one atom are drawn towards their centroid by 1/√α.

    Parameters
    ----------
    positions : ndarray of float64, shape (beads, atoms, 3)
    atom : int
    ratio : float
        α.

    Returns
    -------
    ndarray of float64, shape (beads, atoms, 3)
    """
    scaled = positions.copy()
    centroid = positions[:, atom].mean(axis=0)
    scaled[:, atom] = centroid + (positions[:, atom] - centroid) / np.sqrt(ratio)
    return scaled


def isotope_ratio(exponents: np.ndarray) -> IsotopeRatio:
    """The ratio from h of every sample and atom.

    Parameters
    ----------
    exponents : ndarray of float64, shape (samples, atoms)
        h, in the order of time.  Atoms are alike, and their averages of exp(−h) are averaged.

    Raises
    ------
    SamplingError
        If the shape is another one, samples are fewer than 8, or a number is not finite.
    """
    exponents = np.asarray(exponents, dtype=np.float64)
    if exponents.ndim != 2 or exponents.shape[0] < FEWEST_SAMPLES or not exponents.shape[1]:
        raise SamplingError(f"h has the shape {exponents.shape}; (samples, atoms) is needed, at least {FEWEST_SAMPLES}")
    if not np.isfinite(exponents).all():
        raise SamplingError("h is not finite; the potential cannot answer for scaled beads")
    samples = len(exponents)
    blocks = min(BLOCKS, samples)
    error = error_without_blocks(lambda kept: _logarithm(exponents[kept]), blocks_of(samples, blocks))
    weights = np.exp(-(exponents - exponents.min()))
    worth = float(weights.sum() ** 2 / np.square(weights).sum())
    spread = float(exponents.std())
    warnings = []
    if spread > WIDEST_SPREAD:
        warnings.append(f"the spread of h is {spread:.3g}, more than {WIDEST_SPREAD:g}: the average rests on rare ones")
    if worth < FEWEST_EFFECTIVE:
        warnings.append(
            f"{exponents.size} values of h are worth {worth:.3g} of equal weight, less than {FEWEST_EFFECTIVE}: more "
            "are needed"
        )
    return IsotopeRatio(
        logarithm=_logarithm(exponents),
        standard_error=error,
        spread=spread,
        samples=samples,
        atoms=exponents.shape[1],
        warnings=tuple(warnings),
    )


def _logarithm(exponents: np.ndarray) -> float:
    return float(scipy.special.logsumexp(-exponents) - np.log(exponents.size))
