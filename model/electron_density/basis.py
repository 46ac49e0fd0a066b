"""Gaussian functions on atoms in which a density is written: shells of each element, and where their numbers stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from ase.data import chemical_symbols
from scipy.special import gammaln

from ..orbitals.basis import OrbitalError, check_same_elements, order_of_shells, refuse_without_shells
from ..structures import Batch

SMALLEST_SQUARE = 1e-12  # of a sum, over that of its coefficients: less is rounding
HIGHEST_SHELL = 4  # angular momentum, as in def2-universal-jfit of first and second rows


@dataclass(frozen=True)
class Shell:
    """One contracted Gaussian, χ_m(r) = Σ_k d_k N_k r^l exp(−a_k r²) Y_lm(r/r), with ∫χ_m² = 1.

    Parameters
    ----------
    momentum : int
        l.
    exponents : tuple of float
        a_k in bohr⁻².
    contraction : tuple of float
        d_k of primitive functions that are normalised themselves; scaled so that the sum is normalised, too.
    """

    momentum: int
    exponents: tuple[float, ...]
    contraction: tuple[float, ...]

    def __post_init__(self) -> None:
        values = np.array([*self.exponents, *self.contraction], dtype=float)
        if not 0 <= self.momentum <= HIGHEST_SHELL:
            raise OrbitalError(f"a shell of l = {self.momentum}; allowed are angular momenta from 0 to {HIGHEST_SHELL}")
        if not self.exponents or len(self.exponents) != len(self.contraction) or not np.isfinite(values).all():
            raise OrbitalError(
                f"a shell with exponents {list(self.exponents)} and coefficients {list(self.contraction)}; as many "
                "finite numbers of both are needed, at least one"
            )
        if min(self.exponents) <= 0 or not self._square > SMALLEST_SQUARE * np.square(self.contraction).sum():
            raise OrbitalError(
                f"a shell with exponents {list(self.exponents)} and coefficients {list(self.contraction)}; exponents "
                "above 0 and coefficients whose sum is not 0 everywhere are needed"
            )

    @cached_property
    def amplitudes(self) -> np.ndarray:
        """What r^l exp(−a_k r²) Y_lm is multiplied by, shape (primitives,), in atomic units.

        ∫_0^∞ r^(2l+2) exp(−a r²) dr = Γ(l + 3/2) / (2 a^(l+3/2)) gives N_k, and the overlap of two primitives.
        """
        exponents, power = np.array(self.exponents), self.momentum + 1.5
        norms = np.sqrt(2 * (2 * exponents) ** power / np.exp(gammaln(power)))
        return np.array(self.contraction) * norms / np.sqrt(self._square)

    @property
    def _square(self) -> float:
        """∫ (Σ_k d_k N_k r^l exp(−a_k r²) Y_lm)², 1 for the sum that is normalised."""
        exponents, contraction = np.array(self.exponents), np.array(self.contraction)
        means = 2 * np.sqrt(exponents[:, None] * exponents) / (exponents[:, None] + exponents)
        return float(contraction @ means ** (self.momentum + 1.5) @ contraction)

    @cached_property
    def transform(self) -> np.ndarray:
        """Amplitudes of the Fourier transform, shape (primitives,).

        ∫ r^l exp(−a r²) Y_lm exp(−ik·r) dr = (−i)^l (π/a)^(3/2) (2a)^(−l) k^l exp(−k²/4a) Y_lm(k/k).
        """
        exponents = np.array(self.exponents)
        return self.amplitudes * (np.pi / exponents) ** 1.5 / (2 * exponents) ** self.momentum

    @property
    def charge(self) -> float:
        """∫χ of an s shell, the transform at k = 0."""
        return float(self.transform.sum() / np.sqrt(4 * np.pi)) if self.momentum == 0 else 0.0

    @property
    def dipole(self) -> float:
        """∫χ_m r_m of a p shell, of each function along its own axis: the transform's slope at k = 0."""
        return float(self.transform.sum() * np.sqrt(3 / (4 * np.pi))) if self.momentum == 1 else 0.0


