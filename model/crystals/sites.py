"""Whether every atom is at its own site: what has jumped is no longer near the minimum that a Hessian belongs to."""

from __future__ import annotations

import numpy as np
from ase.data import chemical_symbols

from ...potentials.harmonic_crystal import displacements
from ..checks import lattice_heights
from ..errors import StructureError
from ..structures import Batch
from .reference import HarmonicReference

FARTHEST = 2.0  # Å from its site: more than atoms of crystals vibrate
SAME_CELL = 1e-4  # relative, of all elements; i-PI sends cells with all digits, files hold fewer
CLEARLY = 2.0  # how much nearer another site must be than its own for an atom to belong there


class Sites:
    """The sites of a crystal.

    Parameters
    ----------
    reference : HarmonicReference
    """

    def __init__(self, reference: HarmonicReference):
        self._reference = reference
        height = float(lattice_heights(reference.cell[None], np.ones(3, dtype=bool)).min())
        self._farthest = min(FARTHEST, height / 2)
        self._inverse = np.linalg.inv(reference.cell)
        self._nearest = np.full(len(reference.numbers), np.inf)  # other site of the element
        for number in np.unique(reference.numbers):
            own = np.flatnonzero(reference.numbers == number)
            for atom in own:
                others = own[own != atom]
                if len(others):
                    self._nearest[atom] = self._distances(reference.positions[atom], others).min()

    def displacements(self, batch: Batch) -> np.ndarray:
        """How far atoms are from their sites, in any images, and moved as a whole where the crystal floats.

        Parameters
        ----------
        batch : Batch

        Returns
        -------
        ndarray of float64, shape (beads, atoms, 3)
            In Å.

        Raises
        ------
        StructureError
            If it is another crystal or cell.
        """
        self.check_atoms(batch.numbers)
        self.check_cells(batch.cells)
        reference = self._reference
        return displacements(batch.positions, batch.cells, batch.periodic, reference.fractions, reference.floats)

    def check_atoms(self, numbers: np.ndarray) -> None:
        """Refuse other atoms, or another order of them.

        Raises
        ------
        StructureError
            Naming the first that differs.
        """
        known = self._reference.numbers
        if len(numbers) != len(known):
            raise StructureError(f"{len(numbers)} atoms; the harmonic crystal has {len(known)}")
        if not np.array_equal(numbers, known):
            atom = int(np.argmax(numbers != known))
            raise StructureError(
                f"atom {atom} is {chemical_symbols[numbers[atom]]}, and {chemical_symbols[known[atom]]} in the "
                "harmonic crystal; the same atoms in the same order are needed"
            )

    def check_cells(self, cells: np.ndarray) -> None:
        """Refuse another cell, shape (beads, 3, 3) in Å, than that of the reference.

        Raises
        ------
        StructureError
            Naming the cell.
        """
        wrong = np.abs(cells - self._reference.cell).max(axis=(1, 2))
        bead = int(wrong.argmax())
        if not wrong[bead] <= SAME_CELL * np.abs(self._reference.cell).max():
            raise StructureError(
                f"cell {np.round(cells[bead], 4).tolist()} Å of bead {bead}, but the harmonic crystal has "
                f"{np.round(self._reference.cell, 4).tolist()} Å; a run at constant volume in that cell, turned like "
                "it, is needed"
            )

    def check_places(self, moved: np.ndarray, named: str = "of bead {}") -> None:
        """Refuse atoms that left their sites.

        Parameters
        ----------
        moved : ndarray of float64, shape (beads, atoms, 3)
            Displacements in Å.
        named : str
            What a row of them is called; its number takes the place of {}.

        Raises
        ------
        StructureError
            Naming the first atom that is farther from its site than atoms of crystals vibrate, or clearly nearer to
            the site of another atom of its element.
        """
        distances = np.sqrt((moved * moved).sum(axis=-1))
        for bead, atom in np.argwhere(distances > np.minimum(self._farthest, self._nearest / 2)):
            distance = distances[bead, atom]
            symbol = chemical_symbols[self._reference.numbers[atom]]
            where = (
                f"atom {atom}, {symbol}, {named.format(bead)} is {distance:.3g} Å from its site in the harmonic crystal"
            )
            if distance > self._farthest:
                raise StructureError(f"{where}; at most {self._farthest:.3g} Å are allowed: it left its site")
            others = np.flatnonzero(self._reference.numbers == self._reference.numbers[atom])
            others = others[others != atom]
            to_others = self._distances(self._reference.positions[atom] + moved[bead, atom], others)
            if CLEARLY * to_others.min() < distance:
                other = int(others[to_others.argmin()])
                raise StructureError(
                    f"{where} and {to_others.min():.3g} Å from that of atom {other}: it left its site, and this "
                    "harmonic crystal is no reference for what moves between minima"
                )

    def _distances(self, place: np.ndarray, sites: np.ndarray) -> np.ndarray:
        """Distances in Å of a place from the nearest images of some sites, shape (sites,)."""
        vectors = self._reference.positions[sites] - place
        vectors = vectors - np.round(vectors @ self._inverse) @ self._reference.cell
        return np.asarray(np.linalg.norm(vectors, axis=1))
