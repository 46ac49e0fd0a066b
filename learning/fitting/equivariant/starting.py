"""Weights that an equivariant network starts from: those of a model that was fitted before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch

from ....model import Model
from ....potentials.equivariant_network import EquivariantLayer, EquivariantNetwork, Message
from ..configuration import ConfigurationError
from .objective import Example
from .surroundings import Gathered, gather
from .torch_network import GAIN, TorchEquivariant, TorchLayer, TorchMessage

ROUNDS = 3  # scales of the first layer, then of the message, then of the second layer


def check_start(start: Model, name: str, model: Model, network: TorchEquivariant) -> EquivariantNetwork:
    """The network of a model that another one is to start from.

    Parameters
    ----------
    start : Model
    name : str
        Of its file, for the error.
    model : Model
        That is fitted.
    network : TorchEquivariant
        Its network.

    Raises
    ------
    ConfigurationError
        If the two differ in their species, density or sizes: naming the first of these.
    """
    known = start.equivariant
    if known is None:
        raise ConfigurationError(f"start = '{name}' in [equivariant] has no equivariant network; one is needed")
    first, own = known.layers[0], network.layers[0]
    message, of_message = known.message, network.message
    compared = {
        "species": (start.numbers, model.numbers),
        "groups of species": (start.groups, model.groups),
        "radial functions": (start.radial.form, model.radial.form),
        "radial": (start.shape.radial, model.shape.radial),
        "l_max": (first.l_max, own.l_max),
        "channels": (first.channels, own.channels),
        "hidden": (list(first.widths), [int(bias.shape[1]) for bias in own.bias]),
        "sent": (message.sent if message else 0, of_message.sent if of_message else 0),
        "l_sent": (message.l_sent if message else 0, of_message.l_sent if of_message else 0),
        "highest order that is read": (first.l_read, own.l_read),
    }
    for what, (has, needs) in compared.items():
        if has != needs:
            raise ConfigurationError(
                f"start = '{name}' in [equivariant] has {what} = {has}; the configuration has {needs}, and both must "
                "be the same"
            )
    if own.is_shared and any(np.any(layer.mixing != layer.mixing[:1]) for layer in known.layers):
        raise ConfigurationError(
            f"start = '{name}' in [equivariant] has weights of each species, and species = 'shared' has them of all "
            "together; say species = 'own'"
        )
    if not np.allclose(start.radial.coefficients, model.radial.coefficients, rtol=0, atol=1e-12):
        raise ConfigurationError(f"start = '{name}' in [equivariant] has other radial functions than the configuration")
    return known


@torch.no_grad()
def take(network: TorchEquivariant, known: EquivariantNetwork, gathered: Gathered, unit: Mapping[str, float]) -> None:
    """Give a network the function of one that was fitted, but for constants of its scalars, on scales of its own.

    Parameters
    ----------
    network : TorchEquivariant
        Of the same sizes.
    known : EquivariantNetwork
    gathered : Gathered
        Atoms that set the scales.
    unit : mapping of str to float
        Of each head.
    """
    for _ in range(ROUNDS):
        network.measure(gathered, unit)
        per_group = network.input_scales.repeat(1, network.shape.groups)
        take_layer(network.layers[0], known.layers[0], per_group, network.unit)
        if network.message is not None and known.message is not None:
            take_message(network.message, known.message, network.input_scales)
            ones = torch.ones(network.layers[1].contraction.shape[1:3])
            take_layer(network.layers[1], known.layers[1], ones, network.unit)


def take_layer(own: TorchLayer, known: EquivariantLayer, input_scales: torch.Tensor, unit: Mapping[str, float]) -> None:
    """The inverse of `TorchLayer.fitted`."""

    def of(array: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(array).to(own.means)

    kinds = len(own.mixing)
    own.contraction[:] = of(known.contraction) / input_scales.to(own.means)[:, :, None]
    own.three[:], own.four[:], own.mixing[:] = of(known.three), of(known.four), of(known.mixing)[:kinds]
    for index, (weights, bias) in enumerate(known.hidden):
        if index:
            own.weights[index][:], own.bias[index][:] = of(weights)[:kinds] / GAIN, of(bias)
        else:
            own.weights[0][:] = (of(weights) * own.scales[:, :, None])[:kinds]
            own.bias[0][:] = of(bias) + torch.einsum("si,sio->so", own.means, of(weights))
    for name, order in own.heads.items():
        found = known.tensors.get(name) if order else known.scalars.get(name)
        if found is not None:
            scale = 1.0 if order else own.scales
            own.linear[name][:] = (of(found[0]) * scale)[:kinds] / unit[name]
            own.nonlinear[name][:] = of(found[1])[:kinds] / (GAIN * unit[name])


def take_message(own: TorchMessage, known: Message, input_scales: torch.Tensor) -> None:
    """The inverse of `TorchMessage.fitted`."""

    def of(array: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(array).to(own.scales)

    kinds = len(own.radial)
    own.radial[:] = of(known.radial)[:kinds, :kinds] / input_scales[:, :, None]
    own.linear[:], own.bias[:], own.gate[:] = of(known.linear)[:kinds], of(known.bias), of(known.gate)[:kinds] / GAIN
    own.path[:] = of(known.paths) * own.scales[[path[2] for path in own.paths]][:, None]


def started(
    model: Model, network: TorchEquivariant, start: Model, examples: Sequence[Example], anchored: np.ndarray
) -> Model:
    """The model with constants of its scalars for a network that has taken the weights of another model.

    Constants of the energy are such that energies of examples are right on average: another level of theory has other
    energies of atoms.  Isolated atoms that are known stay as they are.

    Parameters
    ----------
    model : Model
    network : TorchEquivariant
    start : Model
    examples : sequence of Example
        Less what the model says of them.
    anchored : ndarray of bool, shape (species,)
        Of every species whether its isolated atoms have no energy from the network.
    """
    heads = dict(model.heads)
    for name, order in network.layers[0].heads.items():
        if order == 0 and name != "energy" and name in start.heads:
            of_means = [network.unit[name] * own.linear[name] * own.means / own.scales for own in network.layers]
            constant = sum(own.detach().double().sum(dim=1).numpy() for own in of_means)
            heads[name] = replace(heads[name], offset=start.heads[name].offset + constant)
    if "energy" in network.layers[0].heads:
        offset = heads["energy"].offset + missing_constants(model, network, examples, ~anchored)
        heads["energy"] = replace(heads["energy"], offset=offset)
    return replace(model, heads=heads)


@torch.no_grad()
def missing_constants(
    model: Model, network: TorchEquivariant, examples: Sequence[Example], free: np.ndarray
) -> np.ndarray:
    """Constants of species, shape (species,), that energies of examples lack; only of those species that are free."""
    known = [(own.structure, own.residual) for own in examples if own.residual and own.residual.weights[0]]
    shift = np.zeros(len(free))
    if not known or not free.any():
        return shift
    alone = network.of_isolated_atoms()[:, 0].double().numpy() * ~free
    missing, counts = [], []
    for structure, residual in known:
        found = network(gather(model, [structure], network.l_max, network.input_scales))["energy"]
        counts.append(np.bincount(structure.species, minlength=len(free)))
        missing.append(residual.energy - float(found.double().sum()) + counts[-1] @ alone)
    shift[free] = np.linalg.lstsq(np.array(counts, dtype=float)[:, free], np.array(missing), rcond=None)[0]
    return shift
