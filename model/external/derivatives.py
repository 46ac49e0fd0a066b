"""Derivatives of what a network of torch answers, by automatic differentiation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def gradients(value: Tensor, inputs: Sequence[Tensor]) -> list[Tensor]:
    """Derivatives of the sum of all values by each input, in one sweep back; the graph is kept for others.

    They are zeros where nothing depends on an input, as on positions where no atom has a neighbour.
    """
    import torch

    if not value.requires_grad or not inputs:
        return [torch.zeros_like(one) for one in inputs]
    own = torch.autograd.grad([value.sum()], list(inputs), retain_graph=True, allow_unused=True)
    return [torch.zeros_like(one) if slope is None else slope for one, slope in zip(inputs, own, strict=True)]


def in_field(energies: Tensor, dipoles: Tensor, electric_field: Sequence[float]) -> Tensor:
    """Energies in a static field E, U − E·μ, of which forces and virial in the field are derivatives.

    Parameters
    ----------
    energies : Tensor, shape (beads,) or (beads, members)
        In eV.
    dipoles : Tensor, shape (beads, 3)
        In e·Å.
    electric_field : sequence of float, length 3
        In V/Å.  P. Umari, A. Pasquarello, Phys. Rev. Lett. 89, 157602 (2002).
    """
    added = -(dipoles @ dipoles.new_tensor(list(electric_field)))
    return energies + added.reshape(-1, *[1] * (energies.ndim - 1))
