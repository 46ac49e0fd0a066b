"""A symmetric matrix of a molecule by compiled sums, and the gradient of what is linear in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from ase.data import chemical_symbols

from ...pyx.coupled_sums import CoupledSums, pair_functions, pair_functions_pull_back
from ..errors import StructureError
from ..model import Model
from ..structures import Batch
from .basis import OrbitalBasis
from .blocks import Block, rows_of
from .coupled import Part, paths_to
from .pair_functions import PairFunctions
from .served import Group, ServedAtoms, each, padded, sums_of
from .surroundings import Surroundings

PAIRS_AT_A_TIME = 4000  # whose functions are in memory together


@dataclass(frozen=True)
class Kind:
    """All blocks of one atom, or between two atoms, of some species.

    Parameters
    ----------
    species : tuple of int
    sides : tuple of CoupledSums
        Of the first atom with the vector to the second, and of the second with the vector back; one for one atom.
    size : int
        Numbers of a pair that the sums make.
    copies : ndarray of int, shape (copies, size of one)
        Which of these are of each of the matrices that are made at once.
    spread, mirrored : ndarray of float64, shape (size of one, orbitals of both)
        What they make of the block, and of the one that mirrors it; the latter is empty where there is nothing to add.
    unseen : bool
        Whether a block that has features has no weights.
    """

    species: tuple[int, ...]
    sides: tuple[CoupledSums, ...]
    size: int
    copies: np.ndarray
    spread: np.ndarray
    mirrored: np.ndarray
    unseen: bool


@dataclass(frozen=True)
class Wiring:
    """Where the pairs of one kind are in a molecule, and where their blocks are in its matrix.

    Parameters
    ----------
    sides : list of (centre, row, is_turned)
        As `CoupledSums.add` takes them.
    places, mirrored : ndarray of int, shape (pairs, orbitals of both)
        In a matrix whose rows stand behind each other.
    """

    sides: list[tuple[np.ndarray, np.ndarray, np.ndarray]]
    places: np.ndarray
    mirrored: np.ndarray


class ServedBlocks:
    """What `BlockModel` answers with.

    Parameters
    ----------
    basis, density, surroundings, pairs, few
        Of `BlockModel`.
    kinds : mapping
        Blocks by the species they are between.
    weights : mapping of Block to tuple of ndarray
        Of the features of the first and of the second atom, shape (copies, features): one matrix for each copy.
    """

    def __init__(
        self,
        basis: OrbitalBasis,
        density: Model,
        surroundings: Mapping[int, Surroundings],
        pairs: PairFunctions,
        few: int,
        kinds: Mapping[tuple[int, ...], list[Block]],
        weights: Mapping[Block, tuple[np.ndarray, ...]],
    ):
        self.basis, self.density, self.pairs = basis, density, pairs
        self.atoms = {number: ServedAtoms(surroundings.get(number), few) for number in basis.numbers}
        self.has_density = bool(surroundings)
        self.copies = len(next(iter(weights.values()))[0])
        self.kinds = [self._kind(species, blocks, weights) for species, blocks in kinds.items()]
        self._known: tuple[bytes, list[tuple[Kind, Wiring]]] = b"", []

    def _kind(
        self, species: tuple[int, ...], blocks: list[Block], weights: Mapping[Block, tuple[np.ndarray, ...]]
    ) -> Kind:
        by_part: dict[Part, list[Block]] = {}
        for block in blocks:
            if weights[block][0].size:
                by_part.setdefault(block.part, []).append(block)
        size = sum((2 * part[0] + 1) * len(own) for part, own in by_part.items())
        counts = [self.basis.orbitals(species[place]) for place in (0, -1)]
        spread, mirrored = np.zeros((2, size, *counts))
        is_of_one = len(species) == 1
        ours: list[Group] = []
        theirs: list[Group] = []
        begin, columns_of_copies = 0, np.zeros((self.copies, size), dtype=int)
        for part, own in by_part.items():
            outputs = self.copies * len(own)
            for side, groups in enumerate((ours, theirs)):
                of_copies = np.stack([weights[block][side] for block in own], 1).reshape(outputs, -1)
                groups.append(Group(part, of_copies.T, self.copies * begin, outputs))
            for copy in range(self.copies):
                first_column = self.copies * begin + copy * len(own)
                places = first_column + outputs * np.arange(2 * part[0] + 1)[:, None] + np.arange(len(own))
                columns_of_copies[copy, begin : begin + places.size] = places.ravel()
            for output, block in enumerate(own):
                first, second = (self.basis.first_of_shells(species[place])[block.shells[place]] for place in (0, -1))
                places = begin + output + len(own) * np.arange(2 * part[0] + 1)
                rows = slice(first, first + 2 * block.momenta[0] + 1)
                columns = slice(second, second + 2 * block.momenta[1] + 1)
                coefficients = np.moveaxis(block.coefficients, 2, 0)
                spread[places, rows, columns] = coefficients
                if not block.is_of_equals:  # of equals each pair comes in both directions
                    mirrored[places, rows, columns] = coefficients
            begin += (2 * part[0] + 1) * len(own)
        if is_of_one:
            spread, mirrored = spread + mirrored.swapaxes(1, 2), np.zeros_like(mirrored)
        few = self.atoms[species[0]].few if is_of_one else self._pair_channels
        parts = self.atoms[species[0]].parts
        # none has a block without features, as a pseudotensor of a vector alone
        unseen = any(
            not weights[block][0].size
            and sum(parts[one] * few[other] for one, other in paths_to(block.part, parts, few))
            for block in blocks
        )
        whole = self.copies * size
        sides = [sums_of(parts, few, ours, whole)]
        if not is_of_one:
            sides.append(sums_of(self.atoms[species[1]].parts, few, theirs, whole))
        mirrored = mirrored.swapaxes(1, 2) if mirrored.any() else mirrored[:, :0]
        pair = counts[0] * counts[1]
        return Kind(
            species, tuple(sides), whole, columns_of_copies, spread.reshape(size, pair),
            mirrored.reshape(size, -1 if size else 0), unseen,
        )  # fmt: skip

    @property
    def _pair_channels(self) -> dict[Part, int]:
        return {(l, 1): self.pairs.radial for l in range(self.pairs.l_max + 1)}  # noqa: E741

    def matrices(self, batch: Batch) -> np.ndarray:
        """Matrices of molecules without a cell, shape (beads, copies, orbitals, orbitals)."""
        orbitals = int(self.basis.first_orbitals(batch.numbers)[-1])
        found = np.zeros((batch.beads, self.copies, orbitals * orbitals))
        wirings = self._wirings(batch.numbers)
        for beads, own in self._pieces(batch):
            pass_of = _Pass(self, own)
            for kind, wiring in wirings:
                if kind.unseen:
                    pair = "–".join(chemical_symbols[number] for number in kind.species)
                    raise StructureError(
                        f"the Hamiltonian has seen no pair {pair}; allowed are molecules with pairs that it has"
                    )
                out = pass_of.sums(kind, wiring)
                for copy, columns in enumerate(kind.copies):
                    own_out = out if self.copies == 1 else out[:, :, columns]
                    found[beads, copy, wiring.places] += own_out @ kind.spread
                    if kind.mirrored.shape[1]:
                        found[beads, copy, wiring.mirrored] += own_out @ kind.mirrored
        return found.reshape(batch.beads, self.copies, orbitals, orbitals)

    def pull_back(self, batch: Batch, adjoints: np.ndarray) -> np.ndarray:
        """Gradient by positions of Σ adjoints · matrices, shape (beads, atoms, 3); of the one copy that there is."""
        found = np.zeros_like(batch.positions)
        adjoints = adjoints.reshape(batch.beads, -1)
        wirings = self._wirings(batch.numbers)
        for beads, own in self._pieces(batch):
            pass_of = _Pass(self, own)
            for kind, wiring in wirings:
                of_out = adjoints[beads, wiring.places] @ kind.spread.T
                if kind.mirrored.shape[1]:
                    of_out += adjoints[beads, wiring.mirrored] @ kind.mirrored.T
                pass_of.add_adjoints(kind, wiring, of_out)
            found[beads] = pass_of.gradient()
        return found

    def _wirings(self, numbers: np.ndarray) -> list[tuple[Kind, Wiring]]:
        """Of all kinds that a molecule has; those of the last molecule are kept."""
        key = numbers.tobytes()
        if self._known[0] != key:
            found = []
            for kind in self.kinds:
                rows = rows_of(kind.species, numbers)
                if len(rows.first):
                    found.append((kind, self._wiring(kind, numbers, rows.first, rows.second)))
            self._known = key, found
        return self._known[1]

    def _wiring(self, kind: Kind, numbers: np.ndarray, first: np.ndarray, second: np.ndarray) -> Wiring:
        among = np.zeros(len(numbers), dtype=np.int32)  # the how manyth of its species an atom is
        for number in np.unique(numbers):
            own = numbers == number
            among[own] = np.arange(own.sum())
        if len(kind.sides) == 1:
            sides = [each(len(first))]
        else:
            rows = np.zeros((len(numbers),) * 2, dtype=np.int32)
            upper = np.triu_indices(len(numbers), 1)
            rows[upper] = np.arange(len(upper[0]))
            row = rows[np.minimum(first, second), np.maximum(first, second)]
            sides = [(among[first], row, first > second), (among[second], row, second > first)]
        starts = self.basis.first_orbitals(numbers)
        ours, theirs = (
            starts[atoms][:, None] + np.arange(self.basis.orbitals(kind.species[place]))
            for atoms, place in ((first, 0), (second, -1))
        )
        return Wiring(
            sides,
            (ours[:, :, None] * starts[-1] + theirs[:, None]).reshape(len(first), -1),
            (theirs[:, :, None] * starts[-1] + ours[:, None]).reshape(len(first), -1),
        )

    @staticmethod
    def _pieces(batch: Batch) -> Iterator[tuple[slice, Batch]]:
        step = max(1, PAIRS_AT_A_TIME // max(1, batch.atoms * (batch.atoms - 1) // 2))
        for first in range(0, batch.beads, step):
            own = slice(first, min(first + step, batch.beads))
            yield own, Batch(batch.numbers, batch.positions[own], batch.cells[own], batch.periodic)


class _Pass:
    """Features of some beads, and adjoints of them that are added up."""

    def __init__(self, served: ServedBlocks, batch: Batch):
        self.served, self.batch, self.threads = served, batch, served.density.threads
        self.own = {number: np.flatnonzero(batch.numbers == number) for number in np.unique(batch.numbers).tolist()}
        self.linear: dict[int, np.ndarray | None] = dict.fromkeys(self.own)
        if served.has_density:
            density = served.density.density(batch)
            self.linear = {n: served.atoms[n].linear_of(density[:, own]) for n, own in self.own.items()}
        sizes = {number: (batch.beads, len(own)) for number, own in self.own.items()}
        self.rows = {
            number: served.atoms[number].rows(self.linear[number], *sizes[number], self.threads) for number in self.own
        }
        self.few = {number: served.atoms[number].few_of(self.linear[number], *sizes[number]) for number in self.own}
        self._make_pairs()
        self.of_rows: dict[int, np.ndarray] = {}
        self.of_few: dict[int, np.ndarray] = {}
        self.of_pairs = np.zeros(0)

    def _make_pairs(self) -> None:
        """Functions of the vectors from each atom to every later one."""
        pairs, positions = self.served.pairs, self.batch.positions
        self.first, self.second = np.triu_indices(self.batch.atoms, 1)
        self.vectors = (positions[:, self.second] - positions[:, self.first]).reshape(-1, 3)
        self.radial, self.slopes = np.zeros((2, len(self.vectors), padded(pairs.radial)))
        _, values, slopes = pairs.radial_of(self.vectors)
        self.radial[:, : pairs.radial], self.slopes[:, : pairs.radial] = values, slopes
        found = pair_functions(self.vectors, self.radial, pairs.l_max, self.threads)
        self.pairs = found.reshape(self.batch.beads, len(self.first), found.shape[1] * found.shape[2])

    def sums(self, kind: Kind, wiring: Wiring) -> np.ndarray:
        """Sums of all pairs of one kind, shape (beads, pairs, size)."""
        out = np.zeros((self.batch.beads, len(wiring.places), kind.size))
        for number, sums, (centre, row, is_turned) in zip(kind.species, kind.sides, wiring.sides, strict=True):
            right = self.few[number] if len(kind.sides) == 1 else self.pairs
            sums.add(self.rows[number], right, centre, row, is_turned, out, self.threads)
        return out

    def add_adjoints(self, kind: Kind, wiring: Wiring, of_out: np.ndarray) -> None:
        """Add to the adjoints of the features what that of `sums` says of them."""
        if not self.of_rows:
            self.of_rows = {number: np.zeros_like(own) for number, own in self.rows.items()}
            self.of_few = {number: np.zeros_like(own) for number, own in self.few.items()}
            self.of_pairs = np.zeros_like(self.pairs)
        of_out = np.ascontiguousarray(of_out)
        for number, sums, (centre, row, is_turned) in zip(kind.species, kind.sides, wiring.sides, strict=True):
            is_of_one = len(kind.sides) == 1
            right, of_right = (self.few[number], self.of_few[number]) if is_of_one else (self.pairs, self.of_pairs)
            sums.add_adjoints(
                self.rows[number], right, centre, row, is_turned, of_out, self.of_rows[number], of_right, self.threads
            )

    def gradient(self) -> np.ndarray:
        """Gradient by positions of all that was added, shape (beads, atoms, 3)."""
        served, batch = self.served, self.batch
        found = np.zeros_like(batch.positions)
        if not self.of_rows:
            return found
        of_pairs = self.of_pairs.reshape(len(self.vectors), (served.pairs.l_max + 1) ** 2, self.radial.shape[1])
        vectors = pair_functions_pull_back(
            self.vectors, self.radial, self.slopes, served.pairs.l_max, of_pairs, self.threads
        ).reshape(batch.beads, len(self.first), 3)
        by_atom = found.swapaxes(0, 1)  # a view
        np.add.at(by_atom, self.second, vectors.swapaxes(0, 1))
        np.add.at(by_atom, self.first, -vectors.swapaxes(0, 1))
        return found + self._gradient_of_density() if served.has_density else found

    def _gradient_of_density(self) -> np.ndarray:
        served, batch, density = self.served, self.batch, self.served.density
        shape = density.shape
        adjoint = np.zeros((batch.beads, batch.atoms, shape.harmonics, shape.groups * shape.padded_radial))
        for number, own in self.own.items():
            atoms, linear = served.atoms[number], self.linear[number]
            assert linear is not None
            of_linear = np.zeros_like(linear)
            atoms.add_few_adjoint(self.of_few[number], of_linear)
            atoms.add_linear_adjoint(linear, self.of_rows[number], of_linear, self.threads)
            adjoint[:, own[:, None, None], np.arange(shape.harmonics)[:, None], shape.padded_places] = (
                atoms.density_adjoint(of_linear, shape.harmonics)
            )
        gradients, strains = np.zeros_like(batch.positions), np.zeros((batch.beads, 3, 3))
        numbers = density.species_indices(batch.numbers)
        where = numbers, batch.positions, batch.cells, batch.periodic
        density.kernel.pull_back(*where, adjoint, gradients, strains, density.threads)
        return gradients
