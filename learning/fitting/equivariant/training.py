"""The training of an equivariant network on energies, forces and stresses."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ....model import Model
from ....progress import Progress
from ...data import Frame
from ...logs.journal import Journal
from ..checkpoint import Checkpoint, fingerprint
from ..configuration import ConfigurationError, EnergySettings, EquivariantSettings
from ..network_fit import Residual
from .surroundings import Gathered, Surroundings, gather
from .torch_network import TorchEquivariant

STAGE = "equivariant network"
WARM_UP = 100  # steps in which the learning rate rises
LOOKS = 50  # at the validation frames, at most
LARGEST_STEP = 10.0  # norm of a gradient of a hundred times the relative loss
MEASURED = 100  # frames that set the scales
UNIT = 0.3  # of the root mean square force times 1 Å: the energy that outputs near one stand for


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


def learning_rate(settings: EquivariantSettings, step: int, steps: int) -> float:
    """Rising, then falling with a half cosine (Loshchilov, Hutter, arXiv:1608.03983)."""
    return settings.learning_rate * min(1.0, (step + 1) / WARM_UP) * (0.5 + 0.5 * math.cos(math.pi * step / steps))


class Training:
    """Steps of an optimiser over examples, with an average of the weights.

    Parameters
    ----------
    objective : Objective
    settings : EquivariantSettings
    examples, validation : sequence of Example
    """

    def __init__(
        self,
        objective: Objective,
        settings: EquivariantSettings,
        examples: Sequence[Example],
        validation: Sequence[Example],
    ):
        self.objective, self.settings, self.examples, self.validation = objective, settings, examples, validation
        self.network = objective.network
        self.optimiser = torch.optim.Adam(self.network.parameters(), settings.learning_rate, (0.9, 0.99), amsgrad=True)
        self.average = [own.detach().clone() for own in self.network.parameters()]
        self.per_pass = math.ceil(len(examples) / settings.batch)
        self.steps, self.done = settings.epochs * self.per_pass, 0
        self.best: dict[str, torch.Tensor] = {}
        self.lowest, self.unimproved = math.inf, 0

    def state(self) -> dict[str, Any]:
        """All that a later training needs to go on."""
        return {
            "done": self.done,
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "average": self.average,
            "best": self.best,
            "lowest": self.lowest,
            "unimproved": self.unimproved,
        }

    def go_on(self, state: dict[str, Any]) -> None:
        """Take a state that was kept."""
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.done, self.average, self.best = state["done"], state["average"], state["best"]
        self.lowest, self.unimproved = state["lowest"], state["unimproved"]

    @property
    def passes(self) -> int:
        """Passes that are over."""
        return self.done // self.per_pass

    def one_pass(self, tell: Any) -> float:
        """Go once over the examples; the mean of the losses.

        Raises
        ------
        ConfigurationError
            If the loss is not finite.
        """
        settings, losses = self.settings, []
        order = np.random.default_rng([settings.seed, self.passes]).permutation(len(self.examples))
        for place in range(0, len(order), settings.batch):
            for group in self.optimiser.param_groups:
                group["lr"] = learning_rate(settings, self.done, self.steps)
            loss, _ = self.objective([self.examples[k] for k in order[place : place + settings.batch]], True)
            if not torch.isfinite(loss):
                raise ConfigurationError(
                    f"the fit of the network diverged at step {self.done + 1} of {self.steps} with learning_rate = "
                    f"{settings.learning_rate} in [equivariant]; lower it"
                )
            self.optimiser.zero_grad()
            (100 * loss).backward()
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), LARGEST_STEP)
            self.optimiser.step()
            self.done += 1
            share = 1 - min(settings.averaging, self.done / (self.done + 9))
            torch._foreach_lerp_(self.average, [own.detach() for own in self.network.parameters()], share)
            losses.append(loss.item())
            tell(self.done, float(np.mean(losses)))
        return float(np.mean(losses))

    def averaged_errors(self) -> Errors:
        """Errors of the averaged weights on the validation frames; the best weights are kept."""
        current = [own.detach().clone() for own in self.network.parameters()]
        self._take(self.average)
        found = self.objective.errors(self.validation, self.settings.batch)
        self.unimproved += 1
        if found.loss < self.lowest:
            self.lowest, self.unimproved = found.loss, 0
            self.best = {name: own.detach().clone() for name, own in self.network.state_dict().items()}
        self._take(current)
        return found

    def finish(self) -> None:
        """Leave the best weights in the network; without validation frames, the average."""
        if self.best:
            self.network.load_state_dict(self.best)
        else:
            self._take(self.average)

    @torch.no_grad()
    def _take(self, weights: Sequence[torch.Tensor]) -> None:
        for own, value in zip(self.network.parameters(), weights, strict=True):
            own.copy_(value)


def fit_equivariant(
    model: Model,
    frames: Sequence[Frame],
    energy: EnergySettings,
    settings: EquivariantSettings,
    progress: Progress | None = None,
    isolated: Collection[int] = (),
    journal: Journal | None = None,
    validation: Sequence[Frame] = (),
    kept: Path | None = None,
) -> Model:
    """The model with an equivariant network that learns what its energy leaves over; its errors are its metadata.

    The optimiser is that of Kingma, Ba, arXiv:1412.6980; its steps are averaged with weights that fall exponentially
    into the past (Polyak, Juditsky, SIAM J. Control Optim. 30, 838 (1992)).

    Parameters
    ----------
    model : Model
    frames : sequence of Frame
    energy : EnergySettings
        Expected errors, which weigh the labels.
    settings : EquivariantSettings
    progress : Progress, optional
        Told steps done, steps in all, the pass over the frames, its mean loss so far and the last validation errors.
    isolated : collection of int
        Atomic numbers whose isolated atoms keep the energy that they have in the model.
    journal : Journal, optional
        Told of each pass: its number, mean loss and learning rate, and the errors on the validation frames.
    validation : sequence of Frame
        On which the averaged weights are tried; the best ones are taken.
    kept : Path, optional
        File for the state of the training, which goes on from there if it was stopped.

    Raises
    ------
    ConfigurationError
        If the fit diverges.
    """
    torch.manual_seed(settings.seed)
    examples, others = examples_of(model, frames, energy), examples_of(model, validation, energy)
    is_anchored = np.array([number in isolated for number in model.numbers])
    network = TorchEquivariant(
        model, settings.channels, settings.l_max, settings.hidden, {"energy": 0}, settings.sent, settings.l_sent
    )
    forces = np.concatenate([own.residual.forces.ravel() for own in examples])
    size = float(np.sqrt(np.nanmean(forces**2))) or float(np.std([own.residual.energy for own in examples])) or 1.0
    some = [own.surroundings for own in examples[:: max(1, len(examples) // MEASURED)]]
    network.measure(gather(model, some, settings.l_max, network.input_scales), {"energy": UNIT * size})
    objective = Objective(model, network, is_anchored, loss_of_nothing(examples) or 1.0)
    training = Training(objective, settings, examples, others)
    residuals = [own.residual for own in examples + others]
    labels = [array for own in residuals for array in (np.array(own.energy), own.forces, own.stress)]
    labels += [own.surroundings.vectors for own in examples]
    sizes = {name: tuple(own.shape) for name, own in network.state_dict().items()}  # another release may have others
    checkpoint = Checkpoint(kept, fingerprint((settings, energy, model.radial.form, len(others), sizes), labels))
    if state := checkpoint.read():
        training.go_on(state)
    train(training, checkpoint, progress, journal)
    fitted, constants = network.fitted()
    head = model.heads["energy"]
    alone = fitted.energies_of_isolated_atoms()
    offset = head.offset + np.where(is_anchored, -alone, constants["energy"])
    heads = {**model.heads, "energy": replace(head, offset=offset)}
    errors = objective.errors(others or examples, settings.batch)
    return replace(model, equivariant=fitted, heads=heads, metadata={"network": vars(errors)})


def errors_of_energy(model: Model, frames: Sequence[Frame], energy: EnergySettings) -> Errors:
    """Errors of a model's energy and forces."""
    return Errors.of_nothing(examples_of(model, frames, energy))


