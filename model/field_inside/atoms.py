"""From sites to atoms: what a polarizability that is dressed changes with, in one sweep of the kernel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase.data import atomic_masses

from ..checks import CLOSEST_ALLOWED, refuse_overlap
from ..errors import as_structure_error
from ..model import Model
from ..structures import Batch
from .dressing import Dressing


def derivatives_by_atoms(
    model: Model, batch: Batch, dressing: Dressing, left: Sequence[np.ndarray], right: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives of ``u·α·v`` by the positions of atoms and by strain.

    ``Σ_i (W_i u)·da_i (W_i v)`` is a combination of the outputs of each atom that the kernel differentiates as it does
    energies; the centre of mass of a molecule moves with its atoms by their share of its mass.

    Parameters
    ----------
    model : Model
        With molecules.
    batch : Batch
    dressing : Dressing
        Of the molecular polarizabilities and centres of mass that the model gives.
    left, right : sequence of ndarray of float64, shape (3,)
        u and v, as many of one as of the other.

    Returns
    -------
    gradients : ndarray of float64, shape (beads, pairs, atoms, 3)
        In Å².
    strains : ndarray of float64, shape (beads, pairs, 3, 3)
        In Å³.

    Raises
    ------
    StructureError
        As `Model.evaluate`.
    """
    layout, unit = model.layout, model.repeating_unit
    assert unit is not None
    pairs, beads, atoms = len(left), batch.beads, batch.atoms
    of_outputs = layout.cartesian("polarizability", np.eye(layout.outputs))  # (outputs, 3, 3)
    by_molecule = np.einsum("bniac,oac->bnio", dressing.by_local(left, right), of_outputs)
    combinations = np.ascontiguousarray(np.repeat(by_molecule, len(unit), axis=2))
    gradients, strains = np.zeros((beads, pairs, atoms, 3)), np.zeros((beads, pairs, 3, 3))
    with as_structure_error():
        overlap = model.kernel.evaluate(
            model.species_indices(batch.numbers),
            batch.positions,
            batch.cells,
            batch.periodic,
            [False] * len(layout.heads),
            combinations,
            np.zeros((beads, atoms, layout.outputs)),
            gradients,
            strains,
            CLOSEST_ALLOWED,
            model.threads,
        )
    refuse_overlap(overlap)
    of_sites, of_strain = dressing.by_positions(left, right)
    masses = atomic_masses[list(unit)]
    shares = np.tile(masses / masses.sum(), of_sites.shape[2])
    return gradients + np.repeat(of_sites, len(unit), axis=2) * shares[:, None], strains + of_strain
