"""What an equivariant network is trained for: the loss of frames with labels, and the errors on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from ....model import Batch, Model
from ...data import Frame
from ..accuracy import report_units
from ..configuration import EnergySettings
from ..density_function import Structure
from ..energy_fit import OF_ENERGY
from ..network_fit import Residual
from .quantity_labels import FittedQuantity, QuantityLabels
from .quantity_loss import Errors as OfQuantity
from .quantity_loss import QuantityLoss
from .sources import Answer, answer_from_kernel, answer_from_pairs
from .torch_network import TorchEquivariant


@dataclass(frozen=True)
class Example:
    """A frame as the training sees it.

    Parameters
    ----------
    structure : Structure
    residual : Residual or None
        Of the energy; None where no energy is fitted.
    labels : tuple of QuantityLabels or None
        Of each further quantity; None where the frame says nothing of it.
    """

    structure: Structure
    residual: Residual | None
    labels: tuple[QuantityLabels | None, ...] = ()

    def arrays(self) -> Iterator[np.ndarray]:
        """All labels, and what they count."""
        if self.residual is not None:
            yield from (np.array(self.residual.energy), self.residual.forces, self.residual.stress)
            yield np.array(self.residual.weights)
        for own in filter(None, self.labels):
            yield np.array(own.weight)
            yield from (array for target in own.targets for array in (target.components, target.scales))
            yield from () if own.derivative is None else (own.derivative,)


@dataclass(frozen=True)
class Errors:
    """Mean absolute errors of energies (eV) and forces (eV/Å), root mean square of those of forces, and the loss.

    None is the error of what has no labels.  ``quantities`` has root mean square errors of further labels in their
    units.
    """

    energy: float | None
    force: float | None
    force_rms: float | None
    loss: float
    quantities: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(
        cls, energies: np.ndarray, forces: np.ndarray, loss: float = 0.0, quantities: Mapping[str, float] | None = None
    ) -> Errors:
        """From single ones."""
        energy, force = (float(np.mean(np.abs(own))) if len(own) else None for own in (energies, forces))
        force_rms = float(np.sqrt(np.mean(forces**2))) if len(forces) else None
        return cls(energy, force, force_rms, loss, dict(quantities or {}))

    @classmethod
    def of_nothing(cls, examples: Sequence[Example]) -> Errors:
        """Without a network: of the model that it would add to."""
        residuals = [own.residual for own in examples if own.residual is not None]
        forces = np.concatenate([own.forces.ravel() for own in residuals if own.weights[1]] or [np.zeros(0)])
        energies = np.array([own.energy for own in residuals if own.weights[0]])
        return cls.of(energies, forces[np.isfinite(forces)])

    def text(self) -> str:
        """In words."""
        told = (("forces", self.force, "meV/Å"), ("energies", self.energy, "meV"))
        known = [f"{name} {1000 * own:.3g} {unit}" for name, own, unit in told if own is not None]
        known += [f"{name} {own:.3g} {report_units()[name]}" for name, own in self.quantities.items()]
        return ", ".join(known) or f"loss {self.loss:.3g}"


def examples_of(
    model: Model, frames: Sequence[Frame], energy: EnergySettings | None, fitted: Sequence[FittedQuantity] = ()
) -> list[Example]:
    """Frames with labels that count, less what a model says of them already."""
    found = []
    for frame in frames:
        labels = tuple(own.labels_of(model, frame) for own in fitted)
        has_energy = energy is not None and bool(OF_ENERGY & frame.labels.keys())
        if frame.weight > 0 and (has_energy or any(labels)):
            residual = Residual.of(model, frame, energy) if energy is not None else None
            structure = Structure.of(model, Batch.from_ase(frame.atoms))
            found.append(Example(structure, residual, labels))
    return found


class Objective:
    """The loss of a network on examples: that of the energy and of each quantity, relative to those of no network.

    The energy's is in the units of `[energy]`; the whole is the mean of all, with the weights of the quantities.

    Parameters
    ----------
    model : Model
    network : TorchEquivariant
    is_anchored : ndarray of bool, shape (species,)
        Of every species whether its isolated atoms have no energy from the network.
    examples : sequence of Example
        To be fitted, which give the losses of no network.
    quantities : sequence of FittedQuantity
        Beside the energy, in the order of the examples' labels.
    weight : float
        Of the energy among the quantities.
    """

    def __init__(
        self,
        model: Model,
        network: TorchEquivariant,
        is_anchored: np.ndarray,
        examples: Sequence[Example],
        quantities: Sequence[FittedQuantity] = (),
        weight: float = 1.0,
    ):
        self.model, self.network = model, network
        residuals = [own.residual for own in examples if own.residual is not None]
        self.has_energy, self.scale = bool(residuals), loss_of_nothing(residuals) or 1.0
        self.anchors = torch.as_tensor(is_anchored).float()[:, None] if is_anchored.any() else None
        self.quantities = [
            QuantityLoss(own, own.loss_of_nothing(labels, len(examples)) or 1.0)
            for own, labels in zip(quantities, zip(*(own.labels for own in examples), strict=True), strict=True)
        ]
        self.weights = [weight * self.has_energy, *(own.weight for own in quantities)]
        self.random = np.random.default_rng(0)

    def __call__(
        self, examples: Sequence[Example], is_trained: bool
    ) -> tuple[torch.Tensor, list[np.ndarray], list[OfQuantity]]:
        """Relative loss, and errors of energies, of force components, and of each quantity.

        There is a graph of it only where it is trained.
        """
        answer = self.answer(examples)
        losses, of_energy = [self.network.input_scales.new_zeros(())], [np.zeros(0), np.zeros(0)]
        if self.has_energy:
            losses[0], of_energy = self._of_energy(answer, examples, is_trained)
        of_quantities = []
        for place, own in enumerate(self.quantities):
            labels = [example.labels[place] for example in examples]
            loss, errors = own(answer, labels, self.random if is_trained else None)
            losses.append(loss)
            of_quantities.append(errors)
        weights = torch.tensor(self.weights).to(losses[0])
        total = (weights * torch.stack(losses)).sum() / weights.sum()
        return total, of_energy, of_quantities

    def answer(self, examples: Sequence[Example]) -> Answer:
        """What the network says of examples."""
        if self.network.message is None and self.network.input_scales.device.type == "cpu":
            return answer_from_kernel(self.network, [own.structure for own in examples])
        return answer_from_pairs(self.model, self.network, [own.structure for own in examples])

    def _of_energy(
        self, answer: Answer, examples: Sequence[Example], is_trained: bool
    ) -> tuple[torch.Tensor, list[np.ndarray]]:
        """Relative loss of the energy, and errors of energies and of force components."""
        energies = answer.outputs["energy"]
        if self.anchors is not None:
            energies = energies - (self.anchors * self.network.of_isolated_atoms())[answer.species]
        gradients, strains = answer.gradients(energies.sum(), is_trained)
        total = energies.new_zeros(len(examples)).index_add(0, answer.frame, energies[:, 0])
        residuals = [own.residual for own in examples if own.residual is not None]
        return self._loss(residuals, answer, total, gradients, strains)

    def _loss(
        self,
        residuals: Sequence[Residual],
        answer: Answer,
        energies: torch.Tensor,
        gradients: torch.Tensor,
        strains: torch.Tensor,
    ) -> tuple[torch.Tensor, list[np.ndarray]]:
        def tensor(values: Any) -> torch.Tensor:
            return torch.as_tensor(np.array(values)).to(energies)

        atoms = tensor([own.structure.atoms for own in residuals])
        weights = tensor([own.weights for own in residuals]) / (3 * atoms[:, None] * len(residuals))
        energy_errors = energies - tensor([own.energy for own in residuals])
        wanted = tensor(np.concatenate([own.forces for own in residuals]))[answer.order]
        is_known = torch.isfinite(wanted) & (weights[:, 1] > 0)[answer.frame][:, None]
        force_errors = torch.where(is_known, gradients + wanted, 0.0)  # atoms may have no label
        loss = (weights[:, 0] * energy_errors**2).sum()
        loss = loss + (weights[:, 1][answer.frame] * force_errors.square().sum(dim=1)).sum()
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
        quantities: list[OfQuantity] = [[] for _ in self.quantities]
        for first in range(0, len(examples), together):
            some = examples[first : first + together]
            own, (of_energies, of_forces), of_quantities = self(some, False)
            loss += float(own.detach()) * len(some) / len(examples)
            energies.append(of_energies)
            forces.append(of_forces)
            for known, further in zip(quantities, of_quantities, strict=True):
                known += further
        named: dict[str, float] = {}
        for one, errors in zip(self.quantities, quantities, strict=True):
            named |= one.fitted.errors_in_units(errors)
        return Errors.of(np.concatenate(energies), np.concatenate(forces), loss, named)


def loss_of_nothing(residuals: Sequence[Residual]) -> float:
    """What the loss of the energy is without a network."""
    total = 0.0
    for residual in residuals:
        squares = residual.energy**2, np.nansum(residual.forces**2), np.sum(residual.stress**2)
        total += float(np.dot(residual.weights, squares)) / (3 * residual.structure.atoms)
    return total / max(len(residuals), 1)


def errors_of_energy(model: Model, frames: Sequence[Frame], energy: EnergySettings) -> Errors:
    """Errors of a model's energy and forces."""
    return Errors.of_nothing(examples_of(model, frames, energy))
