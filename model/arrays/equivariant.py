"""An equivariant network in a model file: its arrays by name, and what the description says of its sizes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...potentials.equivariant_network import EquivariantLayer, EquivariantNetwork, Message
from ...pyx.tensor_head import DensityShape

PREFIX = "equivariant."
OF_LAYER = ("contraction", "three", "mixing", "four")
OF_MESSAGE = ("radial", "linear", "bias", "gate", "paths")
OF_PARTS = {"hidden": ("weights", "bias"), "scalar": ("skip", "final"), "tensor": ("linear", "gate")}


def equivariant_description(network: EquivariantNetwork) -> dict[str, Any]:
    """What the arrays do not say: the parts of each layer, and whether there is a message."""
    layers = [
        {
            "l_read": layer.l_read,
            "hidden": list(layer.widths),
            "scalars": list(layer.scalars),
            "tensors": list(layer.tensors),
        }
        for layer in network.layers
    ]
    return {"layers": layers, "message": network.message is not None}


def equivariant_arrays(network: EquivariantNetwork | None) -> dict[str, np.ndarray]:
    """Arrays of a network by their names in the file."""
    if network is None:
        return {}
    arrays = {}
    for index, layer in enumerate(network.layers):
        for name in OF_LAYER:
            arrays[f"{index}.{name}"] = getattr(layer, name)
        parts = {f"hidden.{place}": own for place, own in enumerate(layer.hidden)}
        parts |= {f"scalar.{name}": own for name, own in layer.scalars.items()}
        parts |= {f"tensor.{name}": own for name, own in layer.tensors.items()}
        for part, own in parts.items():
            for name, array in zip(OF_PARTS[part.partition(".")[0]], own, strict=True):
                arrays[f"{index}.{part}.{name}"] = array
    if network.message is not None:
        arrays |= {f"message.{name}": getattr(network.message, name) for name in OF_MESSAGE}
    return {f"{PREFIX}{name}": array for name, array in arrays.items() if array.size}


def equivariant_from(
    arrays: Mapping[str, np.ndarray], described: Mapping[str, Any] | None, shape: DensityShape
) -> EquivariantNetwork | None:
    """The network of a file; None where it has none.

    Raises
    ------
    ValueError
        If the arrays are not those of the description, or do not fit each other.
    """
    found = {name.removeprefix(PREFIX): array for name, array in arrays.items() if name.startswith(PREFIX)}
    network = None
    if described is not None:
        layers = [layer_from(found, index, own) for index, own in enumerate(described["layers"])]
        message = None
        if described["message"]:
            message = message_from(found, layers[0].channels)
        network = EquivariantNetwork(shape, layers, message)
    unknown = sorted(set(found) - {name.removeprefix(PREFIX) for name in equivariant_arrays(network)})
    if unknown:
        raise ValueError(f"arrays {unknown[:2]} of an equivariant network that the description does not have")
    return network


def layer_from(found: Mapping[str, np.ndarray], index: int, described: Mapping[str, Any]) -> EquivariantLayer:
    """One layer of a file.

    Raises
    ------
    ValueError
        If an array is missing, or does not fit.
    """

    def part(kind: str, name: object) -> tuple[np.ndarray, np.ndarray]:
        first, second = (take(found, f"{index}.{kind}.{name}.{own}") for own in OF_PARTS[kind])
        return first, second

    contraction, three, mixing = (take(found, f"{index}.{name}") for name in OF_LAYER[:3])
    l_read = int(described["l_read"])
    none = np.zeros((contraction.shape[0], 0, contraction.shape[-1]))
    layer = EquivariantLayer(
        contraction,
        three,
        mixing,
        take(found, f"{index}.four") if l_read else none,
        l_read,
        [part("hidden", place) for place in range(len(described["hidden"]))],
        {str(name): part("scalar", name) for name in described["scalars"]},
        {str(name): part("tensor", name) for name in described["tensors"]},
    )
    if list(layer.widths) != list(described["hidden"]):
        raise ValueError(f"hidden layers of {list(layer.widths)}; the description has {described['hidden']}")
    return layer


def message_from(found: Mapping[str, np.ndarray], channels: int) -> Message:
    """The message of a file, from atoms of so many channels.

    Raises
    ------
    ValueError
        If an array is missing, or does not fit.
    """
    radial = take(found, "message.radial")
    # of l_sent = 0 alone the file has none: it keeps no arrays without numbers
    linear = found.get("message.linear", np.zeros((*radial.shape[:1], 0, 3 * channels, *radial.shape[-1:])))
    return Message(radial, linear, *(take(found, f"message.{name}") for name in OF_MESSAGE[2:]))


def take(found: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """One of the arrays.

    Raises
    ------
    ValueError
        If it is missing.
    """
    if name not in found:
        raise ValueError(f"an equivariant network lacks its array '{PREFIX}{name}'")
    return found[name]
