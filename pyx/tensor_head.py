"""A quantity of angular momentum λ read from the density: its parameters, its features, and its form for the kernel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..short_repr import short_repr
from .coupling import coupling, pairs

ATOMS_AT_A_TIME = 512  # whose coupled products are in memory together
MANY_PRODUCTS = 600  # of atoms and components of λ: from here on it is faster to sum over the atoms first


@dataclass(frozen=True)
class DensityShape:
    """Sizes of a density expansion.

    Parameters
    ----------
    species : int
    radial : int
        Radial functions per group of neighbours.
    l_max : int
        Highest angular momentum.
    groups : int, optional
        Groups of neighbour species with channels of their own; by default each species is one.
    """

    species: int
    radial: int
    l_max: int
    groups: int = 0

    def __post_init__(self) -> None:
        if self.groups == 0:
            object.__setattr__(self, "groups", self.species)

    @property
    def channels(self) -> int:
        """Channels of one density: (group of neighbours, radial function)."""
        return self.groups * self.radial

    @property
    def harmonics(self) -> int:
        """Number of (l, m)."""
        return (self.l_max + 1) ** 2

    @property
    def padded_radial(self) -> int:
        """Radial functions rounded up to the kernel's vector width."""
        return -(-self.radial // 4) * 4

    @property
    def padded_places(self) -> np.ndarray:
        """Where the channels stand among the kernel's padded channels."""
        return np.concatenate([np.arange(self.radial) + s * self.padded_radial for s in range(self.groups)])


@dataclass(frozen=True, repr=False)
class TensorHead:
    """Linear and coupled quadratic form of the density of every atom, with weights that depend on its species.

    ``y_M = offset δ_λ0 + Σ_k linear_k c_{λM,k} + Σ_{l1 l2} Σ_{m1 m2} G(m1 m2 M) c_{l1 m1}ᵀ V^{l1 l2} c_{l2 m2}``,
    the λ-SOAP form of Grisafi et al., Phys. Rev. Lett. 120, 036002 (2018), with couplings of one parity; for λ = 0 the
    power spectrum of Bartók, Kondor, Csányi, Phys. Rev. B 87, 184115 (2013).

    Parameters
    ----------
    order : int
        λ.
    shape : DensityShape
        With the head's own l_max, which may be lower than that of the density it reads.
    offset : ndarray of float64, shape (species,)
        Only used for λ = 0.
    linear : ndarray of float64, shape (species, channels)
    weights : ndarray of float64, shape (pairs, species, channels, channels)
        V of every pair (l1, l2) of `pairs`; where l1 = l2, symmetric for parity 1 and antisymmetric for parity −1.
    parity : {1, -1}, optional
        1 for a tensor, which changes by (−1)^λ where space is inverted; −1 for a pseudotensor, which changes by
        −(−1)^λ, as the antisymmetric part of a tensor of rank 2 does with λ = 1.  The density has tensors only, so that
        offset and linear part of a pseudotensor are zero.

    Raises
    ------
    ValueError
        If shapes do not fit, a pseudotensor has λ = 0 (a product of two densities has none), or its offset or linear
        part is not zero.
    """

    order: int
    shape: DensityShape
    offset: np.ndarray
    linear: np.ndarray
    weights: np.ndarray
    parity: int = 1

    def __post_init__(self) -> None:
        species, channels = self.shape.species, self.shape.channels
        expected = {
            "offset": (species,),
            "linear": (species, channels),
            "weights": (len(self.pairs), species, channels, channels),
        }
        for name, shape in expected.items():
            received = getattr(self, name).shape
            if received != shape:
                raise ValueError(f"{name} of the λ = {self.order} head has shape {received}; expected {shape}")
        if self.parity == -1 and (self.order == 0 or self.offset.any() or self.linear.any()):
            raise ValueError(
                f"a λ = {self.order} head of parity -1; such heads have λ ≥ 1, and neither offset nor linear part"
            )

    __repr__ = short_repr

    @property
    def l_max(self) -> int:
        """Highest angular momentum that the head reads."""
        return self.shape.l_max

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """The pairs (l1, l2) that couple."""
        return pairs(self.order, self.shape.l_max, self.parity)

    def kernel_form(self) -> tuple:
        """(λ, offset, linear, blocks) with padded channels, as `beadwise.pyx.kernel.Kernel` takes it."""
        shape, places = self.shape, self.shape.padded_places
        width = shape.groups * shape.padded_radial
        linear = np.zeros((shape.species, width))
        linear[:, places] = self.linear
        blocks = []
        for (l1, l2), weights in zip(self.pairs, self.weights, strict=True):
            padded = np.zeros((shape.species, width, width))
            padded[:, places[:, None], places] = weights
            symmetric = l1 == l2 and self.parity == 1
            blocks.append((l1, l2, symmetric, coupling(l1, l2, self.order), padded))
        return (self.order, np.ascontiguousarray(self.offset, dtype=np.float64), linear, blocks)


def feature_sizes(order: int, shape: DensityShape, parity: int = 1) -> list[int]:
    """Lengths of the parts of one species' feature vector: offset (λ = 0 only), linear, then every pair (l1, l2).

    For parity −1 those of offset and linear part are 0.
    """
    channels, triangle = shape.channels, len(_triangle(shape, parity)[0])
    quadratic = [triangle if l1 == l2 else channels * channels for l1, l2 in pairs(order, shape.l_max, parity)]
    return [int(order == 0 and parity == 1), channels * (parity == 1), *quadratic]


def _triangle(shape: DensityShape, parity: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the weights of a pair l1 = l2 that the others follow from by symmetry or antisymmetry."""
    return np.triu_indices(shape.channels, 0 if parity == 1 else 1)


def features(order: int, shape: DensityShape, density: np.ndarray, species: np.ndarray, parity: int = 1) -> np.ndarray:
    """Features whose weights make a `TensorHead`, summed over the atoms of each species.

    Parameters
    ----------
    order : int
        λ.
    shape : DensityShape
    density : ndarray of float64, shape (atoms, harmonics, channels)
    species : ndarray of int, shape (atoms,)
        Species indices.
    parity : {1, -1}, optional
        Of the head.

    Returns
    -------
    ndarray of float64, shape (2 λ + 1, species * sum(feature_sizes))

    Raises
    ------
    ValueError
        As `features_of_parts`.
    """
    return features_of_parts(order, shape, density, species, np.zeros(len(species), dtype=int), 1, parity)[0]


def features_of_parts(
    order: int,
    shape: DensityShape,
    density: np.ndarray,
    species: np.ndarray,
    part: np.ndarray,
    parts: int,
    parity: int = 1,
) -> np.ndarray:
    """The `features` of parts of a structure, such as its molecules: summed over the atoms of each part.

    Parameters
    ----------
    order, shape, density, species, parity
        As for `features`; the density of an atom is that of all its neighbours, of its part or not.
    part : ndarray of int, shape (atoms,)
        To which part each atom belongs, 0 … parts − 1; −1 for one that belongs to none.
    parts : int

    Returns
    -------
    ndarray of float64, shape (parts, 2 λ + 1, species * sum(feature_sizes))

    Raises
    ------
    ValueError
        If the parity is neither 1 nor −1, arrays are for different numbers of atoms, the density has another shape than
        it should, or there is no part of such a number.
    """
    expected = {"density": (len(species), shape.harmonics, shape.channels), "part": (len(species),)}
    for name, received in (("density", density.shape), ("part", part.shape)):
        if received != expected[name]:
            raise ValueError(f"{name} has shape {received}; expected {expected[name]} with the species")
    if len(part) and not -1 <= part.min() <= part.max() < parts:
        raise ValueError(f"parts {part.min()} to {part.max()}; allowed are -1 to {parts - 1}")
    size = sum(feature_sizes(order, shape, parity))
    sums = np.zeros((parts, 2 * order + 1, shape.species, size))
    for kind in range(shape.species):
        (own,) = np.nonzero((species == kind) & (part >= 0))
        for some_parts, places in _groups_of_parts(part[own]):
            sums[some_parts, :, kind] += _group_features(order, shape, density[own[places]], parity)
    return sums.reshape(parts, 2 * order + 1, shape.species * size)


def _groups_of_parts(part: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Parts with equally many atoms, shape (some,), and which atoms these are, shape (some, atoms of each).

    At most `ATOMS_AT_A_TIME` atoms at once; a part of more comes in several pieces, one at a time.
    """
    order = np.argsort(part, kind="stable")
    sorted_part = part[order]
    rank = np.arange(len(part)) - np.searchsorted(sorted_part, sorted_part)  # of an atom in its part
    piece = sorted_part * (len(part) + 1) + rank // ATOMS_AT_A_TIME
    _, starts, counts = np.unique(piece, return_index=True, return_counts=True)
    for count in np.unique(counts):
        same = starts[counts == count]
        for some in np.array_split(same, -(-len(same) // (ATOMS_AT_A_TIME // count))):
            yield sorted_part[some], order[some[:, None] + np.arange(count)]


def _group_features(order: int, shape: DensityShape, density: np.ndarray, parity: int) -> np.ndarray:
    """Features of atoms of one species, (parts, atoms, harmonics, channels), summed over the second axis."""
    parts, atoms = density.shape[:2]
    rows, columns = _triangle(shape, parity)
    found = []
    if order == 0 and parity == 1:
        found.append(np.full((parts, 1, 1), float(atoms)))
    if parity == 1:
        found.append(density[:, :, order**2 : (order + 1) ** 2].sum(axis=1))
    for l1, l2 in pairs(order, shape.l_max, parity):
        products = coupled_products(density, l1, l2, coupling(l1, l2, order))
        found.append(products[..., rows, columns] if l1 == l2 else products.reshape(parts, 2 * order + 1, -1))
    return np.concatenate(found, axis=2) if found else np.zeros((parts, 2 * order + 1, 0))


def coupled_products(density: np.ndarray, l1: int, l2: int, coefficients: np.ndarray) -> np.ndarray:
    """Σ_atoms Σ_{m1 m2} G(m1 m2 M) c_{l1 m1,k} c_{l2 m2,q}, shape (parts, 2 λ + 1, channels, channels).

    The density has shape (parts, atoms, harmonics, channels).
    """
    parts, atoms, _, channels = density.shape
    heights, components = (2 * l1 + 1, 2 * l2 + 1), coefficients.shape[2]
    first, second = (density[:, :, l * l : (l + 1) ** 2] for l in (l1, l2))  # noqa: E741
    if atoms * components > MANY_PRODUCTS:
        first, second = (own.reshape(parts, atoms, -1) for own in (first, second))
        products = (first.swapaxes(1, 2) @ second).reshape(parts, heights[0], channels, heights[1], channels)
        return np.einsum("pakbq,abM->pMkq", products, coefficients, optimize=True)
    by_rows = coefficients.transpose(0, 2, 1).reshape(-1, heights[1])  # (m1 M, m2)
    coupled = (by_rows @ second).reshape(parts, atoms * heights[0], components * channels)
    products = first.reshape(parts, atoms * heights[0], channels).swapaxes(1, 2) @ coupled
    return products.reshape(parts, channels, components, channels).swapaxes(1, 2)


def head_from_features(order: int, shape: DensityShape, solution: np.ndarray, parity: int = 1) -> TensorHead:
    """Turn the weights of `features` into a head."""
    sizes = feature_sizes(order, shape, parity)
    channels = shape.channels
    triangle = _triangle(shape, parity)
    own_pairs = pairs(order, shape.l_max, parity)
    parts = [np.split(row, np.cumsum(sizes)[:-1]) for row in solution.reshape(shape.species, sum(sizes))]
    offset, linear = np.zeros(shape.species), np.zeros((shape.species, channels))
    weights = np.zeros((len(own_pairs), shape.species, channels, channels))
    for kind, (own_offset, own_linear, *quadratic) in enumerate(parts):
        offset[kind] = own_offset.sum()  # of one number for λ = 0, else of none
        linear[kind, : len(own_linear)] = own_linear
        for index, ((l1, l2), part) in enumerate(zip(own_pairs, quadratic, strict=True)):
            if l1 == l2:
                weights[index, kind][triangle] += part / 2
                weights[index, kind] += parity * weights[index, kind].T.copy()
            else:
                weights[index, kind] = part.reshape(channels, channels)
    return TensorHead(order, shape, offset, linear, weights, parity)