def passes_between_looks(epochs: int) -> int:
    """Passes from one look at the validation frames to the next, so that there are at most `LOOKS`."""
    return math.ceil(epochs / LOOKS)


def train(training: Training, checkpoint: Checkpoint, progress: Progress | None, journal: Journal | None) -> None:
    """Pass over the frames until all passes are done, or the validation frames gain nothing any more."""
    settings, said = training.settings, ""

    def tell(done: int, loss: float) -> None:
        if progress:
            passes = f"pass {(done - 1) // training.per_pass + 1} of {settings.epochs}, loss {loss:.3g}"
            progress(STAGE, done, training.steps, f"{passes}{said}")

    if progress:
        progress(STAGE, training.done, training.steps)
    while training.done < training.steps:
        loss = training.one_pass(tell)
        told: dict[str, Any] = {}
        is_last = training.done == training.steps
        if training.validation and (is_last or training.passes % passes_between_looks(settings.epochs) == 0):
            errors = training.averaged_errors()
            said, told = f", validation {errors.text()}", {"validation": vars(errors)}
        if journal:
            rate = learning_rate(settings, training.done - 1, training.steps)
            number = training.passes
            journal.tell("pass", number=number, of=settings.epochs, loss=loss, learning_rate=rate, **told)
        if settings.patience and training.unimproved >= settings.patience:
            break
        checkpoint.write(training.state(), is_last)
    training.finish()
