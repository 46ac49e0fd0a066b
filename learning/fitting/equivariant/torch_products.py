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
    """Values (lm, atoms, inputs) times the weights (species, lm, inputs, outputs) of the atoms' species."""
    parts = torch.split(values, list(counts), dim=1)
    return torch.cat([torch.bmm(p, w) for p, w in zip(parts, weights, strict=True) if p.shape[1]], dim=1)


def dense(values: torch.Tensor, weights: torch.Tensor, counts: Sequence[int]) -> torch.Tensor:
    """Values (atoms, inputs) times the weights (species, inputs, outputs) of the atoms' species."""
    parts = torch.split(values, list(counts))
    return torch.cat([p @ w for p, w in zip(parts, weights, strict=True) if len(p)])


class Products(torch.nn.Module):
    """Σ_path w_path,k [x_l1,k ⊗ y_l2,k]_LM of x (lm, atoms, channels) and y of the same shape.

    Parameters
    ----------
    paths : sequence of Path
    l_max : int
        Of what comes out.
    is_square : bool
        Whether x and y are the same.
    """

    matrix: torch.Tensor
    sums: torch.Tensor

    def __init__(self, paths: Sequence[Path], l_max: int, is_square: bool):
        super().__init__()
        places: dict[tuple[int, int], int] = {}
        of_path: list[int] = []
        of_row: list[int] = []
        entries: list[tuple[int, int, float]] = []
        for index, (l1, l2, order) in enumerate(paths):
            own = coupling(l1, l2, order)
            for component in range(2 * order + 1):
                for m1, m2 in np.argwhere(own[:, :, component]).tolist():
                    pair = (l1 * l1 + m1, l2 * l2 + m2)
                    pair = (min(pair), max(pair)) if is_square else pair
                    entries.append((len(of_path), places.setdefault(pair, len(places)), own[m1, m2, component]))
                of_path.append(index)
                of_row.append(order**2 + component)
        matrix = torch.zeros(len(of_path), len(places), dtype=torch.float64)
        for row, column, value in entries:
            matrix[row, column] += value
        sums = torch.zeros((l_max + 1) ** 2, len(of_path), dtype=torch.float64)
        sums[of_row, list(range(len(of_path)))] = 1.0
        self.register_buffer("matrix", matrix.float(), persistent=False)
        self.register_buffer("sums", sums.float(), persistent=False)
        self.exact = matrix
        self.first, self.second = (torch.tensor([pair[side] for pair in places]) for side in (0, 1))
        self.of_path = torch.tensor(of_path)

    def forward(
        self, first: torch.Tensor, second: torch.Tensor, weights: torch.Tensor, counts: Sequence[int]
    ) -> torch.Tensor:
        """Products with weights (species, paths, channels), shape (lm, atoms, channels)."""
        return self.coupled(first[self.first] * second[self.second], weights, counts)

    def coupled(self, products: torch.Tensor, weights: torch.Tensor, counts: Sequence[int]) -> torch.Tensor:
        """The same from the products x_(`first`) y_(`second`), shape (pairs of them, atoms, channels)."""
        matrix = self.matrix if products.dtype == torch.float32 else self.exact.to(products)
        _, atoms, channels = products.shape
        rows = (matrix @ products.reshape(len(self.first), -1)).reshape(-1, atoms, channels)
        own = [w[self.of_path][:, None].expand(-1, count, -1) for w, count in zip(weights, counts, strict=True)]
        rows = rows * torch.cat(own, dim=1)
        return (self.sums.to(products) @ rows.reshape(len(self.of_path), -1)).reshape(-1, atoms, channels)
