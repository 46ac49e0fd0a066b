"""Equivariant networks with random weights, and small models that have one."""

import itertools
from dataclasses import replace

import numpy as np
from beadwise.potentials.equivariant_network import (
    EquivariantLayer,
    EquivariantNetwork,
    Message,
    four_body_paths,
    message_paths,
    number_of_scalars,
    three_body_paths,
)
from models import random_model


def random_equivariant_model(seed=0, heads=("energy", "dipole"), message=False, **sizes):
    """A `random_model` with an equivariant network that adds to some of its heads.

    ``sizes`` of the network: l_max, channels, hidden, l_read, sent, l_sent; others are those of the model.
    """
    own = ("l_network", "channels", "hidden", "l_read", "sent", "l_sent")
    model = random_model(seed, heads=heads, **{key: value for key, value in sizes.items() if key not in own})
    network = random_equivariant(seed, model, message, **{key: sizes[key] for key in own if key in sizes})
    return replace(model, equivariant=network)


def random_equivariant(seed, model, message=False, l_network=2, channels=8, hidden=(5, 6), l_read=2, sent=8, l_sent=1):
    """A network for all heads of a model, whose features are of the order of one."""
    rng, shape = np.random.default_rng(seed), model.shape
    orders = {name: head.order for name, head in model.heads.items() if head.parity == 1}
    first = random_layer(rng, shape.species, shape.channels, l_network, channels, hidden, l_read, orders)
    if not message:
        return EquivariantNetwork(shape, [first])
    second = random_layer(rng, shape.species, sent + channels, l_network, channels, hidden, l_read, orders)

    def normal(*size):
        return rng.normal(0, 0.5, (shape.species, *size))

    heard = Message(
        normal(shape.species, l_network + 1, shape.radial, sent),
        normal(l_sent, 3 * channels, sent) / np.sqrt(channels),
        normal(l_sent + 1, sent),
        normal(l_sent + 1, hidden[-1], sent),
        normal(len(message_paths(l_network, l_sent)), sent),
    )
    return EquivariantNetwork(shape, [first, second], heard)


def random_layer(rng, species, inputs, l_max, channels, hidden, l_read, orders):
    """A layer that reads some heads, whose λ are given by name."""

    def normal(*size, scale=1.0):
        return rng.normal(0, scale, (species, *size))

    widths = [number_of_scalars(l_max, channels), *hidden]
    return EquivariantLayer(
        normal(l_max + 1, inputs, channels, scale=1 / np.sqrt(inputs)),
        normal(len(three_body_paths(l_max)), channels, scale=0.5),
        normal(l_max + 1, channels, channels, scale=1 / np.sqrt(channels)),
        normal(len(four_body_paths(l_max, l_read)), channels, scale=0.5),
        l_read,
        [(normal(i, o, scale=0.5 / np.sqrt(i)), normal(o, scale=0.5)) for i, o in itertools.pairwise(widths)],
        {
            name: (normal(widths[0], scale=0.02), normal(widths[-1], scale=0.2))
            for name, order in orders.items()
            if order == 0
        },
        {
            name: (normal(3 * channels, scale=0.1), normal(widths[-1], 3 * channels, scale=0.05))
            for name, order in orders.items()
            if order
        },
    )
