"""Three ways from what a head says of each atom to its charge, and their adjoints.

With numbers h of the atoms (charges, or electronegativities χ), positions r, and any number F of the charges q, whose
derivatives g = ∂F/∂q are known, each kind gives ∂F/∂h, and ∂F/∂r and ∂F/∂ε at constant h: `Adjoint`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import scipy

from ..electrostatics import Electrostatics
from ..errors import StructureError
from ..structures import Batch
from .bonds import Bonds, bonds_of

SAME = 1e-6  # e: formal charges add up to a total


@dataclass(frozen=True)
class Adjoint:
    """Derivatives of some numbers, each a column: by what the head says, by positions and by strain.

    Parameters
    ----------
    by_head : ndarray of float64, shape (beads, columns, atoms)
    gradients : ndarray of float64, shape (beads, columns, atoms, 3)
        By positions at constant values of the head.
    strains : ndarray of float64, shape (beads, columns, 3, 3)
    """

    by_head: np.ndarray
    gradients: np.ndarray
    strains: np.ndarray

    @classmethod
    def zeros(cls, beads: int, columns: int, atoms: int) -> Adjoint:
        """Of what depends on nothing."""
        found = (
            np.zeros((beads, columns, atoms)),
            np.zeros((beads, columns, atoms, 3)),
            np.zeros((beads, columns, 3, 3)),
        )
        return cls(*found)

    def __add__(self, other: Adjoint) -> Adjoint:
        return Adjoint(self.by_head + other.by_head, self.gradients + other.gradients, self.strains + other.strains)


class Charges(Protocol):
    """Charges of a batch."""

    @property
    def values(self) -> np.ndarray:
        """In e, shape (beads, atoms)."""

    def adjoint(self, by_charge: np.ndarray) -> Adjoint:
        """Derivatives of numbers that depend on the charges, from ∂F/∂q, shape (beads, columns, atoms)."""

    def dipole(self) -> tuple[np.ndarray, Adjoint]:
        """In e·Å, shape (beads, 3), and its derivatives, a column for each component."""


class PlainCharges:
    """What the head says, less the mean of what is too much in each group of atoms.

    ``q_i = h_i − (Σ_g h − Q_g)/n_g``.

    Parameters
    ----------
    batch : Batch
    head : ndarray of float64, shape (beads, atoms)
        In e.
    group : ndarray of int, shape (atoms,)
        Which group each atom belongs to.
    totals : ndarray of float64, shape (beads, groups)
        Q_g in e.
    places : ndarray of float64, shape (beads, atoms, 3), optional
        Positions that the dipole is made of, each group whole; by default those of the batch.
    """

    def __init__(
        self,
        batch: Batch,
        head: np.ndarray,
        group: np.ndarray,
        totals: np.ndarray,
        places: np.ndarray | None = None,
    ):
        self.batch, self.group = batch, group
        self.places = batch.positions if places is None else places
        self.counts = np.bincount(group, minlength=totals.shape[1]).astype(float)
        self.values = self._without_mean(head) + (totals / self.counts)[:, group]

    def _without_mean(self, given: np.ndarray) -> np.ndarray:
        sums = np.zeros((*given.shape[:-1], len(self.counts)))
        for place in range(len(self.counts)):
            sums[..., place] = given[..., self.group == place].sum(axis=-1)
        return given - (sums / self.counts)[..., self.group]

    def adjoint(self, by_charge: np.ndarray) -> Adjoint:
        """See `Charges`."""
        empty = Adjoint.zeros(*by_charge.shape)
        return Adjoint(self._without_mean(by_charge), empty.gradients, empty.strains)

    def dipole(self) -> tuple[np.ndarray, Adjoint]:
        """See `Charges`."""
        return dipole_of_places(self, self.places)


class EquilibratedCharges:
    """Charges at the minimum of ``E = Σ χ_i q_i + ½ Σ A_ij q_i q_j`` with the sum Q.

    A has the Coulomb interaction of Gaussians, and ``A_ii = J_i + 1/(σ_i √π)`` with that of images (A. K. Rappé,
    W. A. Goddard, J. Phys. Chem. 95, 3358 (1991); T. W. Ko et al., Nat. Commun. 12, 398 (2021)).  With
    ``K = A⁻¹ − A⁻¹ 1 1ᵀ A⁻¹/(1ᵀ A⁻¹ 1)`` a change is ``dq = −K (dχ + dA q)``, so that ``z = K g`` is all that a number
    with the derivatives g needs: ``dF = −z·dχ − z·dA q``.

    Parameters
    ----------
    batch : Batch
    head : ndarray of float64, shape (beads, atoms)
        χ in eV/e.
    sums : Electrostatics
        Of the atoms, with their widths.
    own : ndarray of float64, shape (atoms,)
        J_i + 1/(σ_i √π) in eV/e².
    totals : ndarray of float64, shape (beads,)
        Q in e.
    coulomb : ndarray of float64, shape (beads, atoms, atoms), optional
        `Electrostatics.matrix` of the sums, where it is known.

    Raises
    ------
    StructureError
        If there is no minimum.
    """

    def __init__(
        self,
        batch: Batch,
        head: np.ndarray,
        sums: Electrostatics,
        own: np.ndarray,
        totals: np.ndarray,
        coulomb: np.ndarray | None = None,
    ):
        self.batch, self.head, self.sums, self.totals = batch, head, sums, totals
        self.matrix = (sums.matrix() if coulomb is None else coulomb) + np.diag(own)
        self.factors = []
        # with a large number for all pairs added, which changes nothing where the sum of charges is given, the matrix
        # is positive definite if and only if the energy has a minimum
        self.stiff = float(np.abs(self.matrix).max(initial=1.0))
        for bead, matrix in enumerate(self.matrix):
            try:
                self.factors.append(scipy.linalg.cho_factor(matrix + self.stiff, lower=True))
            except np.linalg.LinAlgError:
                nearest = float(np.min(own))
                raise StructureError(
                    f"charges of bead {bead} have no equilibrium: it would cost nothing to move charge between atoms, "
                    f"whose hardness with their widths is {nearest:.4g} eV/e² and more; harder or wider atoms, or "
                    "atoms that are farther apart, are needed"
                ) from None
        self.flat = self._solve(np.ones((len(head), 1, head.shape[1])))
        free = self._solve(-head[:, None])
        missing = totals - free[:, 0].sum(axis=1)
        self.values = free[:, 0] + self.flat[:, 0] * (missing / self.flat[:, 0].sum(axis=1))[:, None]

    def _solve(self, right: np.ndarray) -> np.ndarray:
        """(A + s 1 1ᵀ)⁻¹ of columns (beads, columns, atoms)."""
        found = [scipy.linalg.cho_solve(factor, own.T).T for factor, own in zip(self.factors, right, strict=True)]
        return np.array(found).reshape(right.shape)

    def respond(self, given: np.ndarray) -> np.ndarray:
        """K times columns (beads, columns, atoms): charges that −1 times an electronegativity moves."""
        free = self._solve(given)
        return free - self.flat * (free.sum(axis=2) / self.flat.sum(axis=2))[..., None]

    def adjoint(self, by_charge: np.ndarray) -> Adjoint:
        """See `Charges`."""
        moved = self.respond(by_charge)
        columns = np.concatenate([moved, self.values[:, None]], axis=1)
        last = by_charge.shape[1]
        _, gradients, strains = self.sums.couplings(columns, None, [(own, last) for own in range(last)])
        return Adjoint(-moved, -gradients, -strains)

    def dipole(self) -> tuple[np.ndarray, Adjoint]:
        """See `Charges`."""
        return dipole_of_places(self, self.batch.positions)

    @cached_property
    def potential(self) -> np.ndarray:
        """∂E/∂q in eV/e, shape (beads,), which is the same for all atoms."""
        each = self.head + np.einsum("bij,bj->bi", self.matrix, self.values)
        return each.mean(axis=1)

    def polarizability(self) -> np.ndarray:
        """∂M/∂E in e²Å²/eV, shape (beads, 3, 3), of atoms without images; electric fields add −E·r to χ."""
        places = np.swapaxes(self.batch.positions, 1, 2)
        return np.einsum("bai,bci->bac", places, self.respond(places))


class TransferredCharges:
    """Formal charges, and what differences of electronegativity move between near atoms.

    ``q_i = n_i + Σ_j p_ij``, ``p_ij = f(r_ij) (χ_j − χ_i) = −p_ji``; split charges (R. A. Nistor, J. G. Polihronov,
    M. H. Müser, N. J. Mosey, J. Chem. Phys. 125, 094108 (2006)) without their interaction.  The dipole of what is moved
    is ``½ Σ p_ij (r_i − r_j)``, which does not depend on the image that an atom is in.

    Parameters
    ----------
    batch : Batch
    head : ndarray of float64, shape (beads, atoms)
        χ in eV/e.
    formal : ndarray of float64, shape (atoms,)
        n in e.
    reach : float
        In Å.
    """

    def __init__(self, batch: Batch, head: np.ndarray, formal: np.ndarray, reach: float):
        self.batch, self.head, self.formal = batch, head, formal
        self.bonds = [bonds_of(batch, bead, reach) for bead in range(batch.beads)]
        self.moved = [own.strength * self._rise(bead, own) for bead, own in enumerate(self.bonds)]
        self.values = np.tile(formal, (batch.beads, 1))
        for bead, own in enumerate(self.bonds):
            add_pairs(self.values[bead], own, self.moved[bead])

    def _rise(self, bead: int, bonds: Bonds) -> np.ndarray:
        """χ_j − χ_i of pairs."""
        return self.head[bead, bonds.second] - self.head[bead, bonds.first]

    def adjoint(self, by_charge: np.ndarray) -> Adjoint:
        """See `Charges`."""
        found = Adjoint.zeros(*by_charge.shape)
        for bead, own in enumerate(self.bonds):
            rise = self._rise(bead, own)
            for column, given in enumerate(by_charge[bead]):
                weight = given[own.first] - given[own.second]
                add_pairs(found.by_head[bead, column], own, -weight * own.strength)
                along = (weight * rise)[:, None] * own.slope
                add_pairs(found.gradients[bead, column], own, -along)
                found.strains[bead, column] += along.T @ own.vectors
        return found

    def dipole(self) -> tuple[np.ndarray, Adjoint]:
        """See `Charges`; that of formal charges is of positions as they are given."""
        beads, atoms = self.values.shape
        found, totals = Adjoint.zeros(beads, 3, atoms), self.formal @ self.batch.positions
        for bead, own in enumerate(self.bonds):
            rise = self._rise(bead, own)
            totals[bead] -= self.moved[bead] @ own.vectors
            for a in range(3):
                add_pairs(found.by_head[bead, a], own, own.strength * own.vectors[:, a])
                along = -(rise * own.vectors[:, a])[:, None] * own.slope
                along[:, a] -= self.moved[bead]
                add_pairs(found.gradients[bead, a], own, -along)
                found.gradients[bead, a, :, a] += self.formal
                found.strains[bead, a] += along.T @ own.vectors
                found.strains[bead, a, a] += self.formal @ self.batch.positions[bead]
        return totals, found


def add_pairs(to: np.ndarray, bonds: Bonds, values: np.ndarray) -> None:
    """Add numbers of pairs to their first atoms and take them from their second ones, in place."""
    np.add.at(to, bonds.first, values)
    np.subtract.at(to, bonds.second, values)


def dipole_of_places(charges: PlainCharges | EquilibratedCharges, places: np.ndarray) -> tuple[np.ndarray, Adjoint]:
    """Σ q r with its derivatives, where charges are at these places of the atoms (beads, atoms, 3)."""
    beads, atoms = charges.values.shape
    explicit = Adjoint.zeros(beads, 3, atoms)
    total = np.einsum("bi,bia->ba", charges.values, places)
    for a in range(3):
        explicit.gradients[:, a, :, a] = charges.values
        explicit.strains[:, a, a] = total
    return total, explicit + charges.adjoint(np.ascontiguousarray(np.swapaxes(places, 1, 2)))
