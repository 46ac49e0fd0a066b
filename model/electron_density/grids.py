"""A density on points: on the grid of a cube file, and on points with weights for integrals over all space."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from ase.data import covalent_radii
from ase.units import Bohr

from ...pyx.coupling import real_harmonics
from .basis import AuxiliaryBasis, Functions

POINTS_AT_A_TIME = 20_000


def density_on(
    basis: AuxiliaryBasis, numbers: np.ndarray, positions: np.ndarray, coefficients: np.ndarray, points: np.ndarray
) -> np.ndarray:
    """ρ(r) = Σ c χ(r) in e/bohr³.

    Parameters
    ----------
    basis : AuxiliaryBasis
    numbers : ndarray of int, shape (atoms,)
    positions : ndarray of float64, shape (atoms, 3)
        In bohr.
    coefficients : ndarray of float64, shape (..., functions)
        In the order of `Functions`; several densities of one structure share the functions.
    points : ndarray of float64, shape (points, 3)
        In bohr.

    Returns
    -------
    ndarray of float64, shape (..., points)
    """
    functions = Functions(basis, numbers)
    found = np.zeros((*coefficients.shape[:-1], len(points)))
    for first in range(0, len(points), POINTS_AT_A_TIME):
        piece = slice(first, first + POINTS_AT_A_TIME)
        for places, values in _values(functions, positions, points[piece]):
            found[..., piece] += coefficients[..., places] @ values
    return found


def _values(functions: Functions, positions: np.ndarray, points: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Places and values of all functions of one atom and l, shapes (functions,) and (functions, points)."""
    basis = functions.basis
    for number in basis.numbers:
        momenta = sorted(set(basis.momenta(number)))
        for row, atom in enumerate(functions.atoms(number)):
            vectors = points - positions[atom]
            squares = np.einsum("px,px->p", vectors, vectors)
            distances = np.sqrt(squares)
            units = vectors / np.where(distances > 0, distances, 1.0)[:, None]
            harmonics = real_harmonics(units, max(momenta)).T
            for momentum in momenta:
                solid = harmonics[momentum**2 : (momentum + 1) ** 2] * distances**momentum
                radial = np.stack(
                    [
                        shell.amplitudes @ np.exp(-np.multiply.outer(np.array(shell.exponents), squares))
                        for shell in basis.shells[number]
                        if shell.momentum == momentum
                    ]
                )
                values = radial[:, None] * solid
                yield functions.places(number, momentum)[row].ravel(), values.reshape(-1, len(points))


@dataclass(frozen=True)
class Quadrature:
    """Points and weights of integrals over all space about a molecule.

    Each atom has radial shells r = r_a (1 + x)/(1 − x) at Chebyshev points of the second kind, times a product grid on
    the sphere, Gauss–Legendre in cos θ and even in φ; the parts of space of the atoms are the cells of A. D. Becke (J.
    Chem. Phys. 88, 2547 (1988)), smooth partitions of one, with three iterations and without sizes of atoms.

    Parameters
    ----------
    radial : int
        Shells of each atom.
    polar : int
        Angles θ; there are twice as many φ.
    """

    radial: int = 60
    polar: int = 14

    def of(self, numbers: np.ndarray, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points (points, 3) in bohr and their weights (points,) in bohr³, of positions (atoms, 3) in bohr."""
        sphere, of_sphere = self._sphere()
        found, weights = [], []
        for atom, number in enumerate(numbers.tolist()):
            radii, of_radii = self._radii(covalent_radii[number] / Bohr)
            points = positions[atom] + (radii[:, None, None] * sphere).reshape(-1, 3)
            found.append(points)
            weights.append((of_radii[:, None] * of_sphere).ravel() * _cell(positions, points)[atom])
        return np.concatenate(found), np.concatenate(weights)

    def _radii(self, size: float) -> tuple[np.ndarray, np.ndarray]:
        """Radii and weights of ∫ r² dr: Gauss–Chebyshev of the second kind in x (Becke's equations 24 and 25)."""
        angles = np.pi * np.arange(1, self.radial + 1) / (self.radial + 1)
        x = np.cos(angles)
        radii = size * (1 + x) / (1 - x)
        of_x = np.pi / (self.radial + 1) * np.sin(angles)
        return radii, of_x * 2 * size / (1 - x) ** 2 * radii**2

    def _sphere(self) -> tuple[np.ndarray, np.ndarray]:
        heights, of_heights = np.polynomial.legendre.leggauss(self.polar)
        turns = np.pi * (np.arange(2 * self.polar) + 0.5) / self.polar
        height, turn = (own.ravel() for own in np.meshgrid(heights, turns, indexing="ij"))
        flat = np.sqrt(1 - height**2)
        points = np.stack([flat * np.cos(turn), flat * np.sin(turn), height], axis=1)
        return points, np.repeat(of_heights, 2 * self.polar) * np.pi / self.polar


def _cell(positions: np.ndarray, points: np.ndarray) -> np.ndarray:
    """What part of each point is each atom's, shape (atoms, points); they add up to 1."""
    distances = np.linalg.norm(points[None] - positions[:, None], axis=2)
    shares = np.ones_like(distances)
    for one in range(len(positions)):
        for other in range(len(positions)):
            if one != other:
                apart = np.linalg.norm(positions[one] - positions[other])
                mu = (distances[one] - distances[other]) / apart
                for _ in range(3):
                    mu = mu * (3 - mu**2) / 2
                shares[one] *= (1 - mu) / 2
    return shares / shares.sum(axis=0)
