"""Equivariant features of atoms: products of what they know of their surroundings, for each λ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from ..model import Model
from ..orbitals.coupled import coupled
from ..orbitals.surroundings import ONE, Surroundings
from ..structures import Batch


def atomic_features(
    density: Model, surroundings: Mapping[int, Surroundings], few: int, batch: Batch, number: int, orders: Iterable[int]
) -> dict[int, np.ndarray]:
    """Features of all atoms of one species, true tensors alone.

    Products of 1, A and B of `Surroundings` with 1 and the first channels of A once more, as those of blocks of one
    atom in a Hamiltonian: up to four bodies; λ-SOAP (A. Grisafi et al., Phys. Rev. Lett. 120, 036002
    (2018)) and beyond.

    Parameters
    ----------
    density : Model
        Whose density of neighbours is used, and nothing else.
    surroundings : mapping of int to Surroundings
        Of each species.
    few : int
        Channels of A in the second factor.
    batch : Batch
    number : int
        Atomic number.
    orders : iterable of int
        λ.

    Returns
    -------
    dict of ndarray of float64
        By λ, shape (beads · atoms of the species, 2 λ + 1, features).
    """
    here, atoms = surroundings[number], np.flatnonzero(batch.numbers == number)
    coefficients = density.density(batch)[:, atoms]
    linear = here.linear(coefficients.reshape(-1, *coefficients.shape[2:]))
    parts = here.parts(linear)
    own = {part: channels[:, :, :few] for part, channels in linear.items()}
    own[ONE] = np.concatenate([np.ones((len(own[ONE]), 1, 1)), own[ONE]], axis=2)
    return {order: coupled(parts, own, (order, 1)) for order in orders}
