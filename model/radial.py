"""Radial functions: combinations of Chebyshev polynomials of a warped distance, smoothly cut off, as spline tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

INTERVALS = 512  # of the spline grid; 0.01 Å at a cutoff of 5 Å


@dataclass(frozen=True)
class RadialBasis:
    """R_n(r) = Σ_k C_kn T_k(x(r)) f(r) for every (centre, neighbour) pair of species.

    ``x = 2 (e^{-a r/r_c} − e^{-a}) / (1 − e^{-a}) − 1`` resolves short distances more finely, as in Drautz,
    Phys. Rev. B 99, 014104 (2019); ``f = (1 + cos π r/r_c)/2 · 1/(1 + (r/r_0)^p)`` lets the far neighbours weigh less
    (Willatt, Musil, Ceriotti, Phys. Chem. Chem. Phys. 20, 29661 (2018)).

    Parameters
    ----------
    cutoff : float
        r_c in Å.
    warp : float
        a; 0 leaves the distance as it is.
    decay_length, decay_power : float
        r_0 in Å, and p; a power of 0 means that far neighbours are not scaled down.
    coefficients : ndarray of float64, shape (species, species, primitives, radial)
        C for every pair (centre, neighbour).
    """

    cutoff: float
    warp: float
    decay_length: float
    decay_power: float
    coefficients: np.ndarray

    @property
    def radial(self) -> int:
        """Number of radial functions per neighbour species."""
        return self.coefficients.shape[3]

    def primitives(self, distance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values and derivatives of T_k(x(r)) f(r), each of shape (distances, primitives)."""
        return primitive_functions(
            distance, self.cutoff, self.warp, self.decay_length, self.decay_power, self.coefficients.shape[2]
        )

    def spline_table(self, padded: int) -> np.ndarray:
        """Cubic Hermite table for the kernel, shape (species, species, nodes, 2, padded).

        The spline, not the closed form, is the basis from then on: forces are its exact derivative.
        """
        kinds = self.coefficients.shape[0]
        value, slope = self.primitives(np.linspace(0.0, self.cutoff, INTERVALS + 1))
        table = np.zeros((kinds, kinds, INTERVALS + 1, 2, padded))
        for centre, neighbour in np.ndindex(kinds, kinds):
            own = self.coefficients[centre, neighbour]
            table[centre, neighbour, :, 0, : self.radial] = value @ own
            table[centre, neighbour, :, 1, : self.radial] = slope @ own * (self.cutoff / INTERVALS)
        table[:, :, -1] = 0.0
        return table


def primitive_functions(
    distance: np.ndarray, cutoff: float, warp: float, decay_length: float, decay_power: float, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Values and derivatives of the primitive functions T_k(x(r)) f(r) of `RadialBasis`, (distances, count) each."""
    scaled = distance / cutoff
    if warp > 0:
        decay, floor = np.exp(-warp * scaled), np.exp(-warp)
        x = 2 * (decay - floor) / (1 - floor) - 1
        dx = -2 * warp / cutoff * decay / (1 - floor)
    else:
        x, dx = 1 - 2 * scaled, np.full_like(distance, -2 / cutoff)
    polynomials = np.polynomial.chebyshev.chebvander(x, count - 1)
    slopes = np.stack(
        [np.polynomial.chebyshev.chebval(x, np.polynomial.chebyshev.chebder(row)) for row in np.eye(count)], axis=1
    )
    fade = 0.5 * (1 + np.cos(np.pi * scaled))
    fade_slope = -0.5 * np.pi / cutoff * np.sin(np.pi * scaled)
    if decay_power > 0:
        ratio = (distance / decay_length) ** decay_power
        far = 1 / (1 + ratio)
        with np.errstate(divide="ignore", invalid="ignore"):
            far_slope = np.where(distance > 0, -decay_power * ratio / np.maximum(distance, 1e-300) * far**2, 0.0)
        fade, fade_slope = fade * far, fade_slope * far + fade * far_slope
    value = polynomials * fade[:, None]
    slope = slopes * (dx * fade)[:, None] + polynomials * fade_slope[:, None]
    return value, slope


def orthonormal_coefficients(
    cutoff: float, warp: float, decay_length: float, decay_power: float, radial: int, shortest: float
) -> np.ndarray:
    """Coefficients that make the functions orthonormal in ∫ R_n R_m r² dr from ``shortest`` to the cutoff.

    Returns
    -------
    ndarray of float64, shape (radial, radial)
    """
    distance = np.linspace(shortest, cutoff, 2000)
    value, _ = primitive_functions(distance, cutoff, warp, decay_length, decay_power, radial)
    weight = distance * np.sqrt(distance[1] - distance[0])
    _, triangle = np.linalg.qr(value * weight[:, None])
    return np.linalg.inv(triangle)
