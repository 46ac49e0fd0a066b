"""The order of the atoms of a liquid of one molecule, told from its distances.

It is needed where nobody names a structure, and to tell that somebody named a wrong one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations

import numpy as np
from ase.data import chemical_symbols, covalent_radii

from ...model import StructureError
from ...model.errors import as_structure_error
from ...model.molecules import repeating_unit
from ...pyx.pairs import pairs_within
from ...runs.units import PERIODIC

LONGEST_BOND = 1.45  # times the sum of the covalent radii: beyond any bond of a bead, short of the next neighbour
MOST_TRIED = 6  # atoms of a molecule, or its elements, all orders of which are tried
CLOSEST = 0.1  # Å: atoms that near are on each other, and no order can be told


def unit_of(evaluator: object) -> tuple[int, ...] | None:
    """Atomic numbers of the molecule that an evaluator was made for; None if it does not name one."""
    return repeating_unit(getattr(evaluator, "metadata", None))


def species_from_distances(unit: Sequence[int], cell: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Atomic numbers of a periodic structure that is made of one kind of molecule.

    The molecule's atoms, in any order, molecule by molecule or element by element, are tried until every atom has an
    atom of another element within bonding distance, as in no wrong order of a liquid.

    Parameters
    ----------
    unit : sequence of int
        Atomic numbers of the molecule, of at least two elements.
    cell : ndarray of float64, shape (3, 3)
        Lattice vectors in Å, one per row.
    positions : ndarray of float64, shape (atoms, 3)
        In Å.

    Returns
    -------
    ndarray of int32, shape (atoms,)

    Raises
    ------
    StructureError
        If no order fits.
    """
    atoms = len(positions)
    if not np.isfinite(positions).all():
        raise StructureError(f"{np.count_nonzero(~np.isfinite(positions))} coordinates are not finite")
    formula = "".join(chemical_symbols[number] for number in unit)
    if atoms % len(unit):
        raise StructureError(f"{atoms} atoms are no whole number of {formula} molecules")
    near = Neighbours(unit, cell, positions)
    for numbers in orders(unit, atoms // len(unit)):
        if near.are_bonds(numbers):
            return numbers
    raise StructureError(f"the distances of the {atoms} atoms fit no order of {formula} molecules")


def refuse_wrong_order(unit: Sequence[int], numbers: np.ndarray, cell: np.ndarray, positions: np.ndarray) -> None:
    """Refuse atoms whose distances fit another order of the same molecules, and not the given one.

    Where they fit no order, as those of molecules that break, or of a mixture, the given one counts.

    Parameters
    ----------
    unit : sequence of int
        Atomic numbers of the molecule that the model was made for.
    numbers : ndarray of int, shape (atoms,)
        As they were given.
    cell, positions : ndarray of float64, shapes (3, 3), (atoms, 3)
        In Å.

    Raises
    ------
    StructureError
        Naming both orders.
    """
    atoms = len(positions)
    if len(set(unit)) < 2 or atoms % len(unit) or sorted(numbers) != sorted([*unit] * (atoms // len(unit))):
        return
    near = Neighbours(unit, cell, positions)
    if near.are_bonds(numbers):
        return
    for other in orders(unit, atoms // len(unit)):
        if near.are_bonds(other):
            first = int(np.flatnonzero(other != numbers)[0])
            given, found = (" ".join(chemical_symbols[n] for n in own[: 2 * len(unit)]) for own in (numbers, other))
            raise StructureError(
                f"the structure that gives the species has the atoms {given} …; by their distances they are {found} …, "
                f"so atom {first} is {chemical_symbols[other[first]]}; a structure in i-PI's order is needed"
            )


class Neighbours:
    """Pairs of atoms that may be bonds of a molecule.

    Parameters
    ----------
    unit : sequence of int
        Atomic numbers of the molecule.
    cell, positions : ndarray of float64, shapes (3, 3), (atoms, 3)
        In Å.

    Raises
    ------
    StructureError
        If the cell is so flat that they cannot be listed.
    """

    def __init__(self, unit: Sequence[int], cell: np.ndarray, positions: np.ndarray):
        reach = LONGEST_BOND * 2 * max(covalent_radii[number] for number in unit)
        arrays = (np.ascontiguousarray(array, dtype=np.float64) for array in (positions, cell))
        with as_structure_error():
            self._first, self._second, vectors = pairs_within(*arrays, PERIODIC, reach, CLOSEST)
        self._distances = np.linalg.norm(vectors, axis=1)
        self._atoms = len(positions)

    def are_bonds(self, numbers: np.ndarray) -> bool:
        """Whether every atom, if these are their elements, has an atom of another element within bonding distance."""
        first, second = numbers[self._first], numbers[self._second]
        longest = LONGEST_BOND * (covalent_radii[first] + covalent_radii[second])
        bonds = (first != second) & (self._distances < longest)
        return bool(np.bincount(self._first[bonds], minlength=self._atoms).all())


def orders(unit: Sequence[int], molecules: int) -> Iterator[np.ndarray]:
    """Molecule by molecule first, then element by element; of large molecules only those that people write."""
    elements = list(permutations(sorted(set(unit)))) if len(set(unit)) <= MOST_TRIED else []
    grouped = [tuple(own for element in order for own in unit if own == element) for order in elements]
    distinct = permutations(unit) if len(unit) <= MOST_TRIED else [unit, unit[::-1], *grouped]
    for order in dict.fromkeys([tuple(unit), *map(tuple, distinct)]):
        yield np.tile(np.array(order, dtype=np.int32), molecules)
    for order in grouped:
        yield np.repeat(np.array(order, dtype=np.int32), molecules)
