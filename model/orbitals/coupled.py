"""Products of equivariant features that turn as harmonics again.

Parts of features are kept by order and parity, (λ, 1) for tensors and (λ, −1) for pseudotensors, in arrays of shape
(rows, 2 λ + 1, channels).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from ...pyx.coupling import coupling

Part = tuple[int, int]
Parts = Mapping[Part, np.ndarray]


def paths_to(part: Part, first: Iterable[Part], second: Iterable[Part]) -> list[tuple[Part, Part]]:
    """Which parts of two features couple to one of λ and parity: triangle rule, and inversion."""
    order, parity = part
    return [
        (one, other)
        for one in first
        for other in second
        if abs(one[0] - other[0]) <= order <= one[0] + other[0]
        and one[1] * other[1] * (-1) ** (one[0] + other[0] + order) == parity
    ]


def coupled(first: Parts, second: Parts, part: Part) -> np.ndarray:
    """All products Σ C(m1 m2 M) a_{m1,k} b_{m2,n} of λ and parity, shape (rows, 2 λ + 1, Σ channels · channels).

    With coupling coefficients of unit norm (`beadwise.pyx.coupling.coupling`); A. Grisafi et al., Phys. Rev. Lett. 120,
    036002 (2018), and of pairs of atoms J. Nigam, M. Willatt, M. Ceriotti, J. Chem. Phys. 156, 014115 (2022).
    """
    rows = len(next(iter(first.values())))
    found = [
        (_half(first[one], one, other, part) @ second[other]).reshape(
            rows, first[one].shape[2], 2 * part[0] + 1, second[other].shape[2]
        )
        for one, other in paths_to(part, first, second)
    ]
    if not found:
        return np.zeros((rows, 2 * part[0] + 1, 0))
    flat = [own.swapaxes(1, 2).reshape(*own.shape[:1], own.shape[2], own.shape[1] * own.shape[3]) for own in found]
    return np.concatenate(flat, axis=2)


def _matrix(one: Part, other: Part, part: Part) -> np.ndarray:
    """Coupling coefficients, shape (2 l1 + 1, (2 λ + 1)(2 l2 + 1))."""
    coefficients = coupling(one[0], other[0], part[0])
    return coefficients.swapaxes(1, 2).reshape(len(coefficients), -1)


def _half(first: np.ndarray, one: Part, other: Part, part: Part) -> np.ndarray:
    """The first factor times the coupling coefficients, shape (rows, channels (2 λ + 1), 2 l2 + 1)."""
    half = first.swapaxes(1, 2) @ _matrix(one, other, part)
    return half.reshape(len(first), first.shape[2] * (2 * part[0] + 1), 2 * other[0] + 1)
