"""The nonlinear part of the energy, by stochastic gradient descent on what the linear part leaves over."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ...model import Batch, Model
from ...potentials.invariant_network import InvariantNetwork
from ...progress import Progress
from ...pyx.coupling import coupling
from ...pyx.tensor_head import DensityShape
from ..data import Frame
from ..logs.journal import Journal
from .checkpoint import Checkpoint
from .configuration import ConfigurationError, EnergySettings, NetworkSettings
from .density_function import DensityFunction, Structure
from .kept_equations import fingerprint

STAGE = "energy network"
CONSTANT = 1e-6  # of the common scale: below it a feature is taken to be constant in the training data
WARM_UP = 0.02  # fraction of the steps in which the learning rate rises
AVERAGED_STEPS = 100  # over which the weights are averaged, or a tenth of all if these are fewer


@dataclass(frozen=True)
class Residual:
    """Labels of a frame minus what linear energy and repulsion say; weights are zero where there is no label."""

    structure: Structure
    energy: float
    forces: np.ndarray
    stress: np.ndarray
    volume: float
    weights: tuple[float, float, float]

    @classmethod
    def of(cls, model: Model, frame: Frame, settings: EnergySettings) -> Residual:
        """Residual labels of a frame, in eV, eV/Å and eV/Å³; weights are those of the linear fit."""
        batch = Batch.from_ase(frame.atoms)
        known, labels = model.evaluate(batch, ("energy", "forces", "virial")), frame.labels
        volume = frame.atoms.get_volume() if "stress" in labels else 1.0
        return cls(
            Structure.of(model, batch),
            float(labels["energy"] - known.energy[0]) if "energy" in labels else 0.0,
            labels["forces"] - known.forces[0] if "forces" in labels else np.zeros((batch.atoms, 3)),
            labels["stress"] + known.virial[0] / volume if "stress" in labels else np.zeros((3, 3)),
            volume,
            (
                frame.weight * ("energy" in labels) / (settings.energy_error**2 * batch.atoms),
                frame.weight * ("forces" in labels) / settings.force_error**2,
                frame.weight * ("stress" in labels) / settings.stress_error**2,
            ),
        )


class Network(torch.nn.Module):
    """The function of `beadwise.potentials.invariant_network.InvariantNetwork` on scaled features, in single precision.

    Parameters
    ----------
    shape : DensityShape
    hidden : sequence of int
        Outputs of every layer.
    means, scales : Tensor of float32, shape (species, features)
    is_anchored : sequence of bool
        Of every species whether its isolated atoms have no energy from the network.
    """

    def __init__(
        self,
        shape: DensityShape,
        hidden: Sequence[int],
        means: torch.Tensor,
        scales: torch.Tensor,
        is_anchored: Sequence[bool] = (),
    ):
        super().__init__()
        self.shape = shape
        self.means, self.scales = means, scales
        self.is_anchored = is_anchored or [False] * shape.species
        widths = [means.shape[1], *hidden]
        self.layers: list[list[torch.nn.Linear]] = [
            [torch.nn.Linear(*pair) for pair in itertools.pairwise(widths)] for _ in range(shape.species)
        ]
        self.registered = torch.nn.ModuleList(layer for kind in self.layers for layer in kind)
        self.final = torch.nn.Parameter(torch.zeros(shape.species, widths[-1]))

    def forward(self, density: torch.Tensor, species: torch.Tensor) -> torch.Tensor:
        """Energies of all atoms in eV, shape (atoms,), from densities (atoms, harmonics, channels)."""
        energies = torch.zeros(len(density), dtype=density.dtype)
        for kind in range(self.shape.species):
            chosen = torch.nonzero(species == kind)[:, 0]
            own = self._energies(kind, invariants(self.shape, density[chosen]))
            if self.is_anchored[kind]:
                own = own - self._energies(kind, torch.zeros_like(self.means[kind])[None])
            energies = energies.index_add(0, chosen, own)
        return energies

    def _energies(self, kind: int, features: torch.Tensor) -> torch.Tensor:
        values = (features - self.means[kind]) / self.scales[kind]
        for layer in self.layers[kind]:
            values = torch.nn.functional.silu(layer(values))
        return values @ self.final[kind]

    def fitted(self) -> InvariantNetwork:
        """The network on features as they are, in double precision."""
        means, scales = self.means.double().numpy(), self.scales.double().numpy()
        layers = []
        for index in range(len(self.layers[0])):
            own = [kind[index] for kind in self.layers]
            weights = np.array([layer.weight.detach().double().numpy().T for layer in own])
            bias = np.array([layer.bias.detach().double().numpy() for layer in own])
            if index == 0:
                weights = weights / scales[:, :, None]
                bias = bias - np.einsum("sf,sfo->so", means, weights)
            layers.append((weights, bias))
        return InvariantNetwork(self.shape, layers, self.final.detach().double().numpy())


def invariants(shape: DensityShape, density: torch.Tensor) -> torch.Tensor:
    """The scalar features of `beadwise.pyx.tensor_head.features` without the offset, shape (atoms, features)."""
    rows, columns = np.triu_indices(shape.channels)
    parts = [density[:, 0]]
    for l in range(shape.l_max + 1):  # noqa: E741
        block = density[:, l * l : (l + 1) ** 2]
        products = torch.einsum("amk,amq->akq", block, block)
        parts.append(float(coupling(l, l, 0)[0, 0, 0]) * products[:, rows, columns])
    return torch.cat(parts, dim=1)


def feature_scales(model: Model, residuals: Sequence[Residual]) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and scale of every feature, each of shape (species, features).

    Scales are the geometric mean of a feature's own standard deviation and the root mean square of all: with the own
    ones alone the fine features, which differ little and mostly fit noise, would count as much as the coarse ones, with
    a common one they would be lost.
    """
    count, total, square = 0.0, 0.0, 0.0  # become arrays
    for residual in residuals:
        features = invariants(model.shape, torch.from_numpy(model.density(residual.structure.batch)[0])).numpy()
        kinds = np.eye(len(model.numbers))[residual.structure.species]
        count, total, square = count + kinds.sum(axis=0), total + kinds.T @ features, square + kinds.T @ features**2
    means = total / np.maximum(count, 1)[:, None]
    own = np.sqrt(np.maximum(square / np.maximum(count, 1)[:, None] - means**2, 0.0))
    common = np.sqrt(np.mean(own**2, axis=1, keepdims=True))
    # What never varied was never fitted either, and must not count where it does vary.
    scales = np.where(own > CONSTANT * common, np.sqrt(own * common), np.inf)
    return torch.from_numpy(means).float(), torch.from_numpy(scales).float()


