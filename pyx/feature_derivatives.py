"""Derivatives of the features of a head by the positions of atoms, block by block, so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .coupling import coupling, pairs
from .kernel import Kernel, head_feature_gradients
from .tensor_head import DensityShape, feature_sizes

BYTES_AT_A_TIME = 2**25  # of derivatives as the kernel writes them


def feature_derivatives(
    kernel: Kernel,
    order: int,
    shape: DensityShape,
    structure: tuple,
    parity: int = 1,
    bytes_at_a_time: int = BYTES_AT_A_TIME,
) -> Iterator[tuple[slice, np.ndarray]]:
    """∂/∂r of the `features` of one structure, some atoms at a time.

    With c_{lm,k} = Σ_j R_k(r_ij) Y_lm, the product rule for Σ G c_{l1 m1,k} c_{l2 m2,q}: a neighbour changes the
    densities of its own channels only, so that a derivative costs as many products as the neighbour has channels.

    Parameters
    ----------
    kernel : Kernel
        Whose density is that of the features; its heads are not read.
    order : int
        λ.
    shape : DensityShape
        With the head's own l_max.
    structure : tuple
        species (atoms,), positions (1, atoms, 3), cells (1, 3, 3), periodic (3,), as the kernel takes them.
    parity : {1, -1}, optional
        Of the head.
    bytes_at_a_time : int, optional
        About what the kernel writes at once; at least one atom is displaced.

    Yields
    ------
    displaced : slice
        Of the atoms.
    derivatives : ndarray of float64, shape (displaced atoms, 3, 2 λ + 1, species * sum(feature_sizes))
        Per Å.
    """
    species, *where = structure
    atoms, components = len(species), 2 * order + 1
    width = shape.groups * shape.padded_radial
    own_pairs = pairs(order, shape.l_max, parity)
    unread = np.zeros((shape.species, width, width))  # weights
    blocks = [(l1, l2, False, coupling(l1, l2, order), unread) for l1, l2 in own_pairs]
    head = (order, np.zeros(shape.species), np.zeros((shape.species, width)), blocks)
    raw_size = width + len(own_pairs) * width**2
    some = max(1, bytes_at_a_time // (8 * 3 * components * shape.species * raw_size))
    chosen = _columns(order, shape, parity)
    is_whole = np.array_equal(chosen, np.arange(raw_size))
    offset = feature_sizes(order, shape, parity)[0]  # which no displacement changes
    for begin in range(0, atoms, some):
        displaced = slice(begin, min(begin + some, atoms))
        raw = np.zeros((displaced.stop - begin, 3, components, shape.species, raw_size))
        head_feature_gradients(kernel, species, *where, head, begin, raw)
        found = raw
        if offset or not is_whole:
            found = np.zeros((*raw.shape[:-1], offset + len(chosen)))
            found[..., offset:] = raw[..., chosen]
        yield displaced, found.reshape(*raw.shape[:3], -1)


def _columns(order: int, shape: DensityShape, parity: int) -> np.ndarray:
    """Which of the kernel's columns the `features` of one species are, after their offset."""
    width, places = shape.groups * shape.padded_radial, shape.padded_places
    rows, columns = np.triu_indices(shape.channels, 0 if parity == 1 else 1)
    found = [places] if parity == 1 else []
    first = width
    for l1, l2 in pairs(order, shape.l_max, parity):
        products = first + places[:, None] * width + places
        found.append(products[rows, columns] if l1 == l2 else products.ravel())
        first += width**2
    return np.concatenate(found) if found else np.zeros(0, dtype=int)
