"""Along temperature: G(T)/T = G(T0)/T0 − ∫ ⟨H⟩/T² dT from T0 to T, the equation of Gibbs and Helmholtz.

At constant pressure H is the enthalpy; at constant volume it is the energy, and A takes the place of G (B. Cheng,
M. Ceriotti, Phys. Rev. B 97, 054102 (2018)).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .errors import SamplingError

HIGHEST_DEGREE = 3  # of the polynomial in T that ⟨H⟩ is taken for
POINTS = 32  # of Gauss and Legendre between two temperatures; ⟨H⟩/T² is smooth


@dataclass(frozen=True)
class TemperatureIntegration:
    """Free energies along temperature over what is known at one of them, in eV of all atoms.

    Parameters
    ----------
    temperatures : ndarray of float64, shape (runs,)
        In K, increasing.
    start : float
        T0 in K, one of them.
    differences, standard_errors : ndarray of float64, shape (runs,)
        G(T) − (T/T0) G(T0), zero at T0.
    rule_changes : ndarray of float64, shape (runs,)
        By how much differences change with a polynomial of one degree less: what the rule may be wrong by.
    degree : int
        Of the polynomial.
    """

    temperatures: np.ndarray
    start: float
    differences: np.ndarray
    standard_errors: np.ndarray
    rule_changes: np.ndarray
    degree: int


def integrate_over_temperature(
    temperatures: np.ndarray, enthalpies: np.ndarray, standard_errors: np.ndarray, start: float
) -> TemperatureIntegration:
    """Integrate ⟨H⟩/T², where ⟨H⟩ is a polynomial in T of degree up to 3 through, or near to, all means.

    Parameters
    ----------
    temperatures : ndarray of float64, shape (runs,)
        In K, different from each other, at least two.
    enthalpies, standard_errors : ndarray of float64, shape (runs,)
        ⟨H⟩ in eV; errors are above 0 and independent.
    start : float
        T0 in K, one of the temperatures.

    Raises
    ------
    SamplingError
        If numbers do not belong together.
    """
    temperatures, means, errors = (
        np.asarray(own, dtype=np.float64) for own in (temperatures, enthalpies, standard_errors)
    )
    if temperatures.ndim != 1 or len(temperatures) < 2 or not temperatures.shape == means.shape == errors.shape:
        raise SamplingError(
            f"temperatures have the shape {temperatures.shape}, means {means.shape}; (runs,) is needed for both, at "
            "least two"
        )
    if not (np.isfinite(means).all() and np.isfinite(errors).all() and (errors > 0).all() and (temperatures > 0).all()):
        raise SamplingError("means must be finite, and their errors and temperatures above 0")
    order = np.argsort(temperatures)
    temperatures, means, errors = temperatures[order], means[order], errors[order]
    if (np.diff(temperatures) <= 0).any() or start not in temperatures:
        raise SamplingError(f"temperatures are {temperatures.tolist()} K; each once is needed, {start:g} K among them")
    degree = min(len(temperatures) - 1, HIGHEST_DEGREE)
    weights = _weights(temperatures, errors, start, degree)
    differences = weights @ means
    fewer = _weights(temperatures, errors, start, degree - 1) @ means
    return TemperatureIntegration(
        temperatures=temperatures,
        start=start,
        differences=differences,
        standard_errors=np.sqrt(np.square(weights * errors).sum(axis=1)),
        rule_changes=np.abs(differences - fewer),
        degree=degree,
    )


def _weights(temperatures: np.ndarray, errors: np.ndarray, start: float, degree: int) -> np.ndarray:
    """What each mean contributes to −T ∫ ⟨H⟩/T² dT at each temperature, shape (temperatures, means)."""
    middle, scale = temperatures.mean(), np.ptp(temperatures) / 2
    powers = np.arange(degree + 1)
    design = ((temperatures - middle) / scale)[:, None] ** powers
    fit = np.linalg.pinv(design / errors[:, None]) / errors
    places, of_rule = np.polynomial.legendre.leggauss(POINTS)
    half = (temperatures - start) / 2
    at = half[:, None] * places + (temperatures + start)[:, None] / 2  # (temperatures, points)
    terms = ((at - middle) / scale)[..., None] ** powers / np.square(at)[..., None]
    integrals = half[:, None] * np.einsum("tpk,p->tk", terms, of_rule)
    return np.asarray(-temperatures[:, None] * integrals @ fit)