def loss_of(network: Network, residuals: Sequence[Residual]) -> torch.Tensor:
    """Mean over the frames of the squared errors in units of the expected ones, per component of the forces."""
    structures = [residual.structure for residual in residuals]
    positions = torch.zeros(sum(s.atoms for s in structures), 3, dtype=torch.float64, requires_grad=True)
    strains = torch.zeros(len(structures), 3, 3, dtype=torch.float64, requires_grad=True)
    density = DensityFunction.apply(structures, positions, strains)
    species = torch.from_numpy(np.concatenate([s.species for s in structures]).astype(np.int64))
    energies = network(density.float(), species)
    gradients, strained = torch.autograd.grad(energies.sum(), (positions, strains), create_graph=True)
    loss, first = torch.zeros(()), 0
    for index, residual in enumerate(residuals):
        atoms, weights = residual.structure.atoms, residual.weights
        own = slice(first, first + atoms)
        wanted = torch.from_numpy(residual.forces)
        # atoms may have no label
        differences = torch.where(torch.isfinite(wanted), gradients[own] + wanted, torch.zeros_like(wanted))
        squares = (
            weights[0] * (energies[own].sum() - residual.energy) ** 2
            + weights[1] * differences.square().sum()
            + weights[2] * (strained[index] / residual.volume - torch.from_numpy(residual.stress)).square().sum()
        )
        loss = loss + squares / (3 * atoms * len(residuals))
        first += atoms
    return loss


def learning_rate(settings: NetworkSettings, done: float) -> float:
    """Rising, then falling with a half cosine (Loshchilov, Hutter, arXiv:1608.03983); ``done`` goes from 0 to 1."""
    return settings.learning_rate * min(1.0, (done + 1e-3) / WARM_UP) * (0.5 + 0.5 * math.cos(math.pi * done))


