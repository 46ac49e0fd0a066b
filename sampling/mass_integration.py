"""From classical to quantum free energies by integration over the mass.

A_q − A_cl = ∫_0^1 (2/y) [T_CV(m/y²) − 3N/2β] dy, where y is the square root of the mass over that of a run. It follows
from dA/dm = −T/m, as A_q − A_cl is zero for infinite masses, and the step to y makes the integrand smooth (Ceriotti,
Markland, J. Chem. Phys. 138, 014112 (2013)). The masses of all atoms are scaled alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from ase.units import kB

from .errors import SamplingError

AT_A_NODE = 1e-4  # masses in inputs are rounded, and tables of atomic weights differ by 6e-5


@dataclass(frozen=True)
class MassIntegration:
    """A_q − A_cl of all atoms, in eV.

    Parameters
    ----------
    difference, standard_error : float
        The error is that of the samples, not of the rule; not a number where none was given.
    root_mass_ratios : ndarray of float64, shape (runs,)
        y, increasing.
    integrand : ndarray of float64, shape (runs,)
        (2/y) [T_CV − 3N/2β] at these y, in eV.
    weights : ndarray of float64, shape (runs,)
        Of the integrand in the difference.
    rule : str
    """

    difference: float
    standard_error: float
    root_mass_ratios: np.ndarray
    integrand: np.ndarray
    weights: np.ndarray
    rule: str


def gauss_legendre_ratios(runs: int) -> tuple[np.ndarray, np.ndarray]:
    """The y that so many runs should have, and their weights, for the Gauss–Legendre rule on 0 < y < 1.

    The masses of the runs are m/y². As the integrand is smooth, few are needed: for an oscillator of 3700 cm⁻¹ at 300 K
    4 runs give A_q − A_cl to 5·10⁻⁴ of itself, 6 to 2·10⁻⁵.

    Parameters
    ----------
    runs : int

    Returns
    -------
    root_mass_ratios, weights : ndarray of float64, shape (runs,)
        y, increasing.

    Raises
    ------
    SamplingError
        If there is no run.
    """
    if runs < 1:
        raise SamplingError(f"{runs} runs were asked for; at least one is needed")
    nodes, weights = np.polynomial.legendre.leggauss(runs)
    return (nodes + 1) / 2, weights / 2


def fitting_rule(root_mass_ratios: np.ndarray) -> Literal["gauss-legendre", "trapezoidal"]:
    """The rule that suits the y of some runs: Gauss–Legendre where they are its nodes, else the trapezoidal one.

    Parameters
    ----------
    root_mass_ratios : ndarray of float64, shape (runs,)
        In any order.

    Raises
    ------
    SamplingError
        If neither does: they are not the nodes of their number, and the largest is not 1.
    """
    ratios = np.sort(np.asarray(root_mass_ratios, dtype=np.float64))
    nodes, _ = gauss_legendre_ratios(len(ratios))
    if np.abs(ratios - nodes).max() <= AT_A_NODE:
        return "gauss-legendre"
    if abs(ratios[-1] - 1) <= AT_A_NODE:
        return "trapezoidal"
    wanted = f"the nodes of {len(ratios)} runs are {np.round(nodes, 6).tolist()}"
    raise SamplingError(f"y are {np.round(ratios, 6).tolist()}; {wanted}, and the trapezoidal rule needs y = 1")


def integrate_over_mass(
    root_mass_ratios: np.ndarray,
    kinetic_energies: np.ndarray,
    atoms: int,
    temperature: float,
    standard_errors: np.ndarray | None = None,
    rule: Literal["gauss-legendre", "trapezoidal"] = "gauss-legendre",
) -> MassIntegration:
    """A_q − A_cl from mean kinetic energies of runs with larger masses.

    The trapezoidal rule takes any y, the largest of which is 1, and adds a point at y = 0, where the integrand is
    zero: the lowest quantum correction of the kinetic energy is proportional to one over the mass, thus to y²
    (Wigner, Phys. Rev. 40, 749 (1932)), and the integrand to y. No run near y = 0 is needed, whose integrand would be
    noise over y. Its error is of the second order in the largest distance of neighbours.

    Parameters
    ----------
    root_mass_ratios : ndarray of float64, shape (runs,)
        y of each run, 0 < y ≤ 1, in any order. For the Gauss–Legendre rule those of ``gauss_legendre_ratios``.
    kinetic_energies : ndarray of float64, shape (runs,)
        Mean centroid-virial kinetic energy of all atoms, in eV.
    atoms : int
        N.
    temperature : float
        In K.
    standard_errors : ndarray of float64, shape (runs,), optional
        Of the kinetic energies, in eV; runs are independent of each other.
    rule : "gauss-legendre" or "trapezoidal"

    Raises
    ------
    SamplingError
        If numbers are not finite or do not belong together, y repeats or is outside, or does not suit the rule.
    """
    ratios, kinetic_energies = (np.asarray(a, dtype=np.float64) for a in (root_mass_ratios, kinetic_energies))
    _check(ratios, kinetic_energies, atoms)
    errors = np.full(len(ratios), np.nan)
    if standard_errors is not None:
        errors = np.asarray(standard_errors, dtype=np.float64)
        if errors.shape != ratios.shape or not (np.isfinite(errors) & (errors >= 0)).all():
            given = f"standard errors of {len(ratios)} runs are {errors.tolist()}"
            raise SamplingError(f"{given}; each run needs one, finite and not negative")
    order = np.argsort(ratios)
    ratios, kinetic_energies, errors = ratios[order], kinetic_energies[order], errors[order]
    if rule == "gauss-legendre":
        weights = _gauss_legendre_weights(ratios)
    elif rule == "trapezoidal":
        weights = _trapezoidal_weights(ratios)
    else:
        raise SamplingError(f"the rule is {rule!r}; it must be 'gauss-legendre' or 'trapezoidal'")
    factors = 2 / ratios
    integrand = factors * (kinetic_energies - classical_kinetic_energy(atoms, temperature))
    return MassIntegration(
        difference=float(weights @ integrand),
        standard_error=float(np.linalg.norm(weights * factors * errors)),
        root_mass_ratios=ratios,
        integrand=integrand,
        weights=weights,
        rule=rule,
    )


def centroid_virial_kinetic_energy(positions: np.ndarray, forces: np.ndarray, temperature: float) -> np.ndarray:
    """T_CV = 3N/2β + (1/2P) Σ_k (q_k − q̄)·∂V/∂q_k, q̄ the centroid (Cao, Berne, J. Chem. Phys. 91, 6359 (1989)).

    Parameters
    ----------
    positions : ndarray of float64, shape (samples, beads, atoms, 3)
        In Å, the beads of an atom together, not folded into a cell one by one.
    forces : ndarray of float64, shape (samples, beads, atoms, 3)
        −∂V/∂q_k of every bead, in eV/Å, not divided by P.
    temperature : float
        In K.

    Returns
    -------
    ndarray of float64, shape (samples,)
        Of all atoms, in eV; 3N/2β whether or not the centre of mass is held, as in i-PI.

    Raises
    ------
    SamplingError
        If the shapes do not belong together, or a number is not finite.
    """
    positions, forces = check_beads(positions, forces)
    _, beads, atoms, _ = positions.shape
    from_centroid = positions - positions.mean(axis=1, keepdims=True)
    virial = -np.einsum("skna,skna->s", from_centroid, forces)
    return classical_kinetic_energy(atoms, temperature) + virial / (2 * beads)


def check_beads(positions: np.ndarray, forces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions and forces of all beads as numbers in double precision, shape (samples, beads, atoms, 3).

    Raises
    ------
    SamplingError
        If the shapes do not belong together, or a number is not finite.
    """
    positions, forces = np.asarray(positions, dtype=np.float64), np.asarray(forces, dtype=np.float64)
    if positions.ndim != 4 or positions.shape[3] != 3 or not positions.size or forces.shape != positions.shape:
        given = f"positions have the shape {positions.shape} and forces {forces.shape}"
        raise SamplingError(f"{given}; (samples, beads, atoms, 3) is needed for both, at least one of each")
    if not (np.isfinite(positions).all() and np.isfinite(forces).all()):
        raise SamplingError("positions or forces are not finite; all must be")
    return positions, forces


