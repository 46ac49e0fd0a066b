"""The mean of several fits as one model: a committee that is served for its better energies, not for their spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...model import Model
from ...model.errors import ModelFileError
from ...potentials.invariant_network import mean_network
from ...pyx.tensor_head import DensityShape, TensorHead


def mean_model(models: Sequence[Model]) -> Model:
    """One model whose energy is the mean of those of several; all else is that of the one with the highest l_max.

    Errors that the members make independently of each other average out (Hansen, Salamon, IEEE Trans. Pattern Anal. 12,
    993 (1990)).

    Parameters
    ----------
    models : sequence of Model
        With the same species, groups, radial functions and repulsion, each with a network.

    Raises
    ------
    ModelFileError
        If there are none, they read different densities, or their networks differ in depth.
    """
    if not models:
        raise ModelFileError("no models to average; at least one is needed")
    highest = max(models, key=lambda model: model.l_max)
    for model in models:
        same = (
            (model.numbers, model.groups, model.radial.form) == (highest.numbers, highest.groups, highest.radial.form)
            and np.array_equal(model.radial.coefficients, highest.radial.coefficients)
            and np.array_equal(model.repulsion.onset, highest.repulsion.onset)
            and model.repulsion.strength == highest.repulsion.strength
        )
        if not same or model.network is None or model.equivariant is not None:
            raise ModelFileError(
                "only models with a network of invariants and with the same species, radial functions and repulsion "
                "can be averaged"
            )
    heads = {**highest.heads, "energy": mean_head([model.heads["energy"] for model in models], highest.shape)}
    networks = [model.network for model in models if model.network is not None]
    if len({len(network.layers) for network in networks}) > 1:
        raise ModelFileError(f"networks of {[len(n.layers) for n in networks]} layers; all need the same number")
    metadata = {key: value for key, value in highest.metadata.items() if key != "errors"}  # those were of one member
    return replace(highest, heads=heads, network=mean_network(networks, highest.shape), metadata=metadata, source="")


def mean_head(heads: Sequence[TensorHead], shape: DensityShape) -> TensorHead:
    """Mean of heads of λ = 0, of which some may read a lower l_max than that of ``shape``."""
    weights = np.zeros((shape.l_max + 1, shape.species, shape.channels, shape.channels))
    for head in heads:
        weights[: head.l_max + 1] += head.weights / len(heads)
    offset, linear = (np.mean([getattr(head, name) for head in heads], axis=0) for name in ("offset", "linear"))
    return TensorHead(0, shape, offset, linear, weights)
