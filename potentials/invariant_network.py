"""A nonlinear energy of the invariants of every atom's density."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..pyx.coupling import coupling
from ..pyx.tensor_head import DensityShape, TensorHead, feature_sizes
from ..short_repr import short_repr
from .padding import padded, whole


@dataclass(frozen=True, repr=False)
class InvariantNetwork:
    """Correction to the linear energy of every atom, with weights that depend on its species.

    ``E = finalᵀ h_L``, ``h_k = silu(W_kᵀ h_{k−1} + b_k)``, ``h_0`` the scalar features of
    `beadwise.pyx.tensor_head.features` without the offset: the two-body densities c_00 and the power spectrum of
    Bartók, Kondor, Csányi, Phys. Rev. B 87, 184115 (2013).  Networks of invariants of atomic environments are those of
    Behler, Parrinello, Phys. Rev. Lett. 98, 146401 (2007); silu(x) = x/(1 + e^−x) is that of Elfwing, Uchibe, Doya,
    Neural Networks 107, 3 (2018).

    Parameters
    ----------
    shape : DensityShape
    layers : list of tuple (weights, bias)
        Of shapes (species, inputs, outputs) and (species, outputs), float64.
    final : ndarray of float64, shape (species, outputs of the last layer)
        In eV.

    Raises
    ------
    ValueError
        If a shape does not fit, or a number is not finite.
    """

    shape: DensityShape
    layers: list[tuple[np.ndarray, np.ndarray]]
    final: np.ndarray

    __repr__ = short_repr

    def __post_init__(self) -> None:
        species, inputs = self.shape.species, sum(feature_sizes(0, self.shape)[1:])
        if not self.layers:
            raise ValueError("a network has no layers; it needs at least one")
        for index, (weights, bias) in enumerate(self.layers):
            outputs = weights.shape[-1]
            if weights.shape != (species, inputs, outputs) or bias.shape != (species, outputs):
                raise ValueError(
                    f"layer {index} of a network has weights {weights.shape} and bias {bias.shape}; "
                    f"expected are {(species, inputs, 'outputs')} and {(species, 'outputs')}"
                )
            inputs = outputs
        if self.final.shape != (species, inputs):
            raise ValueError(f"final weights of a network are {self.final.shape}; expected are {(species, inputs)}")
        arrays = [array for layer in self.layers for array in layer] + [self.final]
        if not all(np.isfinite(array).all() for array in arrays):
            raise ValueError("a network has weights that are not finite")

    @property
    def widths(self) -> tuple[int, ...]:
        """Outputs of every layer."""
        return tuple(bias.shape[1] for _, bias in self.layers)

    def kernel_form(self, linear: TensorHead) -> tuple:
        """(skip, layers, final) as `beadwise.pyx.kernel.Kernel` takes it, with the linear energy folded into skip."""
        layers = []
        for index, (weights, bias) in enumerate(self.layers):
            rows = kernel_features(self.shape, weights) if index == 0 else padded(weights, 1)
            layers.append((padded(rows, 2), padded(bias, 1)))
        weights = linear_features(linear)
        missing = sum(feature_sizes(0, self.shape)[1:]) - weights.shape[1]  # of higher l than the linear part reads
        skip = kernel_features(self.shape, np.pad(weights, ((0, 0), (0, missing)))[:, :, None])[:, :, 0]
        return whole(skip), layers, padded(self.final, 1)


def linear_features(head: TensorHead) -> np.ndarray:
    """Weights of the scalar features that give a head of λ = 0 without its offset, shape (species, features)."""
    rows, columns = np.triu_indices(head.shape.channels)
    twice = np.where(rows == columns, 1.0, 2.0)
    return np.concatenate([head.linear, *(twice * weights[:, rows, columns] for weights in head.weights)], axis=1)


def kernel_features(shape: DensityShape, weights: np.ndarray) -> np.ndarray:
    """Weights (species, features, outputs) for the kernel's padded and unnormalised invariants."""
    places = shape.padded_places
    width = shape.groups * shape.padded_radial
    upper = np.zeros((width, width), dtype=int)
    upper[np.triu_indices(width)] = np.arange(width * (width + 1) // 2)
    rows, columns = np.triu_indices(shape.channels)
    triangle = upper[places[rows], places[columns]]
    size = width + (shape.l_max + 1) * width * (width + 1) // 2
    out = np.zeros((len(weights), size, weights.shape[2]))
    out[:, places] = weights[:, : shape.channels]
    first = shape.channels
    for l in range(shape.l_max + 1):  # noqa: E741
        factor = coupling(l, l, 0)[0, 0, 0]
        target = width + l * width * (width + 1) // 2 + triangle
        out[:, target] = factor * weights[:, first : first + len(rows)]
        first += len(rows)
    return padded(out, 1)
