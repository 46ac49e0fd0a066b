"""What a network says of some frames, and how it changes with their positions and cells: from pairs, or the kernel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ....model import Model
from ..density_function import DensityFunction, Structure
from .surroundings import Gathered, gather
from .torch_network import TorchEquivariant
from .torch_products import orders_of


@dataclass(frozen=True)
class Answer:
    """Outputs of a network for the atoms of several frames, sorted by species, and what they can be derived by.

    Parameters
    ----------
    outputs : dict of str to Tensor
        By head, shape (atoms, 2 λ + 1).
    species, frame : Tensor of int64, shape (atoms,)
    order : Tensor of int64, shape (atoms,)
        Place of each atom in the frames behind each other.
    frames : int
    sources : tuple of Tensor
        Radial functions and harmonics of ``gathered``, else positions and strains.
    gathered : Gathered or None
    """

    outputs: dict[str, torch.Tensor]
    species: torch.Tensor
    frame: torch.Tensor
    order: torch.Tensor
    frames: int
    sources: tuple[torch.Tensor, torch.Tensor]
    gathered: Gathered | None = None

    def gradients(self, total: torch.Tensor, is_trained: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """Derivatives of a sum of outputs by positions (atoms, 3) and by the strain of each frame (frames, 3, 3)."""
        slopes = torch.autograd.grad(total, self.sources, create_graph=is_trained, retain_graph=True)
        if self.gathered is not None:
            return self.gathered.gradients(*slopes)
        positions, strains = (own.to(total) for own in slopes)
        return positions[self.order], strains


def answer_from_pairs(model: Model, network: TorchEquivariant, frames: Sequence[Structure]) -> Answer:
    """From the pairs of all atoms: on any device, and with messages."""
    own = gather(model, frames, network.l_max, network.input_scales)
    sources = own.radial, own.harmonics
    return Answer(network(own), own.species, own.frame, own.order, own.frames, sources, own)


def answer_from_kernel(network: TorchEquivariant, structures: Sequence[Structure]) -> Answer:
    """From the kernel's densities, which are all that a network without messages reads; much faster on a processor."""
    sizes = [own.atoms for own in structures]
    species = np.concatenate([own.species for own in structures]).astype(np.int64)
    order = torch.from_numpy(np.argsort(species, kind="stable"))
    sorted_species = torch.from_numpy(species)[order]
    frame = torch.from_numpy(np.repeat(np.arange(len(sizes)), sizes))[order]
    positions = torch.zeros(len(species), 3, dtype=torch.float64, requires_grad=True)
    strains = torch.zeros(len(sizes), 3, 3, dtype=torch.float64, requires_grad=True)
    density = DensityFunction.apply(structures, positions, strains)
    orders = orders_of(network.l_max)
    scales = network.input_scales.repeat(1, network.shape.groups)[orders]
    scaled = density[order, : len(orders)].to(scales) * scales
    counts = np.bincount(species, minlength=network.shape.species).tolist()
    outputs = network.of_density(scaled.transpose(0, 1), counts, sorted_species)
    return Answer(outputs, sorted_species, frame, order, len(sizes), (positions, strains))
