"""The order of the atoms of a liquid of one molecule, told from its distances when nobody names a structure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations

import numpy as np
from ase.data import chemical_symbols, covalent_radii

from ...model import StructureError

LONGEST_BOND = 1.45  # times the sum of the covalent radii: beyond any bond of a bead, short of the next neighbour


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
    distances = nearest_image_distances(cell, positions)
    for numbers in orders(unit, atoms // len(unit)):
        if is_bonded(numbers, distances):
            return numbers
    raise StructureError(f"the distances of the {atoms} atoms fit no order of {formula} molecules")


def orders(unit: Sequence[int], molecules: int) -> Iterator[np.ndarray]:
    """Molecule by molecule first, then element by element."""
    distinct = sorted(set(permutations(unit)), key=lambda order: order != tuple(unit))
    for order in distinct:
        yield np.tile(np.array(order, dtype=np.int32), molecules)
    for elements in permutations(sorted(set(unit))):
        by_element = np.concatenate([np.full(list(unit).count(element), element) for element in elements])
        yield np.repeat(by_element.astype(np.int32), molecules)


def is_bonded(numbers: np.ndarray, distances: np.ndarray) -> bool:
    """Whether every atom has an atom of another element within bonding distance."""
    radii = covalent_radii[numbers]
    stretch = distances / (radii[:, None] + radii)
    stretch[numbers[:, None] == numbers] = np.inf
    return bool((stretch.min(axis=1) < LONGEST_BOND).all())


def nearest_image_distances(cell: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Distances in Å, shape (atoms, atoms), to the image that is nearest in fractional coordinates."""
    difference = positions[:, None] - positions[None]
    difference -= np.round(difference @ np.linalg.inv(cell)) @ cell
    return np.linalg.norm(difference, axis=2)
