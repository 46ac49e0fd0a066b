"""A model in the few lines that it shows of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
        "members": str(model.members.count) if model.members is not None else "",
        "baseline": f"{model.baseline}, which is not in this energy" if model.baseline else "",
        "electric field": f"{list(model.electric_field)} V/Å" if model.is_in_field else "",
        "threads": str(model.threads),
    }
    called = f" '{model.source}'" if model.source else ""
    return with_lines(f"Model{called} for {', '.join(species_names(model.numbers))}", lines)
