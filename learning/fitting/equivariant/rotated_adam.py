"""An optimiser that scales steps along the principal directions of each matrix of weights: SOAP."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch

REFRESH = 10  # steps between turns of the directions
LARGEST = 256  # rows or columns that are turned; a longer side stays as it is
SMALLEST = 1e-8  # added to the root of the mean square


class RotatedAdam(torch.optim.Optimizer):
    """Adam in the basis of principal directions of each matrix's gradients (Vyas et al., arXiv:2409.11321).

    For the gradient G of a matrix, averages of G Gᵀ and Gᵀ G have the eigenvectors Q and P, which one step of
    orthogonal iteration keeps up to date.  The mean square of Qᵀ G P scales the mean of G in the same basis.  Weights
    with more than two axes are stacks of matrices, those with two are stacks of columns, and each has its own basis.

    Parameters
    ----------
    parameters : iterable of Tensor
    learning_rate : float
        Of the first step; later ones are set in `param_groups`.
    decay : float
        By which gradients of each step count less in the mean than those of the next.
    square_decay : float
        The same of mean squares, of entries and of matrices.
    """

    def __init__(
        self,
        parameters: Iterable[torch.Tensor],
        learning_rate: float,
        decay: float = 0.95,
        square_decay: float = 0.99,
    ):
        super().__init__(parameters, {"lr": learning_rate, "decay": decay, "square_decay": square_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change all weights that have a gradient."""
        with torch.enable_grad():
            loss = closure() if closure else None
        for group in self.param_groups:
            for own in group["params"]:
                if own.grad is not None:
                    change = self._direction(self.state[own], as_matrices(own.grad), group)
                    own.add_(change.reshape(own.shape), alpha=-group["lr"])
        return loss

    def _direction(self, state: dict[str, Any], gradient: torch.Tensor, group: dict[str, Any]) -> torch.Tensor:
        """Mean over root mean square of the gradients, both in the basis of their directions; the state goes on."""
        decay, square_decay = group["decay"], group["square_decay"]
        if not state:
            squares = squares_of(gradient)
            state |= {"steps": 0, "mean": torch.zeros_like(gradient), "square": torch.zeros_like(gradient)}
            state |= {"squares": squares, "bases": [None if own is None else directions(own) for own in squares]}
        state["steps"] += 1
        turned = turn(gradient, state["bases"])
        state["mean"].lerp_(gradient, 1 - decay)
        state["square"].mul_(square_decay).addcmul_(turned, turned, value=1 - square_decay)
        mean = turn(state["mean"], state["bases"]) / (1 - decay ** state["steps"])
        scale = (state["square"] / (1 - square_decay ** state["steps"])).sqrt() + SMALLEST
        change = turn(mean / scale, [None if own is None else own.transpose(1, 2) for own in state["bases"]])
        for kept, own in zip(state["squares"], squares_of(gradient), strict=True):
            if kept is not None:
                kept.lerp_(own, 1 - square_decay)
        if state["steps"] % REFRESH == 0:
            refresh(state)
        return change


def as_matrices(values: torch.Tensor) -> torch.Tensor:
    """A stack of matrices, shape (number, rows, columns)."""
    if values.dim() > 2:
        return values.reshape(-1, *values.shape[-2:])
    return values.reshape(-1, values.shape[-1], 1)


def squares_of(gradient: torch.Tensor) -> list[torch.Tensor | None]:
    """G Gᵀ and Gᵀ G of a stack; None of sides that are not turned."""
    rows, columns = gradient.shape[1:]
    left = gradient @ gradient.transpose(1, 2) if 1 < rows <= LARGEST else None
    return [left, gradient.transpose(1, 2) @ gradient if 1 < columns <= LARGEST else None]


def directions(square: torch.Tensor) -> torch.Tensor:
    """Eigenvectors of a stack of symmetric matrices, the largest first."""
    return torch.linalg.eigh(square.double())[1].flip(-1).to(square)


def turn(values: torch.Tensor, bases: list[torch.Tensor | None]) -> torch.Tensor:
    """Qᵀ X P of a stack."""
    left, right = bases
    if left is not None:
        values = left.transpose(1, 2) @ values
    return values if right is None else values @ right


def refresh(state: dict[str, Any]) -> None:
    """Turn the directions by one step of orthogonal iteration, and sort the mean squares as they are sorted."""
    for side, (square, basis) in enumerate(zip(state["squares"], state["bases"], strict=True)):
        if square is None:
            continue
        moved = square @ basis
        order = (basis * moved).sum(dim=1).argsort(dim=1, descending=True)
        along = order[:, :, None] if side == 0 else order[:, None, :]
        state["square"] = state["square"].gather(1 + side, along.expand_as(state["square"]))
        state["bases"][side] = torch.linalg.qr(moved.gather(2, order[:, None, :].expand_as(moved)))[0]
