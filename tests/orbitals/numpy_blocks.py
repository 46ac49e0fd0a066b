"""The slow twin of compiled Hamiltonians: sums of all features by NumPy, and their adjoints one by one."""

from functools import cache

import numpy as np
from beadwise.model.orbitals.blocks import Places, rows_of
from beadwise.model.orbitals.coupled import _half, _matrix, coupled, paths_to
from beadwise.model.orbitals.hamiltonian import Features
from beadwise.model.orbitals.surroundings import ONE
from beadwise.pyx.coupling import coupling, real_harmonics

AXES = (2, 0, 1)  # where x, y and z stand among the components of λ = 1, which are y, z, x


def matrices(model, batch):
    """Σ features · weights of every block."""
    places, features = Places(model.basis, batch.numbers), Features(model, batch)
    found = np.zeros((batch.beads, places.orbitals, places.orbitals))
    for species, blocks in model.kinds.items():
        rows = rows_of(species, batch.numbers)
        if not len(rows.first):
            continue
        for block, (ours, theirs) in features.of_blocks(species, blocks, rows):
            weights = model.weights[block]
            if len(weights.ours):
                values = ours @ weights.ours + (0 if block.is_on_site else theirs @ weights.theirs)
                places.add(found, block, rows, values.reshape(batch.beads, len(rows.first), -1))
    return found


def gradient(model, batch, adjoints):
    """Gradient by positions of Σ adjoints · matrices, by the chain rule."""
    places, features = Places(model.basis, batch.numbers), Adjoints(model, batch)
    for species, blocks in model.kinds.items():
        rows, by_part = rows_of(species, batch.numbers), {}
        if not len(rows.first):
            continue
        for block in blocks:
            weights = model.weights[block]
            if not len(weights.ours):
                continue
            values = places.adjoint(adjoints, block, rows)
            values = values.reshape(-1, values.shape[2], 1)
            sides = [values * own for own in (weights.ours, weights.theirs) if len(own)]
            before = by_part.get(block.part)
            by_part[block.part] = sides if before is None else [a + b for a, b in zip(before, sides, strict=True)]
        features.add(species, rows, by_part)
    return features.gradient()


class Adjoints(Features):
    """Adjoints of features that are added up."""

    def __init__(self, model, batch):
        super().__init__(model, batch)
        self.of_linear = {number: zeros_like(own) for number, own in self._linear.items()}
        self.of_parts = {number: zeros_like(own) for number, own in self._parts.items()}
        self.of_positions = np.zeros_like(batch.positions)

    def add(self, species, rows, by_part):
        for side, (first, second) in enumerate(self._factors(species, rows)):
            of_first, of_second = zeros_like(first), zeros_like(second)
            for part, both in by_part.items():
                add_adjoints(both[side], first, second, part, of_first, of_second)
            if len(species) == 1:
                self.add_to_atoms(species[0], of_first, of_second)
            else:
                self.add_to_pairs(*self._sides(species, rows)[side], of_first, of_second)

    def add_to_atoms(self, number, of_first, of_second):
        for part, own in of_first.items():
            self.of_parts[number][part] += own
        for part, linear in self.of_linear[number].items():
            own = of_second[part][:, :, int(part == ONE) :]
            linear[:, :, : own.shape[2]] += own

    def add_to_pairs(self, number, centre, other, of_first, of_second):
        for part, own in of_first.items():
            np.add.at(self.of_parts[number][part], self._chosen(number, centre), own)
        vectors = pairs_pull_back(self.model.pairs, self._vectors(centre, other), of_second)
        vectors = vectors.reshape(self.batch.beads, len(centre), 3).swapaxes(0, 1)
        by_atom = self.of_positions.swapaxes(0, 1)  # a view
        np.add.at(by_atom, other, vectors)
        np.add.at(by_atom, centre, -vectors)

    def gradient(self):
        model, batch = self.model, self.batch
        if not model.surroundings:
            return self.of_positions
        shape, density = model.density.shape, model.density
        adjoint = np.zeros((batch.beads, batch.atoms, shape.harmonics, shape.groups * shape.padded_radial))
        for number, parts in self.of_parts.items():
            own = np.flatnonzero(batch.numbers == number)
            here = surroundings_pull_back(
                model.surroundings[number], self._linear[number], parts, self.of_linear[number], shape.harmonics
            )
            adjoint[:, own[:, None, None], np.arange(shape.harmonics)[:, None], shape.padded_places] = here.reshape(
                batch.beads, len(own), shape.harmonics, -1
            )
        gradients, strains = np.ascontiguousarray(self.of_positions), np.zeros((batch.beads, 3, 3))
        where = density.species_indices(batch.numbers), batch.positions, batch.cells, batch.periodic
        density.kernel.pull_back(*where, adjoint, gradients, strains, 1)
        return gradients


