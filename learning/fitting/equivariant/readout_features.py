"""What readouts of a fitted equivariant network read of some frames, added up over atoms, in double precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ....model import Batch, Model
from ....potentials.equivariant_network import EquivariantLayer
from ..density_function import Structure
from .starting import take_layer, take_message
from .surroundings import gather
from .torch_network import TorchEquivariant

PRODUCTS = ("A", "B", "Q")
INVARIANTS = ("A·A", "B·A", "B·B")


@dataclass(frozen=True)
class Place:
    """Where the weights of a block of features stand in a readout.

    Parameters
    ----------
    layer : int
    is_nonlinear : bool
        Whether they are those of the hidden layer (``final``, ``gate``), not of what is read as it is.
    columns : slice
        Along the last axis of the weights.
    """

    layer: int
    is_nonlinear: bool
    columns: slice


def blocks_of(layers: Sequence[EquivariantLayer], order: int) -> dict[str, Place]:
    """Blocks of the features that a readout of angular momentum λ reads, by what they are called."""
    found = {}
    for index, layer in enumerate(layers):
        channels, name = layer.channels, f"layer {index + 1}"
        if order:
            for place, product in enumerate(PRODUCTS if order <= layer.l_read else PRODUCTS[:2]):
                columns = slice(place * channels, (place + 1) * channels)
                found[f"{name} {product}"] = Place(index, False, columns)
                found[f"{name} {product}, gated"] = Place(index, True, columns)
        else:
            found[f"{name} A"] = Place(index, False, slice(channels))
            size = channels * (layer.l_max + 1)
            for place, product in enumerate(INVARIANTS):
                first = channels + place * size
                found[f"{name} {product}"] = Place(index, False, slice(first, first + size))
            found[f"{name} hidden"] = Place(index, True, slice(None))
    return found


class FeaturesOfNetwork:
    """The network of a model in double precision, for what its readouts read.

    Parameters
    ----------
    model : Model
        With an equivariant network.
    """

    def __init__(self, model: Model):
        assert model.equivariant is not None
        self.model, self.network = model, double_twin(model)

    def blocks(self, batch: Batch, order: int, sample: np.ndarray, samples: int) -> dict[str, np.ndarray]:
        """Sums of features over the atoms of each species in each sample, by the blocks of `blocks_of`.

        Parameters
        ----------
        batch : Batch
            Of one structure.
        order : int
            λ.
        sample : ndarray of int, shape (atoms,)
            To which sample each atom belongs; −1 for one that belongs to none.
        samples : int

        Returns
        -------
        dict of str to ndarray of float64, shape (samples, 2 λ + 1, species, features)
        """
        assert self.model.equivariant is not None
        sums = self._sums(batch, order, sample, samples)
        found = {}
        for name, place in blocks_of(self.model.equivariant.layers, order).items():
            own = sums[place.layer][place.is_nonlinear][..., place.columns]
            found[name] = own.reshape(*own.shape[:3], -1)
        return found

    @torch.no_grad()
    def _sums(self, batch: Batch, order: int, sample: np.ndarray, samples: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Of each layer, of what is read as it is, (samples, 2 λ + 1, species, features), and by the hidden layer.

        The latter is (samples, 1, species, hidden) of scalars, (samples, 2 λ + 1, species, hidden, features) of others.
        """
        network = self.network
        gathered = gather(self.model, [Structure.of(self.model, batch)], network.l_max, network.input_scales)
        species, place = gathered.species.numpy(), sample[gathered.order.numpy()]
        found = []
        for v, z, h in network.features(gathered):
            values = v[order**2 : (order + 1) ** 2].numpy() if order else z.numpy()[None]
            plain = np.zeros((samples, 2 * order + 1, len(self.model.numbers), values.shape[2]))
            gated = np.zeros((*plain.shape[:3], h.shape[1], *(values.shape[2:] if order else ())))
            for part, kind in np.unique(np.stack([place, species])[:, place >= 0], axis=1).T:
                own = (place == part) & (species == kind)
                plain[part, :, kind] = values[:, own].sum(axis=1)
                hidden = h.numpy()[own]
                gated[part, :, kind] = hidden.T @ values[:, own] if order else hidden.sum(axis=0)
            found.append((plain, gated))
        return found


@torch.no_grad()
def double_twin(model: Model) -> TorchEquivariant:
    """The function of a model's network in torch, in double precision, on inputs as they are."""
    known = model.equivariant
    assert known is not None
    first, message = known.layers[0], known.message
    heads = {name: model.heads[name].order for name in known.heads}
    of_message = (message.sent, message.l_sent) if message else (0, 1)
    network = TorchEquivariant(model, first.channels, first.l_max, first.widths, heads, *of_message).double()
    unit = dict.fromkeys(heads, 1.0)
    for own, layer in zip(network.layers, known.layers, strict=True):
        take_layer(own, layer, torch.ones(layer.l_max + 1, layer.inputs), unit)
    if network.message is not None and message is not None:
        take_message(network.message, message, torch.ones(message.l_max + 1, message.radial.shape[3]))
    return network
