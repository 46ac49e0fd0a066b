"""The smeared potential of one atom, 1/r^p at distance, and what of it a sphere around another atom sees.

The potential is ``P(p/2, r²/2σ²)/r^p`` with the regularised lower incomplete gamma function P: 1/r^p far away, smooth
at the atom, for p = 1 that of a Gaussian charge of width σ.  Its Fourier transform is
``π^(3/2) 2^(3−p)/Γ(p/2) k^(p−3) Γ((3−p)/2, σ²k²/2)`` (Huguenin-Dumittan et al., J. Phys. Chem. Lett. 14, 9612 (2023)).

Around an atom it is expanded in ``R_nl(r) Y_lm`` with ``R_nl = (r/a)^l (1 − r²/a²)^(n+2)/a³`` inside of a radius a.
"""

from __future__ import annotations

from math import factorial, gamma, pi

import numpy as np
from scipy.special import exp1, gammainc, gammaincc, spherical_jn

RADIAL_POINTS, ANGULAR_POINTS = 40, 60  # of Gauss and Legendre, for functions that σ > a/4 makes smooth
SMALLEST = 1e-4  # of r/σ, below which a series is taken


def potential(distance: np.ndarray, exponent: int, smearing: float) -> np.ndarray:
    """The smeared potential in Å^−p.

    Parameters
    ----------
    distance : ndarray of float64
        In Å.
    exponent : int
        p, out of `settings.EXPONENTS`.
    smearing : float
        σ in Å.
    """
    x = 0.5 * (distance / smearing) ** 2
    half = exponent / 2
    # P(s, x) = x^s/Γ(s+1) (1 − s x/(s+1) + …)
    series = (1 - half * x / (half + 1)) / gamma(half + 1) / (2 * smearing**2) ** half
    safe = np.maximum(distance, SMALLEST * smearing)
    return np.where(distance < SMALLEST * smearing, series, gammainc(half, x) / safe**exponent)


def slope(distance: np.ndarray, exponent: int, smearing: float) -> np.ndarray:
    """Derivative of `potential` by the distance, divided by the distance, in Å^−(p+2)."""
    x = 0.5 * (distance / smearing) ** 2
    half = exponent / 2
    scale = 1 / (2 * smearing**2) ** half
    safe = np.maximum(distance, 10 * SMALLEST * smearing)
    own = 0.5 * (safe / smearing) ** 2
    # d/dr x^−s P(s, x) = (r/σ²) d/dx, and x d/dx [x^−s P] = −s x^−s P + e^−x/Γ(s)
    inner = (np.exp(-own) / gamma(half) - half * own**-half * gammainc(half, own)) / own
    series = -half / gamma(half + 1) / (half + 1) + x * half / gamma(half + 1) / (half + 2)
    return scale / smearing**2 * np.where(distance < 10 * SMALLEST * smearing, series, inner)


def transform(wave: np.ndarray, exponent: int, smearing: float) -> np.ndarray:
    """Fourier transform of `potential` in Å^(3−p); at k = 0 zero for p ≤ 3, where there is a background.

    Parameters
    ----------
    wave : ndarray of float64
        k in 1/Å.
    """
    x = 0.5 * (smearing * wave) ** 2
    safe = np.where(x > 0, x, 1.0)
    if exponent == 1:
        tail = np.exp(-safe)
    elif exponent == 3:
        tail = exp1(safe)
    else:  # Γ(−3/2, x) by Γ(s+1, x) = s Γ(s, x) + x^s e^−x
        half = np.sqrt(pi) * gammaincc(0.5, safe)
        tail = ((half - safe**-0.5 * np.exp(-safe)) / -0.5 - safe**-1.5 * np.exp(-safe)) / -1.5
    front = pi**1.5 * 2.0 ** (3 - exponent) / gamma(exponent / 2)
    wide = np.where(x > 0, wave, 1.0)
    limit = front * (2 / 3) * (2 / smearing**2) ** 1.5 if exponent > 3 else 0.0
    return np.where(x > 0, front * wide ** (exponent - 3) * tail, limit)


def radial_function(distance: np.ndarray, n: int, l: int, radius: float) -> np.ndarray:  # noqa: E741
    """R_nl in 1/Å³."""
    x = distance / radius
    return np.where(x < 1, x**l * np.maximum(1 - x * x, 0.0) ** (n + 2), 0.0) / radius**3


def bessel_integral(wave: np.ndarray, n: int, l: int, radius: float) -> np.ndarray:  # noqa: E741
    """∫ r² R_nl(r) j_l(kr) dr divided by k^l, in Å^l: Sonine's first integral (DLMF 10.22.5).

    ∫₀¹ x^(l+2) (1−x²)^μ j_l(κx) dx = 2^μ μ! j_(l+μ+1)(κ)/κ^(μ+1).
    """
    order = n + 2
    kappa = np.maximum(wave * radius, 1e-2)
    series_at = wave * radius
    ratio = spherical_jn(l + order + 1, kappa) / kappa ** (l + order + 1)
    double = 1.0
    for odd in range(3, 2 * (l + order + 1) + 2, 2):
        double *= odd
    small = (1 - series_at**2 / (2 * (2 * (l + order + 1) + 3))) / double
    return 2**order * factorial(order) * radius**l * np.where(series_at < 1e-2, small, ratio)


def interior_moment(n: int, l: int, radius: float) -> float:  # noqa: E741
    """∫ r^(l+2) R_nl(r) dr in Å^l: ½ B(l + 3/2, n + 3) a^l."""
    return 0.5 * gamma(l + 1.5) * gamma(n + 3) / gamma(l + n + 4.5) * radius**l


def projections(
    distance: np.ndarray, exponent: int, smearing: float, radius: float, radial: int, l_max: int
) -> tuple[np.ndarray, np.ndarray]:
    """What spheres see of an atom that is so far away: ∫ R_nl(r) Y_lm V(|r − R|) d³r = W_nl(R) Y_lm(R/R).

    W_nl(R) = 2π ∫ r² R_nl(r) dr ∫ P_l(u) V(√(r² + R² − 2rRu)) du, by Gauss's quadratures.

    Returns
    -------
    values, derivatives : ndarray of float64, shape (distances, radial, l_max + 1)
        W_nl in Å^−p, and dW_nl/dR.
    """
    points, weights = np.polynomial.legendre.leggauss(RADIAL_POINTS)
    r, dr = 0.5 * radius * (points + 1), 0.5 * radius * weights
    u, du = np.polynomial.legendre.leggauss(ANGULAR_POINTS)
    legendre = np.polynomial.legendre.legvander(u, l_max) * du[:, None]
    functions = np.array([[radial_function(r, n, l, radius) for l in range(l_max + 1)] for n in range(radial)])  # noqa: E741
    functions = 2 * pi * functions * r**2 * dr
    values = np.empty((len(distance), radial, l_max + 1))
    derivatives = np.empty_like(values)
    for place, own in enumerate(distance):
        apart = np.sqrt(np.maximum(r[:, None] ** 2 + own**2 - 2 * own * r[:, None] * u, 0.0))
        near = potential(apart, exponent, smearing) @ legendre
        steep = (slope(apart, exponent, smearing) * (own - r[:, None] * u)) @ legendre
        values[place] = np.einsum("nlr,rl->nl", functions, near)
        derivatives[place] = np.einsum("nlr,rl->nl", functions, steep)
    return values, derivatives