@dataclass(frozen=True)
class AuxiliaryBasis:
    """Shells of each element.

    Parameters
    ----------
    shells : mapping of int to tuple of Shell
        By atomic number, in the order of the coefficients.
    electrons : mapping of int to float
        Electrons that a neutral atom brings into the density: also the charge of its nucleus, or core.

    Raises
    ------
    OrbitalError
        If an element has no shell that holds charge, or electrons are of other elements or not above 0.
    """

    shells: Mapping[int, tuple[Shell, ...]]
    electrons: Mapping[int, float]

    def __post_init__(self) -> None:
        check_same_elements(self.shells, self.electrons, "functions")
        for number, own in self.shells.items():
            if not any(shell.momentum == 0 for shell in own):
                raise OrbitalError(f"{chemical_symbols[number]} has no s shell; without one it holds no charge")
            if not 0 < self.electrons[number] <= number:
                raise OrbitalError(
                    f"{chemical_symbols[number]} brings {self.electrons[number]:g} electrons; allowed is more than 0, "
                    f"at most {number}"
                )

    @cached_property
    def numbers(self) -> tuple[int, ...]:
        """Atomic numbers, ascending."""
        return tuple(sorted(self.shells))

    def momenta(self, number: int) -> list[int]:
        """Angular momenta of the shells of an element, in their order."""
        return [shell.momentum for shell in self.shells[number]]

    def of_momentum(self, number: int, momentum: int) -> list[int]:
        """Which shells of an element have an angular momentum."""
        return [place for place, own in enumerate(self.momenta(number)) if own == momentum]

    @property
    def highest(self) -> int:
        """Highest angular momentum."""
        return max(max(self.momenta(number)) for number in self.numbers)

    def check_elements(self, numbers: np.ndarray) -> None:
        """Refuse elements that have no functions here.

        Raises
        ------
        StructureError
        """
        refuse_without_shells(numbers, self.shells, "functions in this density")

    def electrons_of(self, numbers: np.ndarray) -> float:
        """Electrons of a neutral molecule."""
        return float(sum(self.electrons[number] for number in numbers.tolist()))


class Functions:
    """All functions of a molecule: where the shells of its atoms stand in a list of coefficients.

    Functions of a shell stand as m = −l … l, so that p is y, z, x; `labels_order` leads to x, y, z.
    """

    def __init__(self, basis: AuxiliaryBasis, numbers: np.ndarray):
        basis.check_elements(numbers)
        self.basis, self.numbers = basis, numbers
        sizes = [2 * momentum + 1 for number in numbers.tolist() for momentum in basis.momenta(number)]
        self._firsts = np.concatenate([[0], np.cumsum(sizes)]).astype(int)
        shells = [len(basis.shells[number]) for number in numbers.tolist()]
        self._first_shells = np.concatenate([[0], np.cumsum(shells)]).astype(int)

    @property
    def count(self) -> int:
        """Number of functions."""
        return int(self._firsts[-1])

    def atoms(self, number: int) -> np.ndarray:
        """Atoms of a species."""
        return np.flatnonzero(self.numbers == number)

    def places(self, number: int, momentum: int) -> np.ndarray:
        """Where functions of a species and l stand, shape (atoms of the species, shells, 2 l + 1)."""
        own = self._first_shells[self.atoms(number)][:, None] + self.basis.of_momentum(number, momentum)
        return self._firsts[own][:, :, None] + np.arange(2 * momentum + 1)

    def labels_order(self, p_order: str = "xyz") -> np.ndarray:
        """Where each function stands in lists of quantum chemistry, shape (functions,)."""
        return order_of_shells(
            [momentum for own in self.numbers.tolist() for momentum in self.basis.momenta(own)], p_order
        )

    @cached_property
    def charges(self) -> np.ndarray:
        """q_p = ∫χ_p, shape (functions,), in the order of this class: of s shells alone."""
        found = np.zeros(self.count)
        for number in self.basis.numbers:
            if shells := self.basis.of_momentum(number, 0):
                found[self.places(number, 0)[:, :, 0]] = [self.basis.shells[number][own].charge for own in shells]
        return found

    def dipoles(self, positions: np.ndarray) -> np.ndarray:
        """∫χ_p r, shape (beads, functions, 3), of positions (beads, atoms, 3) in bohr, about the origin."""
        found = np.zeros((len(positions), self.count, 3))
        for number in self.basis.numbers:
            atoms = self.atoms(number)
            p_shells, s_places = self.basis.of_momentum(number, 1), self.places(number, 0)[:, :, 0]
            found[:, s_places] = positions[:, atoms, None] * self.charges[s_places][..., None]
            if p_shells:
                moments = np.array([self.basis.shells[number][own].dipole for own in p_shells])
                for m, axis in enumerate((1, 2, 0)):  # y, z, x
                    found[:, self.places(number, 1)[:, :, m], axis] = moments
        return found


def nuclear_charges(basis: AuxiliaryBasis, batch: Batch) -> np.ndarray:
    """Charges of the nuclei, or cores, shape (atoms,)."""
    return np.array([basis.electrons[number] for number in batch.numbers.tolist()], dtype=float)
