"""Couplings of real spherical harmonics: the coefficients that make a product of two rotate as a third."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from math import factorial, sqrt

import numpy as np


def real_harmonics(directions: np.ndarray, l_max: int) -> np.ndarray:
    """Real spherical harmonics, orthonormal on the sphere, without Condon–Shortley phase.

    Parameters
    ----------
    directions : ndarray of float64, shape (points, 3)
        Unit vectors.
    l_max : int
        Highest angular momentum.

    Returns
    -------
    ndarray of float64, shape (points, (l_max + 1)**2)
        Column l(l+1)+m: ``N_lm P_l^(m)(z) Re(x+iy)^m`` for m ≥ 0 and with Im and |m| for m < 0, where ``P_l^(m)`` is
        the m-th derivative of the Legendre polynomial (DLMF 14.30.1, 14.7.10 in real form).
    """
    x, y, z = directions.T
    azimuthal = (x + 1j * y)[:, None] ** np.arange(l_max + 1)
    columns = []
    for l in range(l_max + 1):  # noqa: E741
        for m in range(-l, l + 1):
            order = abs(m)
            derivative = np.polynomial.legendre.Legendre.basis(l).deriv(order)
            ratio = 1.0
            for k in range(l - order + 1, l + order + 1):
                ratio /= k
            norm = np.sqrt((1 if m == 0 else 2) * (2 * l + 1) / (4 * np.pi) * ratio)
            part = azimuthal[:, order].real if m >= 0 else azimuthal[:, order].imag
            columns.append(norm * derivative(z) * part)
    return np.stack(columns, axis=1)


@cache
def coupling(l1: int, l2: int, order: int) -> np.ndarray:
    """Coupling of c_{l1} and c_{l2} to angular momentum ``order``: real Clebsch–Gordan coefficients.

    For even l1 + l2 + order these are proportional to the Gaunt integrals ∫ Y_{l1 m1} Y_{l2 m2} Y_{order M} dΩ
    (DLMF 34.3.22), which a product quadrature evaluates exactly.  For an odd sum these integrals vanish, and the
    Wigner 3j symbols themselves are taken to real harmonics; for l1 = l2 the result is antisymmetric in (m1, m2).

    Parameters
    ----------
    l1, l2, order : int
        Fulfilling the triangle inequality.

    Returns
    -------
    ndarray of float64, shape (2 l1 + 1, 2 l2 + 1, 2 order + 1)
        Normalised to unit Frobenius norm per component M.  For an even sum the sign is that of the Gaunt integrals; for
        an odd sum the first coefficient, in the order of (m1, m2, M), that is not zero is positive, so that
        ``coupling(1, 1, 1)`` is the vector product divided by √2.

    Raises
    ------
    ValueError
        If the three do not couple.
    """
    if not abs(l1 - l2) <= order <= l1 + l2:
        raise ValueError(f"angular momenta ({l1}, {l2}, {order}) do not couple: no triangle has such sides")
    found = gaunt_integrals(l1, l2, order) if (l1 + l2 + order) % 2 == 0 else odd_coupling(l1, l2, order)
    found[np.abs(found) < 1e-14] = 0.0
    return found * np.sqrt(2 * order + 1) / np.linalg.norm(found)


def gaunt_integrals(l1: int, l2: int, order: int) -> np.ndarray:
    """∫ Y_{l1 m1} Y_{l2 m2} Y_{order M} dΩ, shape (2 l1 + 1, 2 l2 + 1, 2 order + 1)."""
    degree = l1 + l2 + order
    heights, weights = np.polynomial.legendre.leggauss(degree // 2 + 1)
    angles = 2 * np.pi * np.arange(degree + 1) / (degree + 1)
    z, angle = (grid.ravel() for grid in np.meshgrid(heights, angles, indexing="ij"))
    radius = np.sqrt(1 - z * z)
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)
    weight = np.repeat(weights, len(angles)) * 2 * np.pi / len(angles)
    harmonics = real_harmonics(points, max(l1, l2, order))
    first, second, third = (harmonics[:, l * l : (l + 1) ** 2] for l in (l1, l2, order))  # noqa: E741
    return np.einsum("p,pa,pb,pc->abc", weight, first, second, third)


def odd_coupling(l1: int, l2: int, order: int) -> np.ndarray:
    """The 3j symbols of an odd l1 + l2 + order between real harmonics, shape (2 l1 + 1, 2 l2 + 1, 2 order + 1).

    Σ_{m1 m2 M} (3j) Y_{l1 m1} Y_{l2 m2} Y_{order M} does not change when all three are rotated (Edmonds, Angular
    Momentum in Quantum Mechanics, 1957, ch. 3.7), so neither does it where complex harmonics are written as sums of
    real ones; for an odd sum the coefficients become purely imaginary.
    """
    symbols = np.zeros((2 * l1 + 1, 2 * l2 + 1, 2 * order + 1))
    for m1 in range(-l1, l1 + 1):
        for m2 in range(max(-l2, -order - m1), min(l2, order - m1) + 1):
            symbols[m1 + l1, m2 + l2, order - m1 - m2] = wigner_3j(l1, l2, order, m1, m2)
    unitary = [complex_from_real(l) for l in (l1, l2, order)]  # noqa: E741
    found = np.einsum("xyz,xa,yb,zc->abc", symbols, *unitary).imag
    if l1 == l2:  # to the last bit
        found = (found - np.swapaxes(found, 0, 1)) / 2
    return found * np.sign(found[np.abs(found) > 1e-14][0])


def wigner_3j(l1: int, l2: int, l3: int, m1: int, m2: int) -> float:
    """Wigner's 3j symbol with m3 = −m1 − m2, by Racah's formula (DLMF 34.2.4) in whole numbers."""
    m3 = -m1 - m2
    triangle = Fraction(
        factorial(l1 + l2 - l3) * factorial(l1 - l2 + l3) * factorial(l2 + l3 - l1), factorial(l1 + l2 + l3 + 1)
    )
    square = triangle
    for l, m in ((l1, m1), (l2, m2), (l3, m3)):  # noqa: E741
        square *= factorial(l + m) * factorial(l - m)
    total = Fraction(0)
    for s in range(max(0, l2 - l3 - m1, l1 - l3 + m2), min(l1 + l2 - l3, l1 - m1, l2 + m2) + 1):
        total += Fraction(
            (-1) ** s,
            factorial(s)
            * factorial(l1 + l2 - l3 - s)
            * factorial(l1 - m1 - s)
            * factorial(l2 + m2 - s)
            * factorial(l3 - l2 + m1 + s)
            * factorial(l3 - l1 - m2 + s),
        )
    return (-1) ** (l1 - l2 - m3) * float(total) * sqrt(square)


def complex_from_real(l: int) -> np.ndarray:  # noqa: E741
    """Complex harmonics with the Condon–Shortley phase (DLMF 14.30.1) of those of `real_harmonics`, one per row."""
    matrix = np.zeros((2 * l + 1, 2 * l + 1), dtype=complex)
    matrix[l, l] = 1.0
    for m in range(1, l + 1):
        matrix[l + m, [l + m, l - m]] = (-1) ** m * np.array([1, 1j]) / sqrt(2)
        matrix[l - m, [l + m, l - m]] = np.array([1, -1j]) / sqrt(2)
    return matrix


def pairs(order: int, l_max: int, parity: int = 1) -> list[tuple[int, int]]:
    """Pairs l1 ≤ l2 ≤ l_max that couple to ``order`` with a given parity.

    Parameters
    ----------
    order, l_max : int
    parity : {1, -1}, optional
        1 for a true tensor, which changes by (−1)^order where space is inverted: l1 + l2 + order is even.  −1 for a
        pseudotensor, which changes by −(−1)^order: the sum is odd.

    Raises
    ------
    ValueError
        If the parity is neither.
    """
    if parity not in (1, -1):
        raise ValueError(f"a parity of {parity}; allowed are 1 and -1")
    return [
        (l1, l2)
        for l1 in range(l_max + 1)
        for l2 in range(l1, l_max + 1)
        if l2 - l1 <= order <= l1 + l2 and (-1) ** (l1 + l2 + order) == parity
    ]
