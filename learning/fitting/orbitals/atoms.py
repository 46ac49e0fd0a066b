"""What features of atoms are made of before a fit: a density of neighbours, and its principal components."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ....model import Batch, Model
from ....model.model import Repulsion
from ....model.orbitals.surroundings import Surroundings, fitted_surroundings
from ....model.outputs import empty_head
from ....pyx.tensor_head import DensityShape
from ..bare_model import density_shape, neighbour_groups, radial_basis
from ..sections import DensitySettings

MOST_DENSITIES = 20_000  # of atoms of a species, for principal components


def density_model(density: DensitySettings, numbers: tuple[int, ...]) -> Model:
    """A model of nothing but a density."""
    shape: DensityShape = density_shape(density, len(numbers))
    nothing = Repulsion(np.zeros((len(numbers), len(numbers))), 1.0)
    return Model(
        numbers, density.l_max, radial_basis(density, len(numbers)), {"energy": empty_head(0, shape)}, nothing,
        groups=neighbour_groups(density, len(numbers)),
    )  # fmt: skip


def surroundings_of(
    density: Model, numbers: Sequence[int], batches: Sequence[Batch], l_max: int, channels: int, products: int
) -> dict[int, Surroundings]:
    """Principal components of the densities of every species.

    Parameters
    ----------
    density : Model
    numbers : sequence of int
        Atomic numbers, each in one of the batches.
    batches : sequence of Batch
        Training frames.
    l_max, channels, products : int
        Of `fitted_surroundings`.
    """
    found, sizes = {}, (density.shape.harmonics, density.shape.channels)
    for number in numbers:
        rows = [
            density.density(own)[:, own.numbers == number].reshape(-1, *sizes)
            for own in batches
            if (own.numbers == number).any()
        ]
        own_rows = np.concatenate(rows)
        step = -(-len(own_rows) // MOST_DENSITIES)
        found[number] = fitted_surroundings(own_rows[::step], l_max, channels, products)
    return found
