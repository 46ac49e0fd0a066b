"""Electrons at a temperature: free energy, entropy and heat capacity of levels with weights.

N. D. Mermin, Phys. Rev. 137, A1441 (1965): with f = 1/(1 + e^β(ε − μ)) and N = Σ w f, which fixes μ,

    A = μN − kT Σ w ln(1 + e^−β(ε − μ)) = U − TS,   U = Σ w f ε,   S = −k Σ w [f ln f + (1 − f) ln(1 − f)]

and dA/dε_j = w_j f_j, dA/dT = −S.  At constant N the heat capacity is dU/dT = kβ² Σ q (ε − ε̄)² with q = w f (1 − f) and
ε̄ = Σ qε / Σ q: the chemical potential moves with the temperature.  A curve g(E) on a grid of spacing h is levels with
the weights g h.  All energies are in eV, temperatures in K, entropies and heat capacities in k.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import entr, expit, ndtr

from ..errors import BeadwiseError

BOLTZMANN = 8.617333262e-5  # eV/K
BISECTIONS = 200  # halve any interval of doubles to its last bit


class ElectronError(BeadwiseError, ValueError):
    """Electrons that do not fit into the levels, or a temperature that is none."""


@dataclass(frozen=True)
class Electrons:
    """What electrons in levels have at a temperature.

    Parameters
    ----------
    chemical_potential, free_energy, energy : float
        μ, A = U − TS and U in eV, on the scale of the levels.
    entropy, heat_capacity : float
        S and C at constant number of electrons, in k.
    density : float
        Σ w (−f'), the density of states at μ in the thermal window, in 1/eV.
    """

    chemical_potential: float
    free_energy: float
    energy: float
    entropy: float
    heat_capacity: float
    density: float


def electrons_of_levels(levels: np.ndarray, weights: np.ndarray, electrons: float, temperature: float) -> Electrons:
    """Fill levels with electrons at a temperature.

    Parameters
    ----------
    levels : ndarray of float64
        ε in eV, of any shape.
    weights : ndarray of float64
        Electrons that each of them holds, spin included; of a shape that goes with that of the levels.
    electrons : float
        N.
    temperature : float
        In K.

    Raises
    ------
    ElectronError
        If the temperature is not above 0, or there are not more than 0 electrons and fewer than the levels hold.
    """
    check_temperature(temperature)
    levels, weights = (one.ravel() for one in np.broadcast_arrays(*map(np.asarray, (levels, weights))))
    mu, beta = chemical_potential(levels, weights, electrons, temperature), 1 / (BOLTZMANN * temperature)
    x = beta * (levels - mu)
    occupied, empty = expit(-x), expit(x)
    free_energy = mu * electrons - np.sum(weights * np.logaddexp(0, -x)) / beta
    entropy = entropy_of(occupied, empty, weights)
    active = weights * occupied * empty
    centre = np.sum(active * levels) / active.sum() if active.any() else mu
    heat_capacity = beta**2 * np.sum(active * (levels - centre) ** 2)
    energy = np.sum(weights * occupied * levels)
    numbers = (mu, free_energy, energy, entropy, heat_capacity, beta * active.sum())
    return Electrons(*map(float, numbers))


def entropy_of(occupied: np.ndarray, empty: np.ndarray, weights: np.ndarray | float) -> np.ndarray:
    """S = −Σ w [f ln f + (1 − f) ln(1 − f)] in k, over the last axis.

    Parameters
    ----------
    occupied, empty : ndarray of float64, shape (…, levels)
        f and 1 − f, of which no digits should be lost where they are small.
    weights : ndarray of float64 or float
    """
    return np.asarray((weights * (entr(occupied) + entr(empty))).sum(axis=-1))


def chemical_potential(levels: np.ndarray, weights: np.ndarray, electrons: float, temperature: float) -> float:
    """μ in eV at which levels hold so many electrons, by bisection.

    Raises
    ------
    ElectronError
        As `electrons_of_levels`.
    """
    total = float(np.sum(weights))
    if not 0 < electrons < total:
        raise ElectronError(f"{electrons:g} electrons in levels that hold {total:g}; more than 0 and fewer are needed")
    width = 50 * BOLTZMANN * temperature
    low, high = float(levels.min()) - width, float(levels.max()) + width
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        if not low < middle < high:
            break
        if np.sum(weights * expit((middle - levels) / (BOLTZMANN * temperature))) < electrons:
            low = middle
        else:
            high = middle
    return middle


def check_temperature(temperature: float) -> None:
    """Refuse an electronic temperature that is none.

    Raises
    ------
    ElectronError
        If it is not a finite number above 0.
    """
    if not 0 < temperature < np.inf:
        raise ElectronError(f"electronic temperature {temperature:g} K; a finite number above 0 is needed")


def smeared(levels: np.ndarray, weights: np.ndarray, energies: np.ndarray, width: float) -> np.ndarray:
    """Density of states Σ w G(E − ε) of levels with a Gaussian of a standard deviation, in 1/eV.

    On a grid of spacing h ≤ width/2 that goes 7 widths beyond the levels on both sides, its sum times h is Σw to 1e-12.

    Parameters
    ----------
    levels, weights : ndarray of float64, shape (levels,)
    energies : ndarray of float64, shape (points,)
        In eV.
    width : float
        In eV.
    """
    x = (energies[:, None] - levels) / width
    return (np.exp(-0.5 * x**2) @ weights) / (np.sqrt(2 * np.pi) * width)


def electrons_below(levels: np.ndarray, weights: np.ndarray, energy: float, width: float) -> float:
    """What smeared levels hold below an energy: Σ w ½[1 + erf((E − ε)/√2 width)]."""
    return float(np.sum(weights * ndtr((energy - levels) / width)))


def smearing_bias(density: np.ndarray | float, width: float) -> np.ndarray | float:
    """What smearing adds to a free energy, to second order in the width: −(width²/2) ∫ g (−f') dE, in eV.

    It follows from φ'' = f' of the grand potential's kernel φ, which smearing averages.

    Parameters
    ----------
    density : ndarray of float64 or float
        Density of states at μ in the thermal window, in 1/eV.
    width : float
        In eV.
    """
    return -0.5 * width**2 * density
