"""Blocks of a matrix between two shells, taken apart into parts that turn as harmonics, and put together again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ...pyx.coupling import coupling
from .basis import OrbitalBasis
from .coupled import Part


@dataclass(frozen=True)
class Block:
    """One part, of order λ, of the block between two shells of one atom, or of two atoms.

    ``h_λM = Σ C(m1 m2 M) H_{m1 m2}``, with C orthonormal (J. Nigam, M. Willatt, M. Ceriotti, J. Chem. Phys. 156, 014115
    (2022)).  Of two shells of one kind λ that are odd change sign where the two are exchanged; on one atom they vanish.

    Parameters
    ----------
    species : tuple of int
        Atomic numbers of the two atoms, ascending; one number where both shells are of the same atom.
    shells : tuple of int
        Which shells, counted from 0.
    momenta : tuple of int
        Their angular momenta l1, l2.
    order : int
        λ.
    """

    species: tuple[int, ...]
    shells: tuple[int, int]
    momenta: tuple[int, int]
    order: int

    @property
    def is_on_site(self) -> bool:
        """Whether both shells are of one atom."""
        return len(self.species) == 1

    @property
    def is_of_equals(self) -> bool:
        """Whether exchanging the two atoms gives the same block, transposed."""
        return self.shells[0] == self.shells[1] and len(set(self.species)) == 1

    @property
    def part(self) -> Part:
        """λ, and the parity (−1)^(l1 + l2 + λ)."""
        return self.order, (-1) ** (sum(self.momenta) + self.order)

    @property
    def exchange(self) -> int:
        """(−1)^(l1 + l2 − λ): what exchanging two equal shells multiplies it by."""
        return self.part[1]

    @property
    def coefficients(self) -> np.ndarray:
        """C, shape (2 l1 + 1, 2 l2 + 1, 2 λ + 1)."""
        return coupling(*self.momenta, self.order)

    @property
    def name(self) -> str:
        """In a file: species, shells and λ."""
        return "-".join(map(str, self.species)) + f".{self.shells[0]}-{self.shells[1]}.{self.order}"


def blocks_of(basis: OrbitalBasis) -> list[Block]:
    """All blocks that matrices in a basis are made of, each once."""
    found: list[Block] = []
    numbers = basis.numbers
    for first in numbers:
        found += _between(basis, (first,))
    for place, first in enumerate(numbers):
        for second in numbers[place:]:
            found += _between(basis, (first, second))
    return found


def _between(basis: OrbitalBasis, species: tuple[int, ...]) -> Iterable[Block]:
    ours, theirs = basis.shells[species[0]], basis.shells[species[-1]]
    for one, l1 in enumerate(ours):
        for other in range(one if len(set(species)) == 1 else 0, len(theirs)):
            l2 = theirs[other]
            for order in range(abs(l1 - l2), l1 + l2 + 1):
                if not (len(species) == 1 and one == other and order % 2):
                    yield Block(species, (one, other), (l1, l2), order)


@dataclass(frozen=True)
class Rows:
    """Where the blocks of one pair of species stand in the matrices of a molecule.

    Parameters
    ----------
    first, second : ndarray of int, shape (rows,)
        Atoms of the two shells; the same where they are of one atom.
    """

    first: np.ndarray
    second: np.ndarray


def rows_of(species: tuple[int, ...], numbers: np.ndarray) -> Rows:
    """All atoms of a species, or all pairs of two: of one species each in both directions."""
    ours = np.flatnonzero(numbers == species[0])
    if len(species) == 1:
        return Rows(ours, ours)
    theirs = np.flatnonzero(numbers == species[1])
    first, second = (own.ravel() for own in np.meshgrid(ours, theirs, indexing="ij"))
    apart = first != second
    return Rows(first[apart], second[apart])


class Places:
    """Elements of matrices by block, for molecules of the same atoms."""

    def __init__(self, basis: OrbitalBasis, numbers: np.ndarray):
        self.basis, self.numbers = basis, numbers
        self.first = basis.first_orbitals(numbers)

    @property
    def orbitals(self) -> int:
        """Number of all orbitals."""
        return int(self.first[-1])

    def indices(self, block: Block, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
        """Row and column of every element of a block, shapes (rows, 2 l1 + 1, 1) and (rows, 1, 2 l2 + 1)."""
        ours, theirs = (
            self.first[atoms] + self.basis.first_of_shells(number)[shell]
            for atoms, number, shell in zip(
                (rows.first, rows.second), (block.species[0], block.species[-1]), block.shells, strict=True
            )
        )
        l1, l2 = block.momenta
        return ours[:, None, None] + np.arange(2 * l1 + 1)[:, None], theirs[:, None, None] + np.arange(2 * l2 + 1)

    def part_of(self, matrices: np.ndarray, block: Block, rows: Rows) -> np.ndarray:
        """H of matrices (beads, orbitals, orbitals), shape (beads, rows, 2 λ + 1)."""
        row, column = self.indices(block, rows)
        return np.einsum("brxy,xyM->brM", matrices[:, row, column], block.coefficients)

    def add(self, matrices: np.ndarray, block: Block, rows: Rows, values: np.ndarray) -> None:
        """Add what h (beads, rows, 2 λ + 1) means to symmetric matrices."""
        row, column = self.indices(block, rows)
        own = np.einsum("brM,xyM->brxy", values, block.coefficients)
        matrices[:, row, column] += own
        if not block.is_of_equals:  # of equals each pair comes in both directions
            matrices[:, column.swapaxes(1, 2), row.swapaxes(1, 2)] += own.swapaxes(2, 3)

    def adjoint(self, adjoints: np.ndarray, block: Block, rows: Rows) -> np.ndarray:
        """Adjoint of h in `add` from that of the matrices."""
        found = self.part_of(adjoints, block, rows)
        if not block.is_of_equals:
            row, column = self.indices(block, rows)
            mirrored = adjoints[:, column.swapaxes(1, 2), row.swapaxes(1, 2)]
            found = found + np.einsum("bryx,xyM->brM", mirrored, block.coefficients)
        return found
