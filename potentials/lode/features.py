"""What heads read of long-range potentials: the expanded potentials alone, and their products with the local density.

Features of angular momentum λ of an atom are v_λM of every channel (exponent, species, n) of the potentials, then for
each pair (l1, l2) that couples to λ the products Σ G(m1 m2 M) c_l1m1 v_l2m2 of every channel of the local density with
every channel of the potentials (Grisafi, Nigam, Ceriotti, Chem. Sci. 12, 2078 (2021)).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...pyx.coupling import coupling
from . import direct
from .local import LocalDensity
from .settings import LongRangeShape
from .waves import Waves


class LongRange:
    """Features of the atoms of one structure, and their derivatives.

    Parameters
    ----------
    shape : LongRangeShape
    positions : ndarray of float64, shape (atoms, 3)
        In Å.
    species : ndarray of int, shape (atoms,)
        Index of each atom's species.
    cell : ndarray of float64, shape (3, 3)
        Lattice vectors in Å, one per row.
    periodic : sequence of 3 bool
        All or none.

    Raises
    ------
    ValueError
        If only some directions are periodic, or two isolated atoms are nearer than `direct.CLOSEST`.
    """

    def __init__(
        self,
        shape: LongRangeShape,
        positions: np.ndarray,
        species: np.ndarray,
        cell: np.ndarray,
        periodic: Sequence[bool],
    ):
        directions = list(map(bool, periodic))
        if any(directions) != all(directions):
            raise ValueError(f"periodic directions are {directions}; long-range potentials are for all three, or none")
        self.shape, self.positions, self.species = shape, positions, np.asarray(species)
        self.members = np.eye(shape.species)[self.species]
        self.waves = Waves(shape.expansion, np.asarray(cell, dtype=float)) if all(directions) else None
        own = shape.species, shape.radial, shape.expansion.l_max
        self.local = LocalDensity(positions, self.species, cell, directions, own, shape.cutoff)
        self.density = self.local.values()
        if self.waves is not None:
            raw = self.waves.potentials(positions, self.species, shape.species)
        else:
            self.pairs = direct.pairs(positions, shape.expansion)
            raw = np.einsum("ijc,jb->ibc", self.pairs[0], self.members)
        raw[np.arange(len(positions)), self.species] -= direct.own_potential(shape.expansion)
        self.potentials = raw

    def _blocks(self, columns: np.ndarray) -> np.ndarray:
        """From (atoms, species, columns, …) to (atoms, exponent · species · n, harmonics, …)."""
        own = self.shape.expansion
        axes = (len(own.exponents), own.radial, own.harmonics)
        split = columns.reshape(*columns.shape[:2], *axes, *columns.shape[3:])
        return np.moveaxis(split, 1, 2).reshape(len(columns), self.shape.potentials, own.harmonics, *columns.shape[3:])

    def _columns(self, blocks: np.ndarray) -> np.ndarray:
        """The other way."""
        own = self.shape.expansion
        axes = (len(own.exponents), self.shape.species, own.radial, own.harmonics)
        return np.moveaxis(blocks.reshape(len(blocks), *axes), 2, 1).reshape(len(blocks), self.shape.species, -1)

    def features(self, order: int) -> np.ndarray:
        """Shape (atoms, features, 2 λ + 1)."""
        near = self.density.reshape(len(self.density), self.shape.neighbours, -1)
        far = self._blocks(self.potentials)
        parts = [far[:, :, _part(order)]]
        for a, b in self.shape.pairs(order):
            product = np.einsum("iam,ibn,mnM->iabM", near[:, :, _part(a)], far[:, :, _part(b)], coupling(a, b, order))
            parts.append(product.reshape(len(near), -1, 2 * order + 1))
        return np.concatenate(parts, axis=1)

    def pull_back(self, order: int, adjoints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Gradient of Σ adjoint · feature.

        Parameters
        ----------
        order : int
        adjoints : ndarray of float64, shape (atoms, features, 2 λ + 1)

        Returns
        -------
        gradient : ndarray of float64, shape (atoms, 3)
        strain : ndarray of float64, shape (3, 3)
            By ε, which takes positions and lattice vectors to (1 + ε) of them.
        """
        atoms, shape = len(self.density), self.shape
        near = self.density.reshape(atoms, shape.neighbours, -1)
        far = self._blocks(self.potentials)
        of_near, of_far = np.zeros_like(near), np.zeros_like(far)
        of_far[:, :, _part(order)] += adjoints[:, : shape.potentials]
        first, size = shape.potentials, shape.neighbours * shape.potentials
        for a, b in shape.pairs(order):
            own = adjoints[:, first : first + size].reshape(atoms, shape.neighbours, shape.potentials, -1)
            turned = np.einsum("iabM,mnM->iabmn", own, coupling(a, b, order))
            of_near[:, :, _part(a)] += np.einsum("iabmn,ibn->iam", turned, far[:, :, _part(b)])
            of_far[:, :, _part(b)] += np.einsum("iabmn,iam->ibn", turned, near[:, :, _part(a)])
            first += size
        gradient, strain = self.local.pull_back(of_near.reshape(self.density.shape))
        columns = self._columns(of_far)
        if self.waves is not None:
            more = self.waves.pull_back(self.positions, self.species, columns)
            return gradient + more[0], strain + more[1]
        _, moved, strained = self.pairs
        of_pairs = np.einsum("ibc,jb->ijc", columns, self.members)
        along = np.einsum("ijc,ijcx->ijx", of_pairs, moved)
        return (
            gradient + along.sum(axis=1) - along.sum(axis=0),
            strain + np.einsum("ijc,ijcxy->xy", of_pairs, strained),
        )

    def scalar_rows(self, with_strain: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Sums over the atoms of each species of the features of λ = 0, with all derivatives, for least squares.

        Parameters
        ----------
        with_strain : bool
            Whether derivatives by strain are wanted; zeros otherwise.

        Returns
        -------
        value : ndarray of float64, shape (species * features,)
        gradient : ndarray of float64, shape (3 * atoms, species * features)
        strain : ndarray of float64, shape (9, species * features)
        """
        atoms, shape = len(self.density), self.shape
        if self.waves is not None:
            pairs = self.waves.pairs(self.positions, with_strain)
        else:
            pairs = self.pairs
        moved = -np.einsum("ikcx,kb->ikbcx", pairs[1], self.members)
        own = np.einsum("ijcx,jb->ibcx", pairs[1], self.members)
        moved[np.arange(atoms), np.arange(atoms)] += own
        strained = np.zeros((atoms, shape.species, shape.expansion.columns, 9))
        if with_strain:
            strained = np.einsum("ijcxy,jb->ibcxy", pairs[2], self.members).reshape(strained.shape)
        far = self._blocks(self.potentials)
        far_moved = self._blocks(np.moveaxis(moved, 1, 3).reshape(atoms, shape.species, -1, 3 * atoms))
        far_strained = self._blocks(strained)
        near = self.density.reshape(atoms, shape.neighbours, -1)
        near_moved, near_strained = self.local.jacobian()
        near_moved = np.moveaxis(near_moved, 1, 4).reshape(atoms, shape.neighbours, near.shape[2], 3 * atoms)
        near_strained = near_strained.reshape(atoms, shape.neighbours, near.shape[2], 9)
        changes = ((near_moved, far_moved), (near_strained, far_strained))
        values = self.features(0)[:, :, 0]
        value = np.einsum("is,if->sf", self.members, values).ravel()
        out = []
        for of_near, of_far in changes:
            rows = np.zeros((of_far.shape[-1], shape.species, shape.features(0)))
            if of_far is far_strained and not with_strain:
                out.append(rows.reshape(9, -1))
                continue
            for kind in range(shape.species):
                who = np.flatnonzero(self.species == kind)
                rows[:, kind, : shape.potentials] = of_far[who, :, 0].sum(axis=0).T
                first, size = shape.potentials, shape.neighbours * shape.potentials
                for a, _ in shape.pairs(0):
                    part, norm = _part(a), 1 / np.sqrt(2 * a + 1)
                    block = np.tensordot(near[who][:, :, part], of_far[who][:, :, part], axes=((0, 2), (0, 2)))
                    other = np.tensordot(of_near[who][:, :, part], far[who][:, :, part], axes=((0, 2), (0, 2)))
                    both = norm * (np.moveaxis(block, 2, 0) + np.moveaxis(other, 1, 0))
                    rows[:, kind, first : first + size] = both.reshape(len(rows), -1)
                    first += size
            out.append(rows.reshape(len(rows), -1))
        return value, out[0], out[1]


def _part(l: int) -> slice:  # noqa: E741
    return slice(l * l, (l + 1) ** 2)
