"""The polarizability: λ = 0 and λ = 2 components of the density's heads, and the local-field map of a periodic cell."""

from __future__ import annotations

import numpy as np


def tensor_basis() -> np.ndarray:
    """Symmetric Cartesian matrices of the components (λ = 0, then λ = 2), orthonormal, shape (6, 3, 3).

    A symmetric tensor is λ = 0 ⊕ 2; the order of λ = 2 is that of the real harmonics xy, yz, 3z²−r², xz, x²−y².
    """
    half, third, sixth = np.sqrt(1 / 2), np.sqrt(1 / 3), np.sqrt(1 / 6)
    basis = np.zeros((6, 3, 3))
    basis[0] = np.eye(3) * third
    basis[1, 0, 1] = basis[1, 1, 0] = half
    basis[2, 1, 2] = basis[2, 2, 1] = half
    basis[3] = np.diag([-sixth, -sixth, 2 * sixth])
    basis[4, 0, 2] = basis[4, 2, 0] = half
    basis[5] = np.diag([half, -half, 0.0])
    return basis


TENSOR_BASIS = tensor_basis()


def cartesian_tensor(components: np.ndarray) -> np.ndarray:
    """Symmetric matrices from their six components.

    Parameters
    ----------
    components : ndarray of float64, shape (…, 6)
        λ = 0, then λ = 2 in the order of the real harmonics.

    Returns
    -------
    ndarray of float64, shape (…, 3, 3)
    """
    return np.einsum("...c,cij->...ij", components, TENSOR_BASIS)


def tensor_components(tensor: np.ndarray) -> np.ndarray:
    """The inverse of `cartesian_tensor` for symmetric matrices."""
    return np.einsum("...ij,cij->...c", tensor, TENSOR_BASIS)


def with_local_field(additive: np.ndarray, volume: np.ndarray) -> np.ndarray:
    """Polarizability (ε − 1) V/4π of a cell from the sum of its local polarizabilities.

    Clausius–Mossotti in tensor form: with x = 4π a/3V, (ε − 1)(ε + 2)⁻¹ = x, so that ε − 1 = 3x (1 − x)⁻¹ and
    α = a (1 − x)⁻¹ (Born and Wolf, Principles of Optics, section 2.3).

    Parameters
    ----------
    additive : ndarray of float64, shape (…, 3, 3)
        Sum of the local polarizabilities a, in Å³.
    volume : ndarray of float64, shape (…)
        Of the cell, in Å³.

    Returns
    -------
    ndarray of float64, shape (…, 3, 3)
    """
    ratio = 4 * np.pi / (3 * np.asarray(volume)[..., None, None])
    tensor = additive @ np.linalg.inv(np.eye(3) - ratio * additive)
    return 0.5 * (tensor + np.swapaxes(tensor, -1, -2))


def derivative_with_local_field(derivative: np.ndarray, additive: np.ndarray, volume: np.ndarray) -> np.ndarray:
    """Derivatives of `with_local_field` at constant volume: dα = (1 − x)⁻¹ da (1 − x)⁻¹, x = 4π a/3V.

    Parameters
    ----------
    derivative : ndarray of float64, shape (beads, …, 3, 3)
        da.
    additive, volume : ndarray of float64, shapes (beads, 3, 3), (beads,)
        As for `with_local_field`.

    Returns
    -------
    ndarray of float64, shape (beads, …, 3, 3)
    """
    ratio = 4 * np.pi / (3 * np.asarray(volume)[..., None, None])
    inverse = np.linalg.inv(np.eye(3) - ratio * additive)
    return np.einsum("bij,b...jk,bkl->b...il", inverse, derivative, inverse)


def without_local_field(polarizability: np.ndarray, volume: np.ndarray) -> np.ndarray:
    """The inverse of `with_local_field`: a = α (1 + 4π α/3V)⁻¹."""
    ratio = 4 * np.pi / (3 * np.asarray(volume)[..., None, None])
    tensor = polarizability @ np.linalg.inv(np.eye(3) + ratio * polarizability)
    return 0.5 * (tensor + np.swapaxes(tensor, -1, -2))
