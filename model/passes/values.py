"""A pass of the kernel without gradients: values of some heads for every atom, or the density."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..checks import CLOSEST_ALLOWED, check_cells, refuse_overlap
from ..errors import as_structure_error

if TYPE_CHECKING:
    from ..model import Model
    from ..structures import Batch


def values_of_heads(
    model: Model, batch: Batch, names: Sequence[str], density: np.ndarray | None = None, in_sum: bool = False
) -> np.ndarray:
    """Outputs of the heads of some quantities for every atom, shape (beads, atoms, outputs); zeros for the others.

    Parameters
    ----------
    model : Model
    batch : Batch
    names : sequence of str
        Of quantities; none where only the density is wanted.
    density : ndarray of float64, shape (beads, atoms, harmonics, padded channels), optional
        Written.
    in_sum : bool
        Whether only sums over the atoms are wanted, whose parts may then stand at any of them.

    Raises
    ------
    StructureError
        As `Model.evaluate`.
    """
    layout, beads, atoms = model.layout, batch.beads, batch.atoms
    species = model.species_indices(batch.numbers)
    if names:
        check_cells(batch)
    heads = [own.name in names for own in layout.quantities.values() for _ in own.heads]
    values = np.zeros((beads, atoms, layout.outputs))
    nothing = np.zeros((beads, 0, layout.outputs)), values, np.zeros((beads, 0, atoms, 3)), np.zeros((beads, 0, 3, 3))
    where = species, batch.positions, batch.cells, batch.periodic
    with as_structure_error():
        overlap = model.kernel.evaluate(*where, heads, *nothing, CLOSEST_ALLOWED, model.threads, density, in_sum=in_sum)
    refuse_overlap(overlap)
    return values
