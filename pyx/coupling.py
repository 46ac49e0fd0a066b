"""Couplings of real spherical harmonics: the Gaunt-like coefficients that make a product of two rotate as a third."""

from __future__ import annotations

from functools import cache

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
    """Coupling of c_{l1} and c_{l2} to angular momentum ``order``, normalised to unit Frobenius norm per component.

    For even l1 + l2 + order the Clebsch–Gordan coefficients of real harmonics are proportional to the Gaunt integrals
    ∫ Y_{l1 m1} Y_{l2 m2} Y_{order M} dΩ (DLMF 34.3.22), which a product quadrature evaluates exactly.

    Parameters
    ----------
    l1, l2, order : int
        With even sum and fulfilling the triangle inequality.

    Returns
    -------
    ndarray of float64, shape (2 l1 + 1, 2 l2 + 1, 2 order + 1)

    Raises
    ------
    ValueError
        If the three do not couple, or only with odd parity.
    """
    if (l1 + l2 + order) % 2 or not abs(l1 - l2) <= order <= l1 + l2:
        raise ValueError(f"angular momenta ({l1}, {l2}, {order}) do not couple with even parity")
    degree = l1 + l2 + order
    heights, weights = np.polynomial.legendre.leggauss(degree // 2 + 1)
    angles = 2 * np.pi * np.arange(degree + 1) / (degree + 1)
    z, angle = (grid.ravel() for grid in np.meshgrid(heights, angles, indexing="ij"))
    radius = np.sqrt(1 - z * z)
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)
    weight = np.repeat(weights, len(angles)) * 2 * np.pi / len(angles)
    harmonics = real_harmonics(points, max(l1, l2, order))
    first, second, third = (harmonics[:, l * l : (l + 1) ** 2] for l in (l1, l2, order))  # noqa: E741
    integral = np.einsum("p,pa,pb,pc->abc", weight, first, second, third)
    integral[np.abs(integral) < 1e-14] = 0.0
    return integral * np.sqrt(2 * order + 1) / np.linalg.norm(integral)


def pairs(order: int, l_max: int) -> list[tuple[int, int]]:
    """Pairs l1 ≤ l2 ≤ l_max that couple to ``order`` with the parity of a true tensor."""
    return [
        (l1, l2)
        for l1 in range(l_max + 1)
        for l2 in range(l1, l_max + 1)
        if l2 - l1 <= order <= l1 + l2 and (l1 + l2 + order) % 2 == 0
    ]
