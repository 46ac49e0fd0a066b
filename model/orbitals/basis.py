"""Orbitals on atoms: which shells an element has, how many electrons it brings, and where they stand in a matrix."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from ase.data import chemical_symbols

from ...errors import BeadwiseError
from ..errors import StructureError
from ..structures import species_names

SHELL_LETTERS = "spdfg"  # by angular momentum
HIGHEST_SHELL = 3  # two f shells couple to λ = 6, the highest order of the kernel


class OrbitalError(BeadwiseError, ValueError):
    """Orbitals, or a Hamiltonian in them, that cannot be what they are said to be."""


def check_same_elements(shells: Mapping[int, object], electrons: Mapping[int, float], what: str) -> None:
    """Raise OrbitalError if shells, called ``what``, and electrons are not of the same elements, or of none."""
    if not shells or set(shells) != set(electrons):
        raise OrbitalError(
            f"{what} are of {_names(shells)} and electrons of {_names(electrons)}; both are needed of the same elements"
        )


def refuse_without_shells(numbers: np.ndarray, shells: Mapping[int, object], what: str) -> None:
    """Raise StructureError if an atom is of an element without shells; ``what`` is what it does not have, and where."""
    strange = [number for number in numbers.tolist() if number not in shells]
    if strange:
        raise StructureError(f"species {chemical_symbols[strange[0]]} has no {what}; allowed are {_names(shells)}")


def _names(numbers: Iterable[int]) -> str:
    return ", ".join(species_names(numbers)) or "no element"


@dataclass(frozen=True)
class OrbitalBasis:
    """Atom-centred orbitals.

    Parameters
    ----------
    shells : mapping of int to tuple of int
        Angular momenta of the shells of each element, by its atomic number, in the order of the matrix: ``(0, 0, 1)``
        for 1s, 2s, 2p of carbon.
    electrons : mapping of int to float
        Electrons that a neutral atom of each element brings into these orbitals.

    Raises
    ------
    OrbitalError
        If an element has no shell or too high a one, or its electrons are negative or more than its orbitals hold.
    """

    shells: Mapping[int, tuple[int, ...]]
    electrons: Mapping[int, float]

    def __post_init__(self) -> None:
        check_same_elements(self.shells, self.electrons, "shells")
        for number, own in self.shells.items():
            if not own or not all(0 <= shell <= HIGHEST_SHELL for shell in own):
                raise OrbitalError(
                    f"shells of {chemical_symbols[number]} are {list(own)}; allowed are angular momenta from 0 to "
                    f"{HIGHEST_SHELL}, at least one"
                )
            most = 2 * self.orbitals(number)
            if not 0 <= self.electrons[number] <= most:
                raise OrbitalError(
                    f"{chemical_symbols[number]} brings {self.electrons[number]:g} electrons; its orbitals hold 0 to "
                    f"{most}"
                )

    @cached_property
    def numbers(self) -> tuple[int, ...]:
        """Atomic numbers, ascending."""
        return tuple(sorted(self.shells))

    @property
    def highest(self) -> int:
        """Highest angular momentum of a shell."""
        return max(shell for own in self.shells.values() for shell in own)

    def orbitals(self, number: int) -> int:
        """Orbitals of one atom."""
        return sum(2 * shell + 1 for shell in self.shells[number])

    def first_orbitals(self, numbers: np.ndarray) -> np.ndarray:
        """The first orbital of each atom, and the number of all of them behind the last, shape (atoms + 1,).

        Raises
        ------
        StructureError
            If an element has no orbitals here.
        """
        refuse_without_shells(numbers, self.shells, "orbitals in this Hamiltonian")
        return np.concatenate([[0], np.cumsum([self.orbitals(number) for number in numbers.tolist()])]).astype(int)

    def first_of_shells(self, number: int) -> list[int]:
        """The first orbital of every shell, counted from that of the atom."""
        return [0, *np.cumsum([2 * shell + 1 for shell in self.shells[number]]).tolist()][:-1]

    def neutral_electrons(self, numbers: np.ndarray) -> float:
        """Electrons of a neutral molecule in these orbitals."""
        return float(sum(self.electrons[number] for number in numbers.tolist()))

    def order_of_labels(self, numbers: np.ndarray, p_order: str = "xyz") -> np.ndarray:
        """Where each orbital stands in matrices of quantum chemistry, shape (orbitals,).

        Parameters
        ----------
        numbers : ndarray of int, shape (atoms,)
        p_order : str
            ``xyz`` for p shells as PySCF has them; ``yzx`` for m from −l to l, as here, and in higher shells
            everywhere.  All are real harmonics without Condon–Shortley phase.
        """
        return order_of_shells([shell for number in numbers.tolist() for shell in self.shells[number]], p_order)


def order_of_shells(momenta: Iterable[int], p_order: str = "xyz") -> np.ndarray:
    """Where functions of shells that follow each other stand in arrays of quantum chemistry, shape (functions,).

    Parameters
    ----------
    momenta : iterable of int
        l of each shell; here its functions are m = −l … l.
    p_order : str
        As for `OrbitalBasis.order_of_labels`.
    """
    places_of_p = [p_order.index(axis) for axis in "yzx"]
    places: list[int] = []
    for momentum in momenta:
        first = len(places)
        places += [first + place for place in (places_of_p if momentum == 1 else range(2 * momentum + 1))]
    return np.array(places, dtype=int)
