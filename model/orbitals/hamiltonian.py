"""A Hamiltonian, or an overlap, from features of atoms and pairs, each block by a sum of its own; and its adjoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from ...short_repr import short_repr
from ..model import Model
from ..structures import Batch
from .basis import OrbitalBasis
from .blocks import Block, Rows, blocks_of, rows_of
from .coupled import Part, Parts, coupled
from .isolation import isolated
from .pair_functions import PairFunctions
from .served_blocks import ServedBlocks
from .surroundings import ONE, Surroundings


@dataclass(frozen=True)
class Weights:
    """Weights of the features of one block.

    Parameters
    ----------
    ours, theirs : ndarray of float64, shape (features,)
        Of those of the first atom with the vector to the second, and of the second with the vector back; of one atom,
        only the first.
    """

    ours: np.ndarray
    theirs: np.ndarray


@dataclass(repr=False)
class BlockModel:
    """Symmetric matrices whose blocks are linear in equivariant features of atoms and pairs.

    The features of an atom are products of its `Surroundings` with each other, those of a pair of the surroundings of
    each atom with `PairFunctions` of the vector to the other (J. Nigam, M. Willatt, M. Ceriotti, J. Chem. Phys. 156,
    014115 (2022)).  So a matrix H(R) turns as orbitals do, H(QR) = D H D^T, whatever the weights.

    Parameters
    ----------
    basis : OrbitalBasis
    density : Model
        Whose density is used, and nothing else.
    surroundings : mapping of int to Surroundings
        Of each species; empty where pairs say all, as in an overlap.
    pairs : PairFunctions
    few : int
        How many channels of A the products of an atom with itself have.
    weights : mapping of Block to Weights
    deviations : mapping of Block to Weights
        What the weights of each member of a committee differ from these by, with one axis more in front, for the
        members; empty without members.
    """

    basis: OrbitalBasis
    density: Model
    surroundings: Mapping[int, Surroundings]
    pairs: PairFunctions
    few: int
    weights: Mapping[Block, Weights]
    deviations: Mapping[Block, Weights] = field(default_factory=dict)

    __repr__ = short_repr

    @cached_property
    def kinds(self) -> dict[tuple[int, ...], list[Block]]:
        """Blocks by the species they are between."""
        found: dict[tuple[int, ...], list[Block]] = {}
        for block in blocks_of(self.basis):
            found.setdefault(block.species, []).append(block)
        return found

    @property
    def reach(self) -> float:
        """How far atoms see each other, in Å."""
        return max(self.density.radial.cutoff, self.pairs.form.cutoff)

    @property
    def members(self) -> int:
        """How many there are of a committee; 0 without one."""
        return len(next(iter(self.deviations.values())).ours) if self.deviations else 0

    def check(self) -> None:
        """Refuse weights that do not fit the features, which are tried on two atoms of each pair of species.

        Raises
        ------
        ValueError
            Naming the block.
        """
        for species, blocks in self.kinds.items():
            numbers = np.array([species[0], species[-1]] if len(species) > 1 else species, dtype=np.int32)
            positions = np.array([[[0.0, 0.0, 0.0], [0.0, 0.0, 1.0]]])[:, : len(numbers)]
            batch = Batch(numbers, positions, np.zeros((1, 3, 3)), np.zeros(3, dtype=bool))
            for block, (ours, theirs) in Features(self, batch).of_blocks(species, blocks, rows_of(species, numbers)):
                own = self.weights[block]
                needed = ours.shape[2], 0 if block.is_on_site else theirs.shape[2]
                if (own.ours.shape, own.theirs.shape) not in (((needed[0],), (needed[1],)), ((0,), (0,))):
                    raise ValueError(
                        f"weights of block {block.name} have shapes {own.ours.shape} and {own.theirs.shape}; "
                        f"{needed[0]} and {needed[1]} are needed"
                    )
                if self.deviations:
                    self._check_members(block)

    def _check_members(self, block: Block) -> None:
        own, others = self.weights[block], self.deviations[block]
        for weights, deviations in ((own.ours, others.ours), (own.theirs, others.theirs)):
            if deviations.shape != (needed := (self.members, *weights.shape)):
                raise ValueError(f"members of block {block.name} have shape {deviations.shape}; {needed} is needed")

    def matrices(self, batch: Batch) -> np.ndarray:
        """Matrices of every bead in eV, or of no unit for an overlap, shape (beads, orbitals, orbitals).

        Raises
        ------
        StructureError
            If an image is within reach, or an element has no orbitals.
        """
        return self._served.matrices(isolated(batch, self.reach))[:, 0]

    def matrices_of_members(self, batch: Batch, factor: float) -> tuple[np.ndarray, np.ndarray]:
        """The same, and those of all members from the same features, shape (beads, members, orbitals, orbitals).

        Parameters
        ----------
        batch : Batch
        factor : float
            What deviations are multiplied by.
        """
        found = self._served_members.matrices(isolated(batch, self.reach))
        return found[:, 0], found[:, :1] + factor * found[:, 1:]

    def member(self, index: int, factor: float) -> BlockModel:
        """One member alone, without others."""
        weights = {
            block: Weights(own.ours + factor * of_all.ours[index], own.theirs + factor * of_all.theirs[index])
            for (block, own), of_all in zip(self.weights.items(), self._in_order(self.deviations), strict=True)
        }
        return replace(self, weights=weights, deviations={})

    def pull_back(self, batch: Batch, adjoints: np.ndarray) -> np.ndarray:
        """Gradient by positions of Σ adjoints · matrices, shape (beads, atoms, 3).

        Parameters
        ----------
        batch : Batch
        adjoints : ndarray of float64, shape (beads, orbitals, orbitals)
            As Tr P dH asks for with P.

        Raises
        ------
        ValueError
            If adjoints have another shape.
        """
        orbitals = int(self.basis.first_orbitals(batch.numbers)[-1])
        if adjoints.shape != (needed := (batch.beads, orbitals, orbitals)):
            raise ValueError(f"adjoints have shape {adjoints.shape}; {needed} is needed")
        return self._served.pull_back(isolated(batch, self.reach), adjoints)

    @cached_property
    def _served(self) -> ServedBlocks:
        return self._serving({block: (own.ours[None], own.theirs[None]) for block, own in self.weights.items()})

    @cached_property
    def _served_members(self) -> ServedBlocks:
        """The matrix, and behind it what each member adds to it."""
        weights = {}
        for (block, own), others in zip(self.weights.items(), self._in_order(self.deviations), strict=True):
            pairs = ((own.ours, others.ours), (own.theirs, others.theirs))
            weights[block] = tuple(np.concatenate([one[None], of_all]) for one, of_all in pairs)
        return self._serving(weights)

    def _in_order(self, of_blocks: Mapping[Block, Weights]) -> list[Weights]:
        return [of_blocks[block] for block in self.weights]

    def _serving(self, weights: Mapping[Block, tuple[np.ndarray, ...]]) -> ServedBlocks:
        return ServedBlocks(self.basis, self.density, self.surroundings, self.pairs, self.few, self.kinds, weights)


class Features:
    """Features of atoms and pairs of some beads of a molecule, as fits read them."""

    def __init__(self, model: BlockModel, batch: Batch):
        self.model, self.batch = model, batch
        self._linear: dict[int, Parts] = {}
        self._parts: dict[int, Parts] = {}
        density = model.density.density(batch) if model.surroundings else None
        for number in np.unique(batch.numbers).tolist():
            own = np.flatnonzero(batch.numbers == number)
            if density is not None:
                here = model.surroundings[number]
                self._linear[number] = here.linear(density[:, own].reshape(-1, *density.shape[2:]))
                self._parts[number] = here.parts(self._linear[number])
            else:
                self._linear[number] = {}
                self._parts[number] = {ONE: np.ones((batch.beads * len(own), 1, 1))}

    def of_blocks(
        self, species: tuple[int, ...], blocks: list[Block], rows: Rows
    ) -> Iterator[tuple[Block, tuple[np.ndarray, np.ndarray]]]:
        """Features of the first and of the second atom of each block, shapes (beads · rows, 2 λ + 1, features)."""
        factors = self._factors(species, rows)
        kept: dict[Part, tuple[np.ndarray, np.ndarray]] = {}
        for block in blocks:
            if block.part not in kept:
                own = [coupled(first, second, block.part) for first, second in factors]
                kept[block.part] = own[0], own[-1]
            yield block, kept[block.part]

    def _factors(self, species: tuple[int, ...], rows: Rows) -> list[tuple[Parts, Parts]]:
        """The two factors of the products: of an atom with itself, or of each atom with the vector to the other."""
        if len(species) == 1:
            few = self.model.few
            own = {part: linear[:, :, :few] for part, linear in self._linear[species[0]].items()}
            ones = np.ones((len(self._parts[species[0]][ONE]), 1, 1))
            own[ONE] = np.concatenate([ones, own[ONE]], axis=2) if ONE in own else ones
            return [(self._parts[species[0]], own)]
        found: list[tuple[Parts, Parts]] = []
        for number, centre, other in self._sides(species, rows):
            chosen = self._chosen(number, centre)
            first = {part: own[chosen] for part, own in self._parts[number].items()}
            found.append((first, self.model.pairs.parts(self._vectors(centre, other))))
        return found

    @staticmethod
    def _sides(species: tuple[int, ...], rows: Rows) -> list[tuple[int, np.ndarray, np.ndarray]]:
        return [(species[0], rows.first, rows.second), (species[1], rows.second, rows.first)]

    def _chosen(self, number: int, centre: np.ndarray) -> np.ndarray:
        """Rows of the features of a species that belong to some atoms, bead by bead."""
        own = np.flatnonzero(self.batch.numbers == number)
        return (np.arange(self.batch.beads)[:, None] * len(own) + np.searchsorted(own, centre)).ravel()

    def _vectors(self, centre: np.ndarray, other: np.ndarray) -> np.ndarray:
        positions = self.batch.positions
        return (positions[:, other] - positions[:, centre]).reshape(-1, 3)
