"""Atoms held at their sites by ``V = k x²/2 + c x⁴`` along each direction, which is solved exactly.

Its free energies, classical, quantum and with any number of beads, are those of one coordinate times their number, so
that all that is done for a crystal can be tried on it: ``--model beadwise.inputs.quartic_crystal:crystal``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from ..model import Batch, Response
from ..model.response import refuse_unavailable

STIFFNESS, QUARTIC = 2.2, 6.0  # eV/Å², eV/Å⁴: 770 cm⁻¹ for hydrogen
SIDE = 12.0  # Å


def sites(atoms: int) -> np.ndarray:
    """Sites in a cube of 12 Å, in Å, shape (atoms, 3); as many atoms as a whole number has in its cube."""
    number = round(atoms ** (1 / 3))
    grid = np.stack(np.meshgrid(*[np.arange(number)] * 3, indexing="ij"), -1).reshape(-1, 3)
    return np.asarray(SIDE / number * grid)


def structure(atoms: int = 64) -> Atoms:
    """The crystal of hydrogen at its minimum."""
    return Atoms(["H"] * atoms, sites(atoms), cell=[SIDE] * 3, pbc=True)


class QuarticCrystal:
    """The potential; the cell is a cube of 12 Å, and sites do not move with it."""

    species = (1,)
    properties = ("energy", "forces", "virial")

    def evaluate(self, batch: Batch, want: Sequence[str]) -> Response:
        """Answer the wanted properties for every bead.

        Parameters
        ----------
        batch : Batch
            Atoms in the order of `sites`, in any images.
        want : sequence of str
            Names out of `properties`; the virial is zero, as sites are fixed in space.

        Raises
        ------
        PropertyError
            If a wanted property is not available.
        """
        refuse_unavailable(want, self.properties, "the quartic crystal")
        x = batch.positions - sites(batch.atoms)
        x -= SIDE * np.round(x / SIDE)
        arrays = {
            "energy": (STIFFNESS / 2 * x**2 + QUARTIC * x**4).sum(axis=(1, 2)),
            "forces": -STIFFNESS * x - 4 * QUARTIC * x**3,
            "virial": np.zeros((batch.beads, 3, 3)),
        }
        return Response(**{name: arrays[name] for name in want})


crystal = QuarticCrystal()
