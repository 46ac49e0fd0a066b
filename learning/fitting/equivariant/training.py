"""The training of an equivariant network on energies, forces, stresses, and whatever quantities read it."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ....model import Model
from ....progress import Progress
from ...data import Frame
from ...logs.journal import Journal
from ..checkpoint import Checkpoint
from ..configuration import ConfigurationError, EnergySettings, EquivariantSettings
from ..kept_equations import fingerprint
from .objective import Errors, Example, Objective, examples_of
from .quantity_labels import FittedQuantity
from .rotated_adam import RotatedAdam
from .starting import check_start, started, take
from .surroundings import gather
from .torch_network import TorchEquivariant

STAGE = "equivariant network"
WARM_UP = 100  # steps in which the learning rate rises
LOOKS = 50  # at the validation frames, at most
LARGEST_STEP = 10.0  # norm of a gradient of a hundred times the relative loss
MEASURED = 100  # frames that set the scales
CHARGE = 0.3  # e: what charges of atoms are like
UNIT = 0.3  # of the root mean square force times 1 Å: the energy that outputs near one stand for


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
        self.optimiser = RotatedAdam(self.network.parameters(), settings.learning_rate)
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
            If the loss or its gradient is not finite.
        """
        settings, losses = self.settings, []
        order = np.random.default_rng([settings.seed, self.passes]).permutation(len(self.examples))
        for place in range(0, len(order), settings.batch):
            for group in self.optimiser.param_groups:
                group["lr"] = learning_rate(settings, self.done, self.steps)
            self.objective.random = np.random.default_rng([settings.seed, self.done])
            loss, *_ = self.objective([self.examples[k] for k in order[place : place + settings.batch]], True)
            if not torch.isfinite(loss):
                raise diverged(settings, self.done + 1, self.steps)
            self.optimiser.zero_grad()
            (100 * loss).backward()
            size = torch.nn.utils.clip_grad_norm_(self.network.parameters(), LARGEST_STEP)
            if not torch.isfinite(size):
                raise diverged(settings, self.done + 1, self.steps)
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
    energy: EnergySettings | None,
    settings: EquivariantSettings,
    progress: Progress | None = None,
    isolated: Collection[int] = (),
    journal: Journal | None = None,
    validation: Sequence[Frame] = (),
    kept: Path | None = None,
    quantities: Sequence[FittedQuantity] = (),
    start: Model | None = None,
) -> Model:
    """The model with an equivariant network that learns what its heads leave over; its errors are its metadata.

    The optimiser is `RotatedAdam`; its steps are averaged with weights that fall exponentially into the past (Polyak,
    Juditsky, SIAM J. Control Optim. 30, 838 (1992)).

    Parameters
    ----------
    model : Model
    frames : sequence of Frame
    energy : EnergySettings or None
        Expected errors, which weigh the labels of the energy; None if the network gives none.
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
    quantities : sequence of FittedQuantity
        That the network gives besides the energy.
    start : Model, optional
        Whose network's weights it starts from.

    Raises
    ------
    ConfigurationError
        If the fit diverges, or the network to start from is of another kind.
    """
    torch.manual_seed(settings.seed)
    examples, others = (examples_of(model, own, energy, quantities) for own in (frames, validation))
    is_anchored = np.array([number in isolated for number in model.numbers])
    heads = {"energy": 0} if energy is not None else {}
    heads |= {head.name: head.order for own in quantities for head in (*own.heads, *own.charge_heads)}
    sizes = settings.channels, settings.l_max, settings.hidden
    of_message = settings.sent, settings.l_sent
    network = TorchEquivariant(model, *sizes, heads, *of_message, settings.shares_weights(len(model.numbers)))
    some = [own.structure for own in examples[:: max(1, len(examples) // MEASURED)]]
    gathered, units = gather(model, some, settings.l_max, network.input_scales), units_of_heads(examples, quantities)
    network.measure(gathered, units)
    if start is not None:
        take(network, check_start(start, settings.start, model, network), gathered, units)
        model = started(model, network, start, examples[:MEASURED], is_anchored)
        examples, others = (examples_of(model, own, energy, quantities) for own in (frames, validation))
    objective = Objective(model, network, is_anchored, examples, quantities, settings.weight_of("energy"))
    training = Training(objective, settings, examples, others)
    labels = [array for own in examples + others for array in (*own.arrays(), own.structure.batch.positions)]
    if start is not None and start.equivariant is not None:
        labels += start.equivariant.arrays()
    shapes = {name: tuple(own.shape) for name, own in network.state_dict().items()}  # another release may have others
    lengths = {own.name: own.length for own in quantities}
    optimiser = type(training.optimiser).__name__, training.optimiser.defaults
    told = settings, energy, model.radial.form, len(others), shapes, lengths, optimiser
    checkpoint = Checkpoint(kept, fingerprint(told, labels))
    if state := checkpoint.read():
        training.go_on(state)
    train(training, checkpoint, progress, journal)
    fitted, constants = network.fitted()
    heads_of_model = dict(model.heads)
    for name, constant in constants.items():
        if name == "energy":
            constant = np.where(is_anchored, -fitted.energies_of_isolated_atoms(), constant)
        head = heads_of_model[name]
        heads_of_model[name] = replace(head, offset=head.offset + constant)
    errors = objective.errors(others or examples, settings.batch)
    if not math.isfinite(errors.loss):
        raise diverged(settings, training.done, training.steps)
    return replace(model, equivariant=fitted, heads=heads_of_model, metadata={"network": vars(errors)})


def diverged(settings: EquivariantSettings, step: int, steps: int) -> ConfigurationError:
    """Error of a fit whose loss is no number any more."""
    return ConfigurationError(
        f"the fit of the network diverged at step {step} of {steps} with learning_rate = {settings.learning_rate} in "
        "[equivariant]; lower it"
    )


def units_of_heads(examples: Sequence[Example], quantities: Sequence[FittedQuantity]) -> dict[str, float]:
    """What outputs near one of each head stand for."""
    residuals = [own.residual for own in examples if own.residual is not None]
    found = {}
    if residuals:
        forces = np.concatenate([own.forces.ravel() for own in residuals])
        size = float(np.sqrt(np.nanmean(forces**2))) or float(np.std([own.energy for own in residuals])) or 1.0
        found["energy"] = UNIT * size
    for place, own in enumerate(quantities):
        size = own.size(example.labels[place] for example in examples)
        found |= {head.name: UNIT * size for head in own.heads}
        found |= {head.name: UNIT * CHARGE for head in own.charge_heads}
    return found


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