def zeros_like(parts):
    return {part: np.zeros_like(own) for part, own in parts.items()}


def add_adjoints(adjoint, first, second, part, of_first, of_second):
    """Add to the adjoints of both factors what that of `coupled`, of its shape, says of them."""
    rows, height, begin = len(adjoint), 2 * part[0] + 1, 0
    assert coupled(first, second, part).shape == adjoint.shape
    for one, other in paths_to(part, first, second):
        channels, others = first[one].shape[2], second[other].shape[2]
        own = adjoint[:, :, begin : begin + channels * others].reshape(rows, height, channels, others)
        begin += channels * others
        by_channel = np.ascontiguousarray(own.swapaxes(1, 2)).reshape(rows, channels * height, others)
        of_second[other] += _half(first[one], one, other, part).swapaxes(1, 2) @ by_channel
        back = (by_channel @ second[other].swapaxes(1, 2)).reshape(rows, channels, -1)
        of_first[one] += (back @ _matrix(one, other, part).T).swapaxes(1, 2)


def surroundings_pull_back(own, linear, adjoints, of_linear, harmonics):
    """Adjoint of the density from those of 1, A and B, and further ones of A."""
    first, second = {part: one.copy() for part, one in of_linear.items()}, zeros_like(linear)
    for part, adjoint in adjoints.items():
        begin = int(part == ONE)
        if part in linear:
            few = linear[part].shape[2]
            first[part] += adjoint[:, :, begin : begin + few]
            begin += few
        if part in own.products:
            add_adjoints(adjoint[:, :, begin:] @ own.products[part].T, linear, linear, part, first, second)
    rows, channels = len(next(iter(linear.values()))), len(next(iter(own.channels.values())))
    found = np.zeros((rows, harmonics, channels))
    for (order, parity), one in own.channels.items():
        found[:, order**2 : (order + 1) ** 2] = (first[order, parity] + second[order, parity]) @ one.T
    return found


def pairs_pull_back(pairs, vectors, adjoints):
    """Adjoint of vectors from those of their functions.

    Of solid harmonics S = r^l Y, ∂_a S_lm = r^(l−1) c_l Σ C(m' a m) Y_{l−1,m'}, the gradient formula (A. R. Edmonds,
    Angular Momentum in Quantum Mechanics, 1957, section 5.7), with c_l from r·∇S = l S.
    """
    distance, radial, slope = pairs.radial_of(vectors)
    unit = vectors / distance[:, None]
    harmonics = real_harmonics(unit, pairs.l_max)
    found = np.zeros_like(vectors)
    for (l, _), adjoint in adjoints.items():  # noqa: E741
        own = harmonics[:, l * l : (l + 1) ** 2]
        found += np.einsum("rmn,rm,rn->r", adjoint, own, slope)[:, None] * unit
        if l == 0:
            continue
        of_harmonics = np.einsum("rmn,rn->rm", adjoint, radial) / distance[:, None]
        below = harmonics[:, (l - 1) ** 2 : l * l]
        of_solid = np.einsum("rM,rm,maM->ra", of_harmonics, below, gradient_coupling(l))[:, AXES]
        found += of_solid - l * np.einsum("rm,rm->r", of_harmonics, own)[:, None] * unit
    return found


@cache
def gradient_coupling(l):  # noqa: E741
    """c_l C(m' a M) of `pairs_pull_back`, shape (2 l − 1, 3, 2 l + 1), a in the order y, z, x."""
    coefficients = coupling(l - 1, 1, l)
    direction = np.array([[0.48, 0.6, 0.64]])
    harmonics = real_harmonics(direction, l)[0]
    below, own = harmonics[(l - 1) ** 2 : l * l], harmonics[l * l :]
    sums = np.einsum("m,a,maM->M", below, direction[0][[1, 2, 0]], coefficients)
    return coefficients * (l * (own @ sums) / (sums @ sums))
