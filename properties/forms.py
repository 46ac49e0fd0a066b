"""Cartesian forms that quantities have, orthonormal in their components, with the order of the real harmonics."""

from __future__ import annotations

import numpy as np

from ..quantity import Form, Irrep

# The real harmonics of l = 1 are ordered y, z, x.
CARTESIAN_FROM_HARMONICS = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
XYZ = ("x", "y", "z")


def cartesian_vector(components: np.ndarray) -> np.ndarray:
    """Vector (x, y, z) from λ = 1 components.

    Parameters
    ----------
    components : ndarray of float64, shape (…, 3)
        In the order of the real harmonics.

    Returns
    -------
    ndarray of float64, shape (…, 3)
    """
    return components @ CARTESIAN_FROM_HARMONICS.T


def harmonic_components(vector: np.ndarray) -> np.ndarray:
    """The inverse of `cartesian_vector`."""
    return vector @ CARTESIAN_FROM_HARMONICS


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


def full_tensor_basis() -> np.ndarray:
    """Cartesian matrices of λ = 0, λ = 2 and the pseudovector λ = 1, orthonormal, shape (9, 3, 3).

    The antisymmetric part of a tensor is T_ij = Σ_k ε_ijk a_k / √2, whose a is a pseudovector: inversion leaves it as
    it is (Stone, The Theory of Intermolecular Forces, 2013, appendix B).
    """
    levi_civita = np.zeros((3, 3, 3))
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        levi_civita[i, j, k], levi_civita[j, i, k] = 1.0, -1.0
    antisymmetric = np.einsum("ijk,kc->cij", levi_civita, CARTESIAN_FROM_HARMONICS) / np.sqrt(2)
    return np.concatenate([TENSOR_BASIS, antisymmetric])


FULL_TENSOR_BASIS = full_tensor_basis()


def cartesian_full_tensor(components: np.ndarray) -> np.ndarray:
    """Matrices (…, 3, 3) from nine components (…, 9): λ = 0, λ = 2, and the pseudovector."""
    return np.einsum("...c,cij->...ij", components, FULL_TENSOR_BASIS)


def full_tensor_components(tensor: np.ndarray) -> np.ndarray:
    """The inverse of `cartesian_full_tensor`."""
    return np.einsum("...ij,cij->...c", tensor, FULL_TENSOR_BASIS)


SCALAR = Form((Irrep(0),), (), lambda components: components[..., 0], lambda scalar: scalar[..., None], ("",))
VECTOR = Form((Irrep(1),), (3,), cartesian_vector, harmonic_components, XYZ)
PSEUDOVECTOR = Form((Irrep(1, parity=-1),), (3,), cartesian_vector, harmonic_components, XYZ)
TENSOR = Form(
    (Irrep(0), Irrep(2), Irrep(1, parity=-1)),
    (3, 3),
    cartesian_full_tensor,
    full_tensor_components,
    tuple(a + b for a in XYZ for b in XYZ),
)


def symmetric_tensor(isotropic: str = "", anisotropic: str = "") -> Form:
    """A symmetric matrix, λ = 0 ⊕ 2, whose heads may have names of their own."""
    return Form(
        (Irrep(0, name=isotropic), Irrep(2, name=anisotropic)),
        (3, 3),
        cartesian_tensor,
        tensor_components,
        ("xx", "yy", "zz", "xy", "xz", "yz"),
        ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)),
    )


SYMMETRIC_TENSOR = symmetric_tensor()


def values(count: int, labels: tuple[str, ...] = ()) -> Form:
    """Scalars on an axis of their own, as the values of a spectrum, with a label for each."""
    return Form((Irrep(0, count=count),), (count,), np.asarray, np.asarray, labels or tuple(map(str, range(count))))


def harmonics(order: int, parity: int = 1) -> Form:
    """The 2λ + 1 components themselves, in the order of the real harmonics m = −λ … λ."""
    labels = tuple(f"m={m}" for m in range(-order, order + 1))
    return Form((Irrep(order, parity),), (2 * order + 1,), np.asarray, np.asarray, labels)
