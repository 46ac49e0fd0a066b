"""A Hamiltonian, or an overlap, from features of atoms and pairs, each block by a sum of its own; and its adjoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from ase.data import chemical_symbols

from ...short_repr import short_repr
from ..errors import StructureError
from ..model import Model
from ..structures import Batch
from .basis import OrbitalBasis
from .blocks import Block, Places, Rows, blocks_of, rows_of
from .coupled import Part, Parts, add_adjoints, coupled, zeros_like
from .isolation import isolated
from .pair_functions import PairFunctions
from .surroundings import ONE, Surroundings

PAIRS_AT_A_TIME = 400  # whose features are in memory together


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
    """

    basis: OrbitalBasis
    density: Model
    surroundings: Mapping[int, Surroundings]
    pairs: PairFunctions
    few: int
    weights: Mapping[Block, Weights]

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

    def matrices(self, batch: Batch) -> np.ndarray:
        """Matrices of every bead in eV, or of no unit for an overlap, shape (beads, orbitals, orbitals).

        Raises
        ------
        StructureError
            If an image is within reach, or an element has no orbitals.
        """
        batch = isolated(batch, self.reach)
        places = Places(self.basis, batch.numbers)
        found = np.zeros((batch.beads, places.orbitals, places.orbitals))
        for beads, own in self._pieces(batch):
            features = Features(self, own)
            for species, blocks in self.kinds.items():
                rows = rows_of(species, batch.numbers)
                if len(rows.first):
                    for block, (ours, theirs) in features.of_blocks(species, blocks, rows):
                        weights = self.weights[block]
                        if not len(weights.ours):
                            self._refuse_unseen(block, ours.shape[2])
                            continue
                        values = ours @ weights.ours
                        if not block.is_on_site:
                            values = values + theirs @ weights.theirs
                        values = values.reshape(own.beads, len(rows.first), -1)
                        places.add(found[beads], block, rows, values)
        return found

    @staticmethod
    def _refuse_unseen(block: Block, features: int) -> None:
        """Refuse what has no weights, unless it has no features either, as a pseudotensor of a vector alone."""
        if features:
            pair = "–".join(chemical_symbols[number] for number in block.species)
            raise StructureError(
                f"the Hamiltonian has seen no pair {pair}; allowed are molecules with pairs that it has"
            )

    def pull_back(self, batch: Batch, adjoints: np.ndarray) -> np.ndarray:
        """Gradient by positions of Σ adjoints · matrices, shape (beads, atoms, 3).

        Parameters
        ----------
        batch : Batch
        adjoints : ndarray of float64, shape (beads, orbitals, orbitals)
            As Tr P dH asks for with P.
        """
        batch = isolated(batch, self.reach)
        places = Places(self.basis, batch.numbers)
        found = np.zeros_like(batch.positions)
        for beads, own in self._pieces(batch):
            features = Features(self, own)
            for species, blocks in self.kinds.items():
                rows = rows_of(species, batch.numbers)
                if len(rows.first):
                    features.add_adjoints(species, rows, self._of_features(places, adjoints[beads], blocks, rows))
            found[beads] = features.gradient()
        return found

    def _of_features(
        self, places: Places, adjoints: np.ndarray, blocks: list[Block], rows: Rows
    ) -> dict[Part, list[np.ndarray]]:
        """Adjoints of the features of both sides, by λ and parity, from those of the matrices."""
        found: dict[Part, list[np.ndarray]] = {}
        for block in blocks:
            weights = self.weights[block]
            if not len(weights.ours):
                continue
            values = places.adjoint(adjoints, block, rows)
            values = values.reshape(-1, values.shape[2], 1)
            sides = [values * own for own in (weights.ours, weights.theirs) if len(own)]
            before = found.get(block.part)
            found[block.part] = sides if before is None else [one + own for one, own in zip(before, sides, strict=True)]
        return found

    def _pieces(self, batch: Batch) -> Iterator[tuple[slice, Batch]]:
        step = max(1, PAIRS_AT_A_TIME // max(1, batch.atoms * (batch.atoms - 1)))
        for first in range(0, batch.beads, step):
            own = slice(first, min(first + step, batch.beads))
            yield own, Batch(batch.numbers, batch.positions[own], batch.cells[own], batch.periodic)


class Features:
    """Features of atoms and pairs of some beads of a molecule, and adjoints of them that are added up."""

    def __init__(self, model: BlockModel, batch: Batch):
        self.model, self.batch = model, batch
        self._linear: dict[int, Parts] = {}
        self._parts: dict[int, Parts] = {}
        self._of_linear: dict[int, dict[Part, np.ndarray]] = {}
        self._of_parts: dict[int, dict[Part, np.ndarray]] = {}
        self._of_positions = np.zeros_like(batch.positions)
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
            self._of_linear[number] = zeros_like(self._linear[number])
            self._of_parts[number] = zeros_like(self._parts[number])

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

    def add_adjoints(self, species: tuple[int, ...], rows: Rows, by_part: Mapping[Part, list[np.ndarray]]) -> None:
        """Add adjoints of the features of the blocks of some species, by λ and parity."""
        for side, (first, second) in enumerate(self._factors(species, rows)):
            of_first, of_second = zeros_like(first), zeros_like(second)
            for part, both in by_part.items():
                add_adjoints(both[side], first, second, part, of_first, of_second)
            self._add_sides(species, rows, side, of_first, of_second)

    def gradient(self) -> np.ndarray:
        """Gradient by positions of all that was added, shape (beads, atoms, 3)."""
        model, batch = self.model, self.batch
        gradients = self._of_positions
        if not model.surroundings:
            return gradients
        shape = model.density.shape
        adjoint = np.zeros((batch.beads, batch.atoms, shape.harmonics, shape.groups * shape.padded_radial))
        for number, parts in self._of_parts.items():
            own = np.flatnonzero(batch.numbers == number)
            here = model.surroundings[number].pull_back(
                self._linear[number], parts, self._of_linear[number], shape.harmonics
            )
            adjoint[:, own[:, None, None], np.arange(shape.harmonics)[:, None], shape.padded_places] = here.reshape(
                batch.beads, len(own), shape.harmonics, -1
            )
        gradients, strains = np.ascontiguousarray(gradients), np.zeros((batch.beads, 3, 3))
        numbers = model.density.species_indices(batch.numbers)
        where = numbers, batch.positions, batch.cells, batch.periodic
        model.density.kernel.pull_back(*where, adjoint, gradients, strains, model.density.threads)
        return gradients

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

    def _add_sides(
        self, species: tuple[int, ...], rows: Rows, side: int, of_first: Parts, of_second: Mapping[Part, np.ndarray]
    ) -> None:
        """Add adjoints of the factors of one side to those of the atoms and of the positions."""
        if len(species) == 1:
            for part, own in of_first.items():
                self._of_parts[species[0]][part] += own
            for part, linear in self._of_linear[species[0]].items():
                own = of_second[part][:, :, int(part == ONE) :]
                linear[:, :, : own.shape[2]] += own
            return
        number, centre, other = self._sides(species, rows)[side]
        chosen = self._chosen(number, centre)
        for part, own in of_first.items():
            np.add.at(self._of_parts[number][part], chosen, own)
        vectors = self.model.pairs.pull_back(self._vectors(centre, other), of_second)
        vectors = vectors.reshape(self.batch.beads, len(centre), 3)
        by_atom = self._of_positions.swapaxes(0, 1)  # a view
        np.add.at(by_atom, other, vectors.swapaxes(0, 1))
        np.add.at(by_atom, centre, -vectors.swapaxes(0, 1))

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
