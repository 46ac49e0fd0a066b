"""The dipole and polarizability heads, from totals of whole frames."""

from __future__ import annotations

import numpy as np

from ...model import Batch, Model
from ...properties.dipole import harmonic_components
from ...properties.polarizability import tensor_components, without_local_field
from ...properties.quantities import ORDERS
from ...pyx.coupling import pairs
from ...pyx.tensor_head import DensityShape, features
from ..data import Frame
from .least_squares import NormalEquations


def tensor_targets(name: str, model: Model, frame: Frame) -> np.ndarray | None:
    """Components that a head must give for one frame, shape (2 λ + 1,); None where the frame has no such label.

    A polarizability is first brought into the additive form that local contributions can sum to.
    """
    if name == "dipole":
        return harmonic_components(frame.labels["dipole"]) if "dipole" in frame.labels else None
    if "polarizability" not in frame.labels:
        return None
    tensor = frame.labels["polarizability"]
    tensor = 0.5 * (tensor + tensor.T)
    if model.local_field and frame.atoms.pbc.all():
        tensor = without_local_field(tensor, np.array(frame.atoms.get_volume()))
    components = tensor_components(tensor)
    return components[:1] if name == "polarizability_isotropic" else components[1:]


def prior_variances(
    order: int, shape: DensityShape, angular_decay: float, radial_decay: float, chemical_channels: int = 0
) -> np.ndarray:
    """Expected variances of a head's weights, in the order of `features`: coarse features are expected to matter more.

    Returns
    -------
    ndarray of float64, shape (species * sum(feature_sizes),)
        exp(−angular_decay (l1 + l2)) ((1 + n)(1 + n'))^−radial_decay; infinite for the offset.
    """
    by_channel = (1.0 + np.arange(shape.channels) % (shape.radial // max(chemical_channels, 1))) ** -radial_decay
    products = np.outer(by_channel, by_channel)
    parts = [np.full(1, np.inf)] if order == 0 else []
    parts.append(by_channel)
    for l1, l2 in pairs(order, shape.l_max):
        own = np.exp(-angular_decay * (l1 + l2)) * products
        parts.append(own[np.triu_indices(shape.channels)] if l1 == l2 else own.ravel())
    return np.tile(np.concatenate(parts), shape.species)


def add_property_frame(equations: NormalEquations, name: str, shape: DensityShape, model: Model, frame: Frame) -> None:
    """Add what one frame says about one head, of which ``shape`` gives the l_max."""
    targets = tensor_targets(name, model, frame)
    if targets is None:
        return
    batch = Batch.from_ase(frame.atoms)
    density = model.density(batch)[0, :, : shape.harmonics]
    rows = features(ORDERS[name], shape, density, model.species_indices(batch.numbers))
    scale = 1 / np.sqrt(batch.atoms)  # errors of a sum of local terms grow with the root of their number
    equations.add(scale * rows, scale * targets)
