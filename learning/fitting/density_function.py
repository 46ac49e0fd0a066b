"""The compiled density as a differentiable function of torch, for fitting what has no closed form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ...model import Batch, Model


@dataclass(frozen=True)
class Structure:
    """One structure, ready for the kernel of a model."""

    model: Model
    batch: Batch
    species: np.ndarray

    @classmethod
    def of(cls, model: Model, batch: Batch) -> Structure:
        """A structure of one bead.

        Raises
        ------
        StructureError
            If a species is unknown to the model.
        """
        return cls(model, batch, model.species_indices(batch.numbers))

    @property
    def atoms(self) -> int:
        """Number of atoms."""
        return self.batch.atoms

    @property
    def arguments(self) -> tuple:
        """First arguments of the kernel's functions."""
        return self.species, self.batch.positions, self.batch.cells, self.batch.periodic

    def padded(self) -> np.ndarray:
        """Zeros in the shape of the kernel's density."""
        shape = self.model.shape
        return np.zeros((1, self.atoms, shape.harmonics, shape.groups * shape.padded_radial))


class DensityFunction(torch.autograd.Function):
    """Densities of several structures, with gradients that can be differentiated once more by their adjoints.

    That is all that fitting forces needs: forces are linear in the adjoint of the density, so the gradient of a loss of
    the forces is a directional derivative of the density (Pearlmutter, Neural Computation 6, 147 (1994)).  Second
    derivatives by the positions are not available.
    """

    @staticmethod
    def forward(
        ctx: Any, structures: Sequence[Structure], positions: torch.Tensor, strains: torch.Tensor
    ) -> torch.Tensor:
        """Densities, shape (all atoms, harmonics, channels), float64.

        Parameters
        ----------
        structures : sequence of Structure
            Where the density is evaluated.
        positions : Tensor of float64, shape (all atoms, 3)
        strains : Tensor of float64, shape (structures, 3, 3)
            Not read: the two stand for the variables by which to differentiate.
        """
        ctx.structures = structures
        return torch.from_numpy(np.concatenate([s.model.density(s.batch)[0] for s in structures]))

    @staticmethod
    def backward(ctx: Any, adjoint: torch.Tensor) -> tuple:  # type: ignore[override]
        """Gradients by positions and strains."""
        return None, *PullBack.apply(ctx.structures, adjoint)


class PullBack(torch.autograd.Function):
    """Gradients of the inner product of densities with an adjoint: linear in the adjoint, so easily derived again."""

    @staticmethod
    def forward(ctx: Any, structures: Sequence[Structure], adjoint: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Gradients by positions (all atoms, 3) and strains (structures, 3, 3)."""
        ctx.structures = structures
        all_gradients, all_strains, first = [], [], 0
        values = adjoint.detach().numpy()
        for structure in structures:
            padded = structure.padded()
            padded[0][..., structure.model.shape.padded_places] = values[first : first + structure.atoms]
            gradients, strains = np.zeros((1, structure.atoms, 3)), np.zeros((1, 3, 3))
            structure.model.kernel.pull_back(*structure.arguments, padded, gradients, strains, structure.model.threads)
            all_gradients.append(gradients[0])
            all_strains.append(strains)
            first += structure.atoms
        return torch.from_numpy(np.concatenate(all_gradients)), torch.from_numpy(np.concatenate(all_strains))

    @staticmethod
    def backward(ctx: Any, displacements: torch.Tensor, strains: torch.Tensor) -> tuple:  # type: ignore[override]
        """Directional derivative of the density."""
        tangents, first = [], 0
        for index, structure in enumerate(ctx.structures):
            tangent = structure.padded()
            own = np.ascontiguousarray(displacements[None, first : first + structure.atoms].numpy())
            strain = np.ascontiguousarray(strains[None, index].numpy())
            structure.model.kernel.push_forward(*structure.arguments, own, strain, tangent, structure.model.threads)
            tangents.append(tangent[0][..., structure.model.shape.padded_places])
            first += structure.atoms
        return None, torch.from_numpy(np.concatenate(tangents))
