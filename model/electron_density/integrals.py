"""Integrals between two Gaussian functions of density on atoms: their overlap S, and their Coulomb repulsion J.

In Fourier space both are closed: with the transforms (−i)^l g(k) Y_lm of both functions and the expansion of a plane
wave in spherical waves,

    S = (2π)⁻³ Σ_λμ 4π (−1)^((l1−l2−λ)/2) G(l1 m1, l2 m2, λμ) Y_λμ(R/R) ∫ g1 g2 j_λ(kR) k² dk,

G the Gaunt integrals, and J has 4π/k² beside; the radial integrals of Gaussians are Laguerre polynomials (I. S.
Gradshteyn, I. M. Ryzhik, Table of Integrals, 6.631.10) and, for n = 0 of J, the function of Boys (S. F. Boys, Proc. R.
Soc. A 200, 542 (1950)).  Everything is in atomic units.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import factorial
from typing import Literal, get_args

import numpy as np
from scipy.special import eval_genlaguerre, gamma, gammainc

from ...pyx.coupling import gaunt_integrals, real_harmonics
from .basis import AuxiliaryBasis, Functions

Metric = Literal["coulomb", "overlap"]
METRICS: tuple[Metric, ...] = get_args(Metric)
TINY = 1e-14
_gaunt = cache(gaunt_integrals)


def boys(order: int, t: np.ndarray) -> np.ndarray:
    """F_m(t) = ∫_0^1 u^(2m) exp(−t u²) du = γ(m + ½, t) / (2 t^(m+½))."""
    half = order + 0.5
    safe = np.maximum(t, TINY)
    series = 1 / (2 * order + 1) - t / (2 * order + 3)
    return np.where(t > TINY, 0.5 * gamma(half) * gammainc(half, safe) / safe**half, series)


def radial_integral(metric: Metric, order: int, steps: int, widths: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """∫_0^∞ k^(2+λ+2n) [4π/k²] exp(−s k²) j_λ(kR) dk / R^λ.

    Parameters
    ----------
    metric : str
        ``coulomb`` has the factor in brackets.
    order, steps : int
        λ and n.
    widths : ndarray of float64
        s in bohr².
    squares : ndarray of float64
        R² in bohr².

    Returns
    -------
    ndarray of float64
        √π/4 n! 2^(−λ) s^(−3/2−λ−n) exp(−t) L_n^(λ+½)(t) with t = R²/4s for an overlap; for J the same with n − 1, and
        √π/2 2^(−λ) s^(−½−λ) F_λ(t) for n = 0.
    """
    t = squares / (4 * widths)
    factor = 1.0
    if metric == "coulomb":
        factor = 4 * np.pi
        steps -= 1
    if steps < 0:
        return factor * np.sqrt(np.pi) / 2 * 0.5**order * widths ** (-0.5 - order) * boys(order, t)
    laguerre = eval_genlaguerre(steps, order + 0.5, t)
    scale = factor * np.sqrt(np.pi) / 4 * factorial(steps) * 0.5**order
    return scale * widths ** (-1.5 - order - steps) * np.exp(-t) * laguerre


def metric_matrix(basis: AuxiliaryBasis, numbers: np.ndarray, positions: np.ndarray, metric: Metric) -> np.ndarray:
    """S or J of all functions of a molecule.

    Parameters
    ----------
    basis : AuxiliaryBasis
    numbers : ndarray of int, shape (atoms,)
    positions : ndarray of float64, shape (beads, atoms, 3)
        In bohr.
    metric : str
        ``coulomb`` or ``overlap``.

    Returns
    -------
    ndarray of float64, shape (beads, functions, functions)
        Symmetric, in the order of `Functions`.
    """
    functions = Functions(basis, numbers)
    found = np.zeros((len(positions), functions.count, functions.count))
    between = Between.of(positions, 2 * basis.highest)
    kinds = [
        (number, momentum) for number in np.unique(numbers).tolist() for momentum in sorted(set(basis.momenta(number)))
    ]
    for place, first in enumerate(kinds):
        ours = functions.places(*first)
        for second in kinds[place:]:
            theirs = functions.places(*second)
            own = between.part(functions.atoms(first[0]), functions.atoms(second[0]))
            block = _blocks(basis, first, second, own, metric)  # (beads, atoms, atoms, shells, m, shells, m)
            block = block.transpose(0, 1, 3, 4, 2, 5, 6)
            found[:, ours[..., None, None, None], theirs] = block
            found[:, theirs[..., None, None, None], ours] = block.transpose(0, 4, 5, 6, 1, 2, 3)
    return (found + found.swapaxes(1, 2)) / 2


@dataclass(frozen=True)
class Between:
    """What integrals need of the vectors from some atoms to others.

    Parameters
    ----------
    squares : ndarray of float64, shape (beads, atoms, atoms)
        R² in bohr².
    solid : ndarray of float64, shape (beads, atoms, atoms, harmonics)
        R^λ Y_λμ(R/R).
    """

    squares: np.ndarray
    solid: np.ndarray

    @staticmethod
    def of(positions: np.ndarray, highest: int) -> Between:
        """Vectors between all atoms, with solid harmonics up to ``highest``."""
        vectors = positions[:, None] - positions[:, :, None]
        squares = np.einsum("bijx,bijx->bij", vectors, vectors)
        distances = np.sqrt(squares)
        units = vectors / np.where(distances > 0, distances, 1.0)[..., None]
        harmonics = real_harmonics(units.reshape(-1, 3), highest).reshape(*squares.shape, (highest + 1) ** 2)
        orders = np.repeat(np.arange(highest + 1), 2 * np.arange(highest + 1) + 1)
        return Between(squares, harmonics * distances[..., None] ** orders)

    def part(self, ours: np.ndarray, theirs: np.ndarray) -> Between:
        """Those from some atoms to some others."""
        return Between(self.squares[:, ours[:, None], theirs], self.solid[:, ours[:, None], theirs])


def _blocks(
    basis: AuxiliaryBasis, first: tuple[int, int], second: tuple[int, int], between: Between, metric: Metric
) -> np.ndarray:
    """All shells of one species and l with all of another.

    Returns
    -------
    ndarray of float64, shape (beads, atoms, atoms, shells, 2 l1 + 1, shells, 2 l2 + 1)
    """
    l1, l2 = first[1], second[1]
    ours, theirs = (_primitives(basis, *own) for own in (first, second))
    widths = (1 / ours[0][:, None] + 1 / theirs[0]) / 4
    rows = between.squares.shape
    found = np.zeros((*rows, len(ours[1]), 2 * l1 + 1, len(theirs[1]), 2 * l2 + 1))
    for order in range(abs(l1 - l2), l1 + l2 + 1, 2):
        steps = (l1 + l2 - order) // 2
        radial = ours[1] @ radial_integral(metric, order, steps, widths, between.squares[..., None, None]) @ theirs[1].T
        coefficients = (-1) ** ((l1 - l2 - order) // 2) / (2 * np.pi**2) * _gaunt(l1, l2, order)
        angular = between.solid[..., order**2 : (order + 1) ** 2] @ coefficients.reshape(-1, 2 * order + 1).T
        angular = angular.reshape(*rows, 2 * l1 + 1, 2 * l2 + 1)
        found += radial[..., :, None, :, None] * angular[..., None, :, None, :]
    return found


def _primitives(basis: AuxiliaryBasis, number: int, momentum: int) -> tuple[np.ndarray, np.ndarray]:
    """Exponents of all primitives of a species and l, and what each shell has of their transforms (shells, all)."""
    shells = [basis.shells[number][place] for place in basis.of_momentum(number, momentum)]
    exponents = np.concatenate([shell.exponents for shell in shells])
    weights, first = np.zeros((len(shells), len(exponents))), 0
    for row, shell in zip(weights, shells, strict=True):
        row[first : first + len(shell.exponents)] = shell.transform
        first += len(shell.exponents)
    return exponents, weights
