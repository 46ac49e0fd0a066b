"""The equivariant network in plain torch, on scaled inputs: what is trained, on any device; and what it becomes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import torch

from ....model import Model
from ....potentials.equivariant_network import (
    EquivariantLayer,
    EquivariantNetwork,
    Message,
    Path,
    four_body_paths,
    message_paths,
    number_of_scalars,
    three_body_paths,
)
from .surroundings import Gathered
from .torch_products import Products, by_species, dense, kinds_of, orders_of

Features = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # of a layer: V, z and h

GAIN = 1.6  # of silu, so that the hidden layers keep the size of what they read
SMALLEST = 1e-6  # scale of invariants that do not differ at all between atoms


class TorchLayer(torch.nn.Module):
    """The function of an `EquivariantLayer` on scaled inputs, with readouts of scalars and tensors.

    Parameters
    ----------
    species, inputs, channels, l_max : int
    hidden : sequence of int
    l_read : int
    heads : mapping of str to int
        λ by name.
    is_shared : bool
        Whether all species have the same mixing, hidden layers and readouts; channels, products, biases are their own.
    """

    means: torch.Tensor
    scales: torch.Tensor
    sums: torch.Tensor

    def __init__(
        self,
        species: int,
        inputs: int,
        channels: int,
        l_max: int,
        hidden: Sequence[int],
        l_read: int,
        heads: Mapping[str, int],
        is_shared: bool = False,
    ):
        super().__init__()
        self.l_max, self.channels, self.l_read, self.heads = l_max, channels, l_read, dict(heads)
        self.is_shared, kinds = is_shared, 1 if is_shared else species
        self.paths, self.further_paths = three_body_paths(l_max), four_body_paths(l_max, l_read)
        self.orders = orders_of(l_max)

        def normal(*size: int, scale: float = 1.0) -> torch.nn.Parameter:
            return torch.nn.Parameter(scale * torch.randn(*size))

        def of_paths(paths: Sequence[Path]) -> torch.nn.Parameter:
            ends = [path[2] for path in paths]
            scales = torch.tensor([1 / math.sqrt(ends.count(order)) for order in ends])
            return torch.nn.Parameter(scales[:, None] * torch.randn(species, len(paths), channels))

        self.contraction = normal(species, l_max + 1, inputs, channels, scale=inputs**-0.5)
        self.three, self.four = of_paths(self.paths), of_paths(self.further_paths)
        self.mixing = normal(kinds, l_max + 1, channels, channels, scale=channels**-0.5)
        widths = [number_of_scalars(l_max, channels), *hidden]
        pairs = itertools.pairwise(widths)
        self.weights = torch.nn.ParameterList([normal(kinds, i, o, scale=i**-0.5) for i, o in pairs])
        self.bias = torch.nn.ParameterList([torch.nn.Parameter(torch.zeros(species, o)) for o in hidden])
        sizes = {n: (widths[0], widths[-1]) if not order else (3 * channels, widths[-1]) for n, order in heads.items()}
        self.linear = torch.nn.ParameterDict(
            {n: torch.nn.Parameter(torch.zeros(kinds, s[0])) for n, s in sizes.items()}
        )
        self.nonlinear = torch.nn.ParameterDict(
            {
                name: torch.nn.Parameter(torch.zeros(kinds, size[1], *([size[0]] if heads[name] else [])))
                for name, size in sizes.items()
            }
        )
        self.products = Products(self.paths, l_max, True)
        self.further_products = Products(self.further_paths, l_max, False) if self.further_paths else None
        self.register_buffer("means", torch.zeros(species, widths[0]))
        self.register_buffer("scales", torch.ones(species, widths[0]))
        sums = torch.nn.functional.one_hot(self.orders).T.float()
        self.register_buffer("sums", sums, persistent=False)

    def channels_of(self, inputs: torch.Tensor, counts: Sequence[int]) -> tuple[torch.Tensor, ...]:
        """A, B and z of atoms from their inputs (lm, atoms, inputs)."""
        atoms = inputs.shape[1]
        a = by_species(inputs, self.contraction[:, self.orders], counts)
        b = by_species(self.products(a, a, self.three, counts), self.mixing[:, self.orders], counts)
        sums = self.sums.to(a)
        squares = [(sums @ (x * y).reshape(len(self.orders), -1)) for x, y in ((a, a), (b, a), (b, b))]
        z = torch.cat([a[:1], *(own.reshape(-1, atoms, self.channels) for own in squares)])
        return a, b, z.permute(1, 0, 2).reshape(atoms, -1)

    def features(self, inputs: torch.Tensor, counts: Sequence[int], species: torch.Tensor) -> Features:
        """What readouts read: V = (A | B | Q), (lm, atoms, 3 channels); scaled invariants; the last hidden layer."""
        a, b, z = self.channels_of(inputs, counts)
        z = (z - self.means[species]) / self.scales[species]
        h = z
        for weights, bias in zip(self.weights, self.bias, strict=True):
            h = GAIN * torch.nn.functional.silu(dense(h, weights, counts) + bias[species])
        q = self.further_products(b, a, self.four, counts) if self.further_products else torch.zeros_like(a)
        return torch.cat([a, b, q], dim=2), z, h

    def readouts(self, features: Features, counts: Sequence[int], species: torch.Tensor) -> dict[str, torch.Tensor]:
        """Outputs by head, shape (atoms, 2 λ + 1)."""
        v, z, h = features
        found, kind = {}, torch.zeros_like(species) if self.is_shared else species
        for name, order in self.heads.items():
            linear, nonlinear = self.linear[name], self.nonlinear[name]
            if order:
                gates = linear[kind] + dense(h, nonlinear, counts)
                found[name] = (v[order**2 : (order + 1) ** 2] * gates).sum(dim=2).T
            else:
                found[name] = ((z * linear[kind]).sum(dim=1) + (h * nonlinear[kind]).sum(dim=1))[:, None]
        return found

    def forward(self, inputs: torch.Tensor, counts: Sequence[int], species: torch.Tensor) -> dict[str, torch.Tensor]:
        """Outputs by head, shape (atoms, 2 λ + 1)."""
        return self.readouts(self.features(inputs, counts, species), counts, species)

    def measure(self, inputs: torch.Tensor, counts: Sequence[int]) -> None:
        """Take means and scales of the invariants from some atoms, so that the hidden layers read numbers near one.

        All of one kind (A_00, A·A, B·A, B·B) have one scale, so that what varies little stays small: it mostly fits
        noise.  Where species share weights they share means and scales, too: few atoms of one say little of these.
        """
        z, own = self.channels_of(inputs, counts)[2], self.channels * (self.l_max + 1)
        for kind, some in enumerate([z] * len(counts) if self.is_shared else torch.split(z, list(counts))):
            if len(some) > 1:
                self.means[kind] = some.mean(dim=0)
                blocks = torch.split(some.var(dim=0), [self.channels, own, own, own])
                self.scales[kind] = torch.cat([b.mean().sqrt().expand(len(b)) for b in blocks]) + SMALLEST

    def fitted(self, input_scales: torch.Tensor, unit: Mapping[str, float]) -> tuple[EquivariantLayer, dict]:
        """The layer on inputs as they are, and the constants of its scalars, by name of shape (species,).

        Parameters
        ----------
        input_scales : Tensor, shape (l_max + 1, inputs)
            What the inputs were multiplied by.
        unit : mapping of str to float
            Of each head: what its outputs are to be multiplied by.
        """
        scales, means = numpy(self.scales), numpy(self.means)
        of_all, hidden = partial(of_every_species, species=len(means)), []
        for index, (weights, bias) in enumerate(zip(map(of_all, self.weights), map(numpy, self.bias), strict=True)):
            own = weights / scales[:, :, None] if index == 0 else GAIN * weights
            hidden.append((own, bias - np.einsum("si,sio->so", means, own) if index == 0 else bias))
        scalars, tensors, constants = {}, {}, {}
        for name, order in self.heads.items():
            linear = unit[name] * of_all(self.linear[name])
            nonlinear = GAIN * unit[name] * of_all(self.nonlinear[name])
            if order:
                tensors[name] = linear, nonlinear
            else:
                scalars[name] = linear / scales, nonlinear
                constants[name] = -np.sum(linear / scales * means, axis=1)
        contraction = numpy(self.contraction) * numpy(input_scales)[:, :, None]
        three, four, mixing = numpy(self.three), numpy(self.four), of_all(self.mixing)
        layer = EquivariantLayer(contraction, three, mixing, four, self.l_read, hidden, scalars, tensors)
        return layer, constants


class TorchMessage(torch.nn.Module):
    """The function of a `Message` on scaled radial functions."""

    scales: torch.Tensor
    places: torch.Tensor

    def __init__(
        self,
        species: int,
        radial: int,
        channels: int,
        width: int,
        l_max: int,
        sent: int,
        l_sent: int,
        is_shared: bool = False,
    ):
        super().__init__()
        self.l_max, self.l_sent, self.sent, self.is_shared = l_max, l_sent, sent, is_shared
        self.paths = message_paths(l_max, l_sent)
        kinds = 1 if is_shared else species

        def normal(*size: int, scale: float) -> torch.nn.Parameter:
            return torch.nn.Parameter(scale * torch.randn(kinds, *size))

        ends = [path[2] for path in self.paths]
        shares = torch.tensor([1 / math.sqrt(ends.count(order)) for order in ends])
        self.radial = normal(kinds, l_max + 1, radial, sent, scale=radial**-0.5)
        self.linear = normal(l_sent, 3 * channels, sent, scale=(3 * channels) ** -0.5)
        self.bias = torch.nn.Parameter(torch.cat([torch.zeros(species, 1, sent), torch.ones(species, l_sent, sent)], 1))
        of_gates = torch.tensor([1.0] + [0.5] * l_sent)[:, None, None]
        self.gate = torch.nn.Parameter(of_gates * torch.randn(kinds, l_sent + 1, width, sent) * width**-0.5)
        self.path = torch.nn.Parameter(shares[:, None] * torch.randn(species, len(self.paths), sent))
        self.products = Products([(path[0], path[1], path[2]) for path in self.paths], l_max, False)
        places = self.products.first * (l_sent + 1) ** 2 + self.products.second
        self.register_buffer("places", places, persistent=False)
        self.register_buffer("scales", torch.ones(l_max + 1))

    def forward(self, gathered: Gathered, v: torch.Tensor, h: torch.Tensor, input_scales: torch.Tensor) -> torch.Tensor:
        """A' of all atoms, shape (lm, atoms, sent)."""
        counts, sent_orders = gathered.counts, orders_of(self.l_sent)
        gates = torch.stack([dense(h, self.gate[:, order], counts) for order in range(self.l_sent + 1)])
        gates = gates + self.bias[gathered.species].permute(1, 0, 2)
        features = [gates[:1]]
        if self.l_sent:
            above = sent_orders[1:]
            features.append(by_species(v[1 : len(sent_orders)], self.linear[:, above - 1], counts) * gates[above])
        sent = torch.cat(features).permute(1, 0, 2).flatten(1)  # (atoms, LM · sent)
        blocks = torch.split(gathered.radial, kinds_of(self.radial, gathered.pair_counts))
        scaled = (self.radial * input_scales[:, :, None]).permute(0, 1, 3, 2, 4).flatten(3).flatten(0, 1)
        radial = torch.cat([own @ weights for own, weights in zip(blocks, scaled, strict=True)])  # (pairs, l · sent)
        pairs, atoms = gathered.slots, len(gathered.species)
        radial = radial.index_select(0, pairs).reshape(len(pairs), self.l_max + 1, 1, self.sent)
        heard = sent.index_select(0, gathered.neighbour[pairs]).reshape(len(pairs), 1, len(sent_orders), self.sent)
        waves = (radial * heard).reshape(atoms, gathered.widest, self.l_max + 1, len(sent_orders) * self.sent)
        harmonics = gathered.harmonics_by_slot
        total = torch.cat(
            [harmonics[:, l * l : (l + 1) ** 2] @ waves[:, :, l] for l in range(self.l_max + 1)],  # noqa: E741
            dim=1,
        )
        total = total.reshape(atoms, -1, self.sent).permute(2, 1, 0).index_select(1, self.places)
        return self.products.coupled(total, self.path, counts) / self.scales[orders_of(self.l_max)][:, None, None]

    def fitted(self, input_scales: torch.Tensor) -> Message:
        """The message on radial functions as they are."""
        ends, species = [path[2] for path in self.paths], len(self.bias)
        radial = of_every_species(self.radial, species)
        return Message(
            np.repeat(radial, species // radial.shape[1], axis=1) * numpy(input_scales)[:, :, None],
            of_every_species(self.linear, species),
            numpy(self.bias),
            GAIN * of_every_species(self.gate, species),
            numpy(self.path) / numpy(self.scales)[ends][:, None],
        )


class TorchEquivariant(torch.nn.Module):
    """The function of an `EquivariantNetwork` on scaled densities.

    Parameters
    ----------
    model : Model
        Gives the density.
    channels, l_max : int
    hidden : sequence of int
    heads : mapping of str to int
        λ by name of every head that it adds to.
    sent, l_sent : int
        Channels that are sent, and their highest angular momentum; sent = 0 for no message.
    is_shared : bool
        Whether species share weights; see `TorchLayer`.  Messages then differ by what is sent and received alone.
    """

    input_scales: torch.Tensor

    def __init__(
        self,
        model: Model,
        channels: int,
        l_max: int,
        hidden: Sequence[int],
        heads: Mapping[str, int],
        sent: int = 0,
        l_sent: int = 1,
        is_shared: bool = False,
    ):
        super().__init__()
        shape, l_read = model.shape, max(heads.values())
        self.shape, self.l_max, self.groups = shape, l_max, torch.as_tensor(model.groups)
        self.unit = dict.fromkeys(heads, 1.0)
        sizes = channels, l_max, hidden
        of_first = max(l_read, l_sent if sent else 0)
        self.layers = [TorchLayer(shape.species, shape.channels, *sizes, of_first, heads, is_shared)]
        self.message = None
        if sent:
            self.layers.append(TorchLayer(shape.species, sent + channels, *sizes, l_read, heads, is_shared))
            of_message = shape.radial, channels, hidden[-1], l_max, sent, l_sent, is_shared
            self.message = TorchMessage(shape.species, *of_message)
        self.registered = torch.nn.ModuleList(self.layers)
        self.register_buffer("input_scales", torch.ones(l_max + 1, shape.radial))

    def density(self, gathered: Gathered) -> torch.Tensor:
        """Scaled density, shape (lm, atoms, channels)."""
        shape, atoms, pairs = self.shape, len(gathered.species), gathered.slots
        kinds = self.groups.to(pairs)[gathered.species[gathered.neighbour[pairs]]]
        is_of = torch.nn.functional.one_hot(kinds, shape.groups).to(gathered.radial)
        radial = is_of[:, :, None] * gathered.radial.index_select(0, pairs)[:, None]
        found = gathered.harmonics_by_slot @ radial.reshape(atoms, gathered.widest, shape.channels)
        scales = self.input_scales[orders_of(self.l_max)].repeat(1, shape.groups)
        return (found * scales).permute(1, 0, 2)

    def features(self, gathered: Gathered) -> list[Features]:
        """What the readouts of each layer read."""
        counts, species = gathered.counts, gathered.species
        first = self.layers[0].features(self.density(gathered), counts, species)
        if self.message is None:
            return [first]
        v, _, h = first
        heard = torch.cat([self.message(gathered, v, h, self.input_scales), v[:, :, : self.layers[0].channels]], 2)
        return [first, self.layers[1].features(heard, counts, species)]

    def forward(self, gathered: Gathered) -> dict[str, torch.Tensor]:
        """Outputs by head, shape (atoms, 2 λ + 1)."""
        of_layers = [
            layer.readouts(features, gathered.counts, gathered.species)
            for layer, features in zip(self.layers, self.features(gathered), strict=True)
        ]
        return {
            name: self.unit[name] * torch.stack([own[name] for own in of_layers]).sum(dim=0) for name in of_layers[0]
        }

    def of_density(
        self, density: torch.Tensor, counts: Sequence[int], species: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Outputs by head of a network without messages, from scaled densities (lm, atoms, channels)."""
        found = self.layers[0](density, counts, species)
        return {name: self.unit[name] * own for name, own in found.items()}

    def of_isolated_atoms(self) -> torch.Tensor:
        """Energies of atoms without neighbours, shape (species, 1)."""
        kinds = torch.arange(self.shape.species)
        found = torch.zeros(self.shape.species, 1)
        for layer in self.layers:
            inputs = torch.zeros(len(layer.orders), len(kinds), layer.contraction.shape[2]).to(layer.means)
            found = found + layer(inputs, [1] * len(kinds), kinds)["energy"]
        return self.unit["energy"] * found

    @torch.no_grad()
    def measure(self, gathered: Gathered, unit: Mapping[str, float]) -> None:
        """Scale inputs so that they are near one for some atoms, by decreasing weights for higher n and l.

        Parameters
        ----------
        gathered : Gathered
        unit : mapping of str to float
            Of each head.
        """
        self.unit = dict(unit)
        n, l = torch.arange(self.shape.radial), torch.arange(self.l_max + 1)  # noqa: E741
        self.input_scales[:] = 1 / (1 + n)
        density, orders = self.density(gathered), orders_of(self.l_max)
        sizes = torch.stack([density[orders == order].square().mean().sqrt() for order in l.tolist()])
        self.input_scales *= ((1 + l) ** -0.5 / sizes)[:, None]
        density = self.density(gathered)
        first = self.layers[0]
        first.measure(density, gathered.counts)
        if self.message is not None:
            v, _, h = first.features(density, gathered.counts, gathered.species)
            heard = self.message(gathered, v, h, self.input_scales)
            own = [heard[orders == order].square().mean().sqrt() for order in l.tolist()]
            self.message.scales[:] = torch.stack(own)
            scaled = heard / self.message.scales[orders][:, None, None]
            self.layers[1].measure(torch.cat([scaled, v[:, :, : first.channels]], dim=2), gathered.counts)

    def fitted(self) -> tuple[EquivariantNetwork, dict[str, np.ndarray]]:
        """The network on the density as it is, in double precision, and constants to be added to scalars (species,)."""
        per_group = self.input_scales.repeat(1, self.shape.groups)
        first, constants = self.layers[0].fitted(per_group, self.unit)
        if self.message is None:
            return EquivariantNetwork(self.shape, [first]), constants
        ones = torch.ones(self.l_max + 1, self.layers[1].contraction.shape[2])
        second, further = self.layers[1].fitted(ones, self.unit)
        message = self.message.fitted(self.input_scales)
        return EquivariantNetwork(self.shape, [first, second], message), {
            n: constants[n] + further[n] for n in constants
        }


def of_every_species(weights: torch.Tensor, species: int) -> np.ndarray:
    """Weights (species or 1, …) as each species has them, in double precision."""
    return np.repeat(numpy(weights), species // len(weights), axis=0)


def numpy(tensor: torch.Tensor) -> np.ndarray:
    """In double precision, on the processor."""
    return tensor.detach().cpu().double().numpy()
