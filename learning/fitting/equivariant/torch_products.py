"""Sums and products of features by species and by angular momentum, in torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ....potentials.equivariant_network import Path
from ....pyx.coupling import coupling


def orders_of(l_max: int) -> torch.Tensor:
    """L of every (l, m)."""
    return torch.tensor([l for l in range(l_max + 1) for _ in range(2 * l + 1)])  # noqa: E741


def by_species(values: torch.Tensor, weights: torch.Tensor, counts: Sequence[int]) -> torch.Tensor:
    """Values (lm, atoms, inputs) times the weights (species or 1, lm, inputs, outputs) of the atoms' species."""
    parts = torch.split(values, kinds_of(weights, counts), dim=1)
    return torch.cat([torch.bmm(p, w) for p, w in zip(parts, weights, strict=True) if p.shape[1]], dim=1)


def dense(values: torch.Tensor, weights: torch.Tensor, counts: Sequence[int]) -> torch.Tensor:
    """Values (atoms, inputs) times the weights (species or 1, inputs, outputs) of the atoms' species."""
    parts = torch.split(values, kinds_of(weights, counts))
    return torch.cat([p @ w for p, w in zip(parts, weights, strict=True) if len(p)])


def kinds_of(weights: torch.Tensor, counts: Sequence[int]) -> list[int]:
    """Atoms that have the same weights, one species after the other: all of them where there is one set of weights."""
    return [sum(counts)] if len(weights) == 1 else list(counts)


class Products(torch.nn.Module):
    """Σ_path w_path,k [x_l1,k ⊗ y_l2,k]_LM of x (lm, atoms, channels) and y of the same shape.

    The weights of a channel and the coupling are made one small matrix first, so that each atom costs one product.

    Parameters
    ----------
    paths : sequence of Path
    l_max : int
        Of what comes out.
    is_square : bool
        Whether x and y are the same.
    """

    first: torch.Tensor
    second: torch.Tensor

    def __init__(self, paths: Sequence[Path], l_max: int, is_square: bool):
        super().__init__()
        places: dict[tuple[int, int], int] = {}
        entries: list[tuple[int, int, int, float]] = []
        for index, (l1, l2, order) in enumerate(paths):
            own = coupling(l1, l2, order)
            for m1, m2, component in np.argwhere(own).tolist():
                pair = (l1 * l1 + m1, l2 * l2 + m2)
                pair = (min(pair), max(pair)) if is_square else pair
                row = order**2 + component
                entries.append((index, row, places.setdefault(pair, len(places)), own[m1, m2, component]))
        self.exact = torch.zeros(len(paths), (l_max + 1) ** 2, len(places), dtype=torch.float64)
        for index, row, column, value in entries:
            self.exact[index, row, column] += value
        for name, side in (("first", 0), ("second", 1)):
            self.register_buffer(name, torch.tensor([pair[side] for pair in places]), persistent=False)

    def forward(
        self, first: torch.Tensor, second: torch.Tensor, weights: torch.Tensor, counts: Sequence[int]
    ) -> torch.Tensor:
        """Products with weights (species, paths, channels), shape (lm, atoms, channels)."""
        x, y = first.permute(2, 0, 1).contiguous(), second.permute(2, 0, 1).contiguous()
        return self.coupled(x.index_select(1, self.first) * y.index_select(1, self.second), weights, counts)

    def coupled(self, products: torch.Tensor, weights: torch.Tensor, counts: Sequence[int]) -> torch.Tensor:
        """The same from the products x_(`first`) y_(`second`), shape (channels, pairs of them, atoms)."""
        paths, size, columns = self.exact.shape
        matrices = weights.transpose(1, 2) @ self.exact.to(products).reshape(paths, -1)
        parts = torch.split(products, list(counts), dim=2)
        own = matrices.reshape(len(weights), -1, size, columns)
        found = torch.cat([torch.bmm(m, p) for m, p in zip(own, parts, strict=True) if p.shape[2]], dim=2)
        return found.permute(1, 2, 0)
