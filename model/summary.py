"""A model in the few lines that it shows of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..potentials.equivariant_network import EquivariantNetwork
from ..potentials.invariant_network import InvariantNetwork
from ..pyx.tensor_head import TensorHead, feature_sizes
from ..short_repr import with_lines
from .structures import species_names

if TYPE_CHECKING:
    from .model import Model


def weights_of_head(head: TensorHead) -> int:
    """Number of independent weights of a head."""
    return head.shape.species * sum(feature_sizes(head.order, head.shape, head.parity))


def weights_of_network(network: InvariantNetwork) -> int:
    """Number of weights of a network."""
    return sum(array.size for layer in network.layers for array in layer) + network.final.size


def weights_of_equivariant(network: EquivariantNetwork) -> int:
    """Number of weights of an equivariant network."""
    return sum(array.size for array in network.arrays())


def equivariant_text(sizes: Mapping[str, Any]) -> str:
    """An equivariant network in words."""
    widths = ", ".join(str(width) for width in sizes["hidden"])
    sent = f", messages of {sizes['sent']} channels with l ≤ {sizes['l_sent']}" if sizes["sent"] else ", no messages"
    return (
        f"{sizes['weights']} weights, {sizes['channels']} channels with l ≤ {sizes['l_max']}, hidden layers of {widths}"
        f"{sent}; it is added to {', '.join(sizes['heads'])}"
    )


def sizes_of_equivariant(network: EquivariantNetwork) -> dict[str, Any]:
    """Sizes of an equivariant network."""
    first, message = network.layers[0], network.message
    return {
        "heads": network.heads,
        "channels": first.channels,
        "l_max": first.l_max,
        "hidden": first.widths,
        "sent": message.sent if message else 0,
        "l_sent": message.l_sent if message else 0,
        "weights": weights_of_equivariant(network),
    }


def summary(model: Model) -> str:
    """What a model is for, what it answers, how large it is, and where it comes from."""
    heads = sum(weights_of_head(head) for head in model.heads.values())
    weights = f"{heads} in {len(model.heads)} head{'s' * (len(model.heads) != 1)}"
    if model.network is not None:
        widths = ", ".join(map(str, model.network.widths))
        weights += f", {weights_of_network(model.network)} in the layers of {widths} of a network"
    metadata = model.metadata if isinstance(model.metadata, dict) else {}
    lines = {
        "title": str(metadata.get("title", "")),
        "properties": ", ".join(model.properties),
        "density": f"cutoff {model.radial.cutoff:g} Å, {model.radial.radial} radial functions, l ≤ {model.l_max}",
        "weights": weights,
        "equivariant network": equivariant_text(sizes_of_equivariant(model.equivariant)) if model.equivariant else "",
        "members": str(model.members.count) if model.members is not None else "",
        "baseline": f"{model.baseline}, which is not in this energy" if model.baseline else "",
        "electric field": f"{list(model.electric_field)} V/Å" if model.is_in_field else "",
        "threads": str(model.threads),
    }
    called = f" '{model.source}'" if model.source else ""
    return with_lines(f"Model{called} for {', '.join(species_names(model.numbers))}", lines)
