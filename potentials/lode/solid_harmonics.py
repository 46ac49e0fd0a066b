"""Solid harmonics r^l Y_lm as polynomials of x, y, z, with their gradients."""

from __future__ import annotations

from functools import cache
from itertools import product
from math import comb, factorial, pi, sqrt

import numpy as np

Polynomial = dict[tuple[int, int, int], float]


@cache
def polynomials(l_max: int) -> tuple[Polynomial, ...]:
    """Polynomials of all r^l Y_lm in the order and with the phases of `beadwise.pyx.coupling.real_harmonics`.

    N_lm Σ_q c_q z^q r^(l−|m|−q) times the real part of (x+iy)^m, or the imaginary part of (x+iy)^|m| for m < 0, where
    Σ_q c_q z^q is the |m|-th derivative of the Legendre polynomial (DLMF 14.30.1 in real form).
    """
    return tuple(_solid(l, m) for l in range(l_max + 1) for m in range(-l, l + 1))  # noqa: E741


def _solid(l: int, m: int) -> Polynomial:  # noqa: E741
    order = abs(m)
    ratio = factorial(l - order) / factorial(l + order)
    norm = sqrt((1 if m == 0 else 2) * (2 * l + 1) / (4 * pi) * ratio)
    legendre = np.polynomial.legendre.leg2poly([0.0] * l + [1.0])
    along = np.polynomial.polynomial.polyder(legendre, order) if order else legendre
    out: Polynomial = {}
    for q, c in enumerate(along):
        if c == 0 or (l - order - q) % 2:
            continue
        half = (l - order - q) // 2
        for a, b in product(range(half + 1), repeat=2):
            if a + b > half:
                continue
            radial = factorial(half) / (factorial(a) * factorial(b) * factorial(half - a - b))
            for k in range(order + 1):  # (x + iy)^order: terms x^(order−k) (iy)^k
                if k % 2 != (1 if m < 0 else 0):
                    continue
                sign = (-1) ** (k // 2)
                powers = (2 * a + order - k, 2 * b + k, 2 * (half - a - b) + q)
                out[powers] = out.get(powers, 0.0) + norm * c * radial * comb(order, k) * sign
    return out


def solid_harmonics(vectors: np.ndarray, l_max: int) -> tuple[np.ndarray, np.ndarray]:
    """Values and gradients of r^l Y_lm.

    Parameters
    ----------
    vectors : ndarray of float64, shape (points, 3)
    l_max : int

    Returns
    -------
    values : ndarray of float64, shape (points, (l_max + 1)²)
    gradients : ndarray of float64, shape (points, (l_max + 1)², 3)
    """
    powers = np.stack([vectors**n for n in range(l_max + 1)])  # (power, points, 3)
    values = np.zeros((len(vectors), (l_max + 1) ** 2))
    gradients = np.zeros((*values.shape, 3))
    for column, polynomial in enumerate(polynomials(l_max)):
        for (a, b, c), factor in polynomial.items():
            x, y, z = powers[a, :, 0], powers[b, :, 1], powers[c, :, 2]
            values[:, column] += factor * x * y * z
            if a:
                gradients[:, column, 0] += factor * a * powers[a - 1, :, 0] * y * z
            if b:
                gradients[:, column, 1] += factor * b * x * powers[b - 1, :, 1] * z
            if c:
                gradients[:, column, 2] += factor * c * x * y * powers[c - 1, :, 2]
    return values, gradients
