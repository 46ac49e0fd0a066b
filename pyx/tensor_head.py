"""A quantity of angular momentum λ read from the density: its parameters, its features, and its form for the kernel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .coupling import coupling, pairs


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


@dataclass(frozen=True)
class TensorHead:
    """Linear and coupled quadratic form of the density of every atom, with weights that depend on its species.

    ``y_M = offset δ_λ0 + Σ_k linear_k c_{λM,k} + Σ_{l1 l2} Σ_{m1 m2} G(m1 m2 M) c_{l1 m1}ᵀ V^{l1 l2} c_{l2 m2}``,
    the λ-SOAP form of Grisafi et al., Phys. Rev. Lett. 120, 036002 (2018), for couplings of even parity; for λ = 0 the
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
        V of every pair (l1, l2) of `pairs`; symmetric where l1 = l2.
    """

    order: int
    shape: DensityShape
    offset: np.ndarray
    linear: np.ndarray
    weights: np.ndarray

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

    @property
    def l_max(self) -> int:
        """Highest angular momentum that the head reads."""
        return self.shape.l_max

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """The pairs (l1, l2) that couple."""
        return pairs(self.order, self.shape.l_max)

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
            blocks.append((l1, l2, l1 == l2, coupling(l1, l2, self.order), padded))
        return (self.order, np.ascontiguousarray(self.offset, dtype=np.float64), linear, blocks)


def feature_sizes(order: int, shape: DensityShape) -> list[int]:
    """Lengths of the parts of one species' feature vector: offset (λ = 0 only), linear, then every pair (l1, l2)."""
    channels = shape.channels
    triangle = channels * (channels + 1) // 2
    quadratic = [triangle if l1 == l2 else channels * channels for l1, l2 in pairs(order, shape.l_max)]
    return [1 if order == 0 else 0, channels, *quadratic]


def features(order: int, shape: DensityShape, density: np.ndarray, species: np.ndarray) -> np.ndarray:
    """Features whose weights make a `TensorHead`, summed over the atoms of each species.

    Parameters
    ----------
    order : int
        λ.
    shape : DensityShape
    density : ndarray of float64, shape (atoms, harmonics, channels)
    species : ndarray of int, shape (atoms,)
        Species indices.

    Returns
    -------
    ndarray of float64, shape (2 λ + 1, species * sum(feature_sizes))
    """
    upper = np.triu_indices(shape.channels)
    columns = []
    for kind in range(shape.species):
        own = density[species == kind]
        if order == 0:
            columns.append(np.full((1, 1), float(len(own))))
        columns.append(own[:, order**2 : (order + 1) ** 2].sum(axis=0))
        for l1, l2 in pairs(order, shape.l_max):
            products = coupled_products(own, l1, l2, coupling(l1, l2, order))
            columns.append(products[:, upper[0], upper[1]] if l1 == l2 else products.reshape(len(products), -1))
    return np.concatenate(columns, axis=1)


def coupled_products(density: np.ndarray, l1: int, l2: int, coefficients: np.ndarray) -> np.ndarray:
    """Σ_atoms Σ_{m1 m2} G(m1 m2 M) c_{l1 m1,k} c_{l2 m2,q}, shape (2 λ + 1, channels, channels)."""
    atoms, _, channels = density.shape
    first = density[:, l1 * l1 : (l1 + 1) ** 2].reshape(atoms, (2 * l1 + 1) * channels)  # of no atoms, too
    second = density[:, l2 * l2 : (l2 + 1) ** 2].reshape(atoms, (2 * l2 + 1) * channels)
    gram = (first.T @ second).reshape(2 * l1 + 1, channels, 2 * l2 + 1, channels)
    return np.einsum("akbq,abM->Mkq", gram, coefficients, optimize=True)


def head_from_features(order: int, shape: DensityShape, solution: np.ndarray) -> TensorHead:
    """Turn the weights of `features` into a head."""
    sizes = feature_sizes(order, shape)
    channels = shape.channels
    upper = np.triu_indices(channels)
    parts = [np.split(row, np.cumsum(sizes)[:-1]) for row in solution.reshape(shape.species, sum(sizes))]
    weights = np.zeros((len(pairs(order, shape.l_max)), shape.species, channels, channels))
    for kind, (_, _, *quadratic) in enumerate(parts):
        for index, ((l1, l2), part) in enumerate(zip(pairs(order, shape.l_max), quadratic, strict=True)):
            if l1 == l2:
                weights[index, kind][upper] += part / 2
                weights[index, kind] += weights[index, kind].T.copy()
            else:
                weights[index, kind] = part.reshape(channels, channels)
    offset = np.array([part[0][0] if order == 0 else 0.0 for part in parts])
    linear = np.array([part[1] for part in parts])
    return TensorHead(order, shape, offset, linear, weights)
