"""What an equivariant network is trained for: the loss of frames with labels, and the errors on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ....model import Model
from ...data import Frame
from ..configuration import EnergySettings
from ..network_fit import Residual
from .surroundings import Gathered, Surroundings, gather
from .torch_network import TorchEquivariant


@dataclass(frozen=True)
class Example:
    """A frame as the training sees it."""

    surroundings: Surroundings
    residual: Residual


@dataclass(frozen=True)
class Errors:
    """Mean absolute errors of energies (eV) and forces (eV/Å), root mean square of those of forces, and the loss.

    None is the error of what has no labels.
    """

    energy: float | None
    force: float | None
    force_rms: float | None
    loss: float

    @classmethod
    def of(cls, energies: np.ndarray, forces: np.ndarray, loss: float = 0.0) -> Errors:
        """From single ones."""
        energy, force = (float(np.mean(np.abs(own))) if len(own) else None for own in (energies, forces))
        return cls(energy, force, float(np.sqrt(np.mean(forces**2))) if len(forces) else None, loss)

    @classmethod
    def of_nothing(cls, examples: Sequence[Example]) -> Errors:
        """Without a network: of the model that it would add to."""
        residuals = [own.residual for own in examples]
        forces = np.concatenate([own.forces.ravel() for own in residuals if own.weights[1]] or [np.zeros(0)])
        energies = np.array([own.energy for own in residuals if own.weights[0]])
        return cls.of(energies, forces[np.isfinite(forces)])

    def text(self) -> str:
        """In words."""
        told = (("forces", self.force, "meV/Å"), ("energies", self.energy, "meV"))
        known = [f"{name} {1000 * own:.3g} {unit}" for name, own, unit in told if own is not None]
        return ", ".join(known) or f"loss {self.loss:.3g}"


def labelled(frames: Sequence[Frame]) -> list[Frame]:
    """The frames with labels of the energy that count."""
    return [frame for frame in frames if {"energy", "forces", "stress"} & set(frame.labels) and frame.weight > 0]


def examples_of(model: Model, frames: Sequence[Frame], energy: EnergySettings) -> list[Example]:
    """Frames with labels of the energy, less what a model says of them already."""
    return [Example(Surroundings.of(model, f.atoms), Residual.of(model, f, energy)) for f in labelled(frames)]


class Objective:
    """The loss of a network on examples, in the units of `[energy]`, relative to that of no network.

    Parameters
    ----------
    model : Model
    network : TorchEquivariant
    is_anchored : ndarray of bool, shape (species,)
        Of every species whether its isolated atoms have no energy from the network.
    scale : float
        Loss of no network.
    """

    def __init__(self, model: Model, network: TorchEquivariant, is_anchored: np.ndarray, scale: float):
        self.model, self.network, self.scale = model, network, scale
        self.anchors = torch.as_tensor(is_anchored).float()[:, None] if is_anchored.any() else None

    def __call__(self, examples: Sequence[Example], is_trained: bool) -> tuple[torch.Tensor, list[np.ndarray]]:
        """Relative loss, and errors of energies and of force components; a graph of it only where it is trained."""
        like = self.network.input_scales
        gathered = gather(self.model, [own.surroundings for own in examples], self.network.l_max, like)
        energies = self.energies(gathered)
        slopes = torch.autograd.grad(energies.sum(), (gathered.radial, gathered.harmonics), create_graph=is_trained)
        gradients, strains = gathered.gradients(*slopes)
        total = torch.zeros(len(examples), device=like.device).index_add(0, gathered.frame, energies[:, 0])
        return self._loss([own.residual for own in examples], gathered, total, gradients, strains)

    def energies(self, gathered: Gathered) -> torch.Tensor:
        """Energies of atoms, shape (atoms, 1)."""
        energies = self.network(gathered)["energy"]
        if self.anchors is not None:
            energies = energies - (self.anchors * self.network.of_isolated_atoms())[gathered.species]
        return energies

    def _loss(
        self,
        residuals: Sequence[Residual],
        gathered: Gathered,
        energies: torch.Tensor,
        gradients: torch.Tensor,
        strains: torch.Tensor,
    ) -> tuple[torch.Tensor, list[np.ndarray]]:
        def tensor(values: Any) -> torch.Tensor:
            return torch.as_tensor(np.array(values)).to(energies)

        atoms = tensor([own.structure.atoms for own in residuals])
        weights = tensor([own.weights for own in residuals]) / (3 * atoms[:, None] * len(residuals))
        energy_errors = energies - tensor([own.energy for own in residuals])
        wanted = tensor(np.concatenate([own.forces for own in residuals]))[gathered.order]
        is_known = torch.isfinite(wanted) & (weights[:, 1] > 0)[gathered.frame][:, None]
        force_errors = torch.where(is_known, gradients + wanted, 0.0)  # atoms may have no label
        loss = (weights[:, 0] * energy_errors**2).sum()
        loss = loss + (weights[:, 1][gathered.frame] * force_errors.square().sum(dim=1)).sum()
        if any(own.weights[2] for own in residuals):
            volumes = tensor([own.volume for own in residuals])[:, None, None]
            stress_errors = strains / volumes - tensor([own.stress for own in residuals])
            loss = loss + (weights[:, 2] * stress_errors.square().sum(dim=(1, 2))).sum()
        has_energy = (weights[:, 0] > 0).cpu()
        kept = energy_errors.detach().cpu()[has_energy].numpy(), force_errors.detach()[is_known].cpu().numpy()
        return loss / self.scale, list(kept)

    def errors(self, examples: Sequence[Example], together: int) -> Errors:
        """Errors on examples, so many at a time."""
        energies, forces, loss = [], [], 0.0
        for first in range(0, len(examples), together):
            some = examples[first : first + together]
            own, (of_energies, of_forces) = self(some, False)
            loss += float(own.detach()) * len(some) / len(examples)
            energies.append(of_energies)
            forces.append(of_forces)
        return Errors.of(np.concatenate(energies), np.concatenate(forces), loss)


def loss_of_nothing(examples: Sequence[Example]) -> float:
    """What the loss is without a network."""
    total = 0.0
    for residual in (own.residual for own in examples):
        squares = residual.energy**2, np.nansum(residual.forces**2), np.sum(residual.stress**2)
        total += float(np.dot(residual.weights, squares)) / (3 * residual.structure.atoms)
    return total / len(examples)


def errors_of_energy(model: Model, frames: Sequence[Frame], energy: EnergySettings) -> Errors:
    """Errors of a model's energy and forces."""
    return Errors.of_nothing(examples_of(model, frames, energy))