def classical_kinetic_energy(atoms: int, temperature: float) -> float:
    """3N/2β in eV."""
    if not (np.isfinite(temperature) and temperature > 0):
        raise SamplingError(f"the temperature is {temperature} K; it must be positive")
    return 1.5 * atoms * kB * temperature


def _check(ratios: np.ndarray, kinetic_energies: np.ndarray, atoms: int) -> None:
    """Refuse runs that cannot be integrated over."""
    if ratios.ndim != 1 or not ratios.size or kinetic_energies.shape != ratios.shape:
        given = f"y have the shape {ratios.shape} and kinetic energies {kinetic_energies.shape}"
        raise SamplingError(f"{given}; (runs,) is needed for both, at least one")
    if not ((ratios > 0) & (ratios <= 1)).all() or len(np.unique(ratios)) < len(ratios):
        raise SamplingError(f"y are {ratios.tolist()}; they must differ from each other, with 0 < y ≤ 1")
    if not np.isfinite(kinetic_energies).all():
        raise SamplingError(f"kinetic energies are {kinetic_energies.tolist()}; all must be finite")
    if atoms < 1:
        raise SamplingError(f"there are {atoms} atoms; at least one is needed")


def _gauss_legendre_weights(ratios: np.ndarray) -> np.ndarray:
    """Weights of increasing y that are the nodes of their number."""
    nodes, weights = gauss_legendre_ratios(len(ratios))
    if np.abs(ratios - nodes).max() > AT_A_NODE:
        wanted = f"the nodes of {len(ratios)} runs are {np.round(nodes, 6).tolist()}, or use the trapezoidal rule"
        raise SamplingError(f"y are {ratios.tolist()}; {wanted}")
    return weights


def _trapezoidal_weights(ratios: np.ndarray) -> np.ndarray:
    """Weights of increasing y up to 1; the point at y = 0 has no integrand."""
    if not np.isclose(ratios[-1], 1, rtol=0, atol=AT_A_NODE):
        raise SamplingError(f"the largest y is {ratios[-1]:g}; the trapezoidal rule needs a run of the mass itself, 1")
    points = np.array([0.0, *ratios])
    return np.array([*(points[2:] - points[:-2]), points[-1] - points[-2]]) / 2