def fit_network(
    model: Model,
    frames: Sequence[Frame],
    energy: EnergySettings,
    settings: NetworkSettings,
    progress: Progress | None = None,
    isolated: Collection[int] = (),
    journal: Journal | None = None,
    kept: Path | None = None,
) -> Model:
    """The model with a network added to its energy.

    Weights are averaged over the last steps, which replaces a small learning rate at the end (Polyak, Juditsky, SIAM J.
    Control Optim. 30, 838 (1992)); the optimiser is that of Kingma, Ba, arXiv:1412.6980.

    Parameters
    ----------
    model : Model
        With a linear energy head.
    frames : sequence of Frame
    energy : EnergySettings
        Expected errors, which weigh the labels.
    settings : NetworkSettings
    progress : Progress, optional
        Told steps done, steps in all, the pass over the frames and its mean loss so far.
    isolated : collection of int
        Atomic numbers whose isolated atoms keep the energy that they have in the model.
    journal : Journal, optional
        Told of each pass: its number, mean loss and learning rate.
    kept : Path, optional
        File for the state of the training, which goes on from there if it was stopped.

    Raises
    ------
    ConfigurationError
        If the fit diverges.
    """
    torch.manual_seed(settings.seed)
    order = np.random.default_rng(settings.seed)
    labelled = [frame for frame in frames if {"energy", "forces", "stress"} & set(frame.labels) and frame.weight > 0]
    if progress:
        progress(STAGE, 0, settings.epochs * math.ceil(len(labelled) / settings.batch))
    is_anchored = [number in isolated for number in model.numbers]
    residuals = [Residual.of(model, frame, energy) for frame in labelled]
    network = Network(model.shape, settings.hidden, *feature_scales(model, residuals), is_anchored)
    optimiser = torch.optim.Adam(network.parameters(), lr=settings.learning_rate, betas=(0.9, 0.99))
    averaged = torch.optim.swa_utils.AveragedModel(
        network, avg_fn=lambda mean, new, seen: mean + (new - mean) / min(AVERAGED_STEPS, 1 + seen / 10)
    )
    per_epoch = math.ceil(len(residuals) / settings.batch)
    steps = settings.epochs * per_epoch
    labels = (array for own in residuals for array in (own.forces, own.stress))
    belongs_to = fingerprint((settings, energy, model.radial.form, [own.energy for own in residuals]), labels)
    checkpoint = Checkpoint(kept, belongs_to)
    state = checkpoint.read() or {"step": 0}
    for part, own in (("network", network), ("optimiser", optimiser), ("averaged", averaged)):
        if part in state:
            own.load_state_dict(state[part])
    for _ in range(state["step"] // per_epoch):  # the passes that are over
        order.permutation(len(residuals))
    for step in range(state["step"], steps):
        if step % per_epoch == 0:
            shuffled, losses = order.permutation(len(residuals)), []
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(settings, step / steps)
        place = step % per_epoch * settings.batch
        loss = loss_of(network, [residuals[k] for k in shuffled[place : place + settings.batch]])
        if not torch.isfinite(loss):
            raise ConfigurationError(
                f"the fit of the network diverged at step {step + 1} of {steps} with learning_rate = "
                f"{settings.learning_rate} in [network]; lower it"
            )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        averaged.update_parameters(network)
        losses.append(loss.item())
        if progress:
            passes = f"pass {step // per_epoch + 1} of {settings.epochs}, loss {np.mean(losses):.4g}"
            progress(STAGE, step + 1, steps, passes)
        if (step + 1) % per_epoch == 0:
            states = {"network": network.state_dict(), "averaged": averaged.state_dict()}
            states["optimiser"] = optimiser.state_dict()
            checkpoint.write({"step": step + 1, **states}, step + 1 == steps)
        if journal and (step + 1) % per_epoch == 0:
            rate = learning_rate(settings, step / steps)
            journal.tell(
                "pass", number=step // per_epoch + 1, of=settings.epochs, loss=np.mean(losses), learning_rate=rate
            )
    best = averaged.module
    assert isinstance(best, Network)
    fitted, head = best.fitted(), model.heads["energy"]
    offset = head.offset - np.where(is_anchored, energies_of_isolated_atoms(fitted), 0.0)
    anchored = replace(head, offset=offset) if any(is_anchored) else head
    return replace(model, network=fitted, heads={**model.heads, "energy": anchored})


def energies_of_isolated_atoms(network: InvariantNetwork) -> np.ndarray:
    """What a network says of an atom without neighbours, in eV, shape (species,)."""
    values = np.zeros((len(network.final), len(network.layers[0][0][0])))
    for weights, bias in network.layers:
        values = np.einsum("si,sio->so", values, weights) + bias
        values = values / (1 + np.exp(-values))
    return np.einsum("so,so->s", values, network.final)
