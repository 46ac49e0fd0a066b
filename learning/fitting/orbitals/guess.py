"""Matrices that a fit to levels begins from where there are none: two-centre integrals of Harrison's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ....model import Batch
from ....model.orbitals.basis import OrbitalBasis
from ....properties.unit_names import BOHR, HARTREE

# V_ll'm = η ħ²/(m d²) (W. A. Harrison, Electronic Structure and the Properties of Solids, 1980, table 2-1)
SS_SIGMA, SP_SIGMA, PP_SIGMA, PP_PI = -1.40, 1.84, 3.24, -0.81
HBAR_SQUARED_OVER_MASS = HARTREE * BOHR**2  # eV Å²
AXES = [1, 2, 0]  # y, z, x: m = −1, 0, 1


def guessed_matrices(basis: OrbitalBasis, start: Mapping[int, Sequence[float]], batch: Batch) -> np.ndarray:
    """Hamiltonians in orthogonal orbitals, in eV and in our order, shape (frames, orbitals, orbitals).

    Levels of shells on the diagonal; between atoms σ and π integrals of s and p shells, and nothing between others
    (J. C. Slater, G. F. Koster, Phys. Rev. 94, 1498 (1954), table I).

    Parameters
    ----------
    basis : OrbitalBasis
    start : mapping of int to sequence of float
        Levels in eV of the shells of each element.
    batch : Batch
    """
    numbers, firsts = batch.numbers.tolist(), basis.first_orbitals(batch.numbers)
    found = np.zeros((batch.beads, firsts[-1], firsts[-1]))
    shells = [
        (atom, first + begin, momentum, start[number][place])
        for atom, (number, first) in enumerate(zip(numbers, firsts, strict=False))
        for place, (begin, momentum) in enumerate(zip(basis.first_of_shells(number), basis.shells[number], strict=True))
    ]
    for atom, row, momentum, level in shells:
        own = np.arange(row, row + 2 * momentum + 1)
        found[:, own, own] = level
        for other, column, its_momentum, _ in shells:
            if other > atom and max(momentum, its_momentum) < 2:
                vectors = batch.positions[:, other] - batch.positions[:, atom]
                with np.errstate(divide="ignore", invalid="ignore"):  # atoms in one place: the fit refuses them
                    block = _block(momentum, its_momentum, vectors)
                rows, columns = slice(row, row + 2 * momentum + 1), slice(column, column + 2 * its_momentum + 1)
                found[:, rows, columns] = block
                found[:, columns, rows] = block.swapaxes(1, 2)
    return found


def _block(momentum: int, its_momentum: int, vectors: np.ndarray) -> np.ndarray:
    """Between two shells of two atoms, shape (frames, 2 l + 1, 2 l' + 1), of vectors from the first to the second."""
    squares = np.square(vectors).sum(axis=1)[:, None, None]
    units = vectors[:, AXES] / np.sqrt(squares[:, :, 0])
    size = HBAR_SQUARED_OVER_MASS / squares
    if momentum == its_momentum == 0:
        return SS_SIGMA * size
    if momentum == 0:
        return SP_SIGMA * size * units[:, None, :]
    if its_momentum == 0:
        return -SP_SIGMA * size * units[:, :, None]
    along = units[:, :, None] * units[:, None, :]
    return size * (PP_SIGMA * along + PP_PI * (np.eye(3) - along))
