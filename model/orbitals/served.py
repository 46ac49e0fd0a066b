"""Features of atoms as the kernel sums them up, and weights as it takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...pyx.coupled_sums import CoupledSums
from ...pyx.coupling import coupling
from .coupled import Part, paths_to
from .surroundings import ONE, Surroundings

LANES = 4  # channels of a factor are padded to multiples of it


def padded(channels: int) -> int:
    """The next multiple of the lanes."""
    return -(-channels // LANES) * LANES


@dataclass(frozen=True)
class Group:
    """Sums of one order and parity: their weights (features, outputs), and where they go to as in `CoupledSums`."""

    part: Part
    weights: np.ndarray
    begin: int
    stride: int


def sums_of(
    left: Mapping[Part, int], right: Mapping[Part, int], groups: Sequence[Group], size: int, is_square: bool = False
) -> CoupledSums:
    """What `coupled` makes of two factors, times weights.

    Parameters
    ----------
    left, right : mapping of Part to int
        Channels of both factors.
    groups : sequence of Group
    size : int
        Numbers in a row.
    is_square : bool
        Whether both factors are the same: a path from l1, l2 then is that from l2, l1, and taken only once.
    """
    highest, channels = max(order for order, _ in right), padded(max(right.values()))
    widths = {part: padded(own) for part, own in left.items()}
    if is_square:  # both are one array, of as many channels for each l
        widths = {(order, 1): channels for order in range(highest + 1)}
    places = list(widths)
    paths = []
    for number, group in enumerate(groups):
        begin = 0
        found: dict[tuple[Part, Part], np.ndarray] = {}
        for one, other in paths_to(group.part, left, right):
            count = left[one] * right[other]
            own = np.zeros((group.weights.shape[1], widths[one], channels))
            weights = group.weights[begin : begin + count].T
            own[:, : left[one], : right[other]] = weights.reshape(len(own), left[one], right[other])
            begin += count
            if is_square and (other, one) in found:
                found[other, one] += _exchange(other, one, group.part) * own.swapaxes(1, 2)
            else:
                found[one, other] = own
        paths += [(number, places.index(one), other[0], own) for (one, other), own in found.items()]
    return CoupledSums(
        [(part[0], own) for part, own in widths.items()],
        (highest, channels),
        [(group.part[0], group.weights.shape[1], group.begin, group.stride) for group in groups],
        paths,
        size,
    )


def _exchange(one: Part, other: Part, part: Part) -> float:
    """What exchanging both factors multiplies the coupling coefficients by: 1 or −1."""
    there, back = coupling(one[0], other[0], part[0]), coupling(other[0], one[0], part[0])
    return float(np.sign((there * back.swapaxes(0, 1)).sum()))


class ServedAtoms:
    """Features of the atoms of one species, side by side as the kernel takes them.

    Parameters
    ----------
    own : Surroundings or None
        None where pairs say all: an atom then is 1.
    few : int
        Channels of A that an atom's products with itself have.
    """

    def __init__(self, own: Surroundings | None, few: int):
        self.own = own
        linear = {} if own is None else {part: own.channels[part].shape[1] for part in own.channels}
        products = {} if own is None else {part: own.products[part].shape[1] for part in own.products}
        self.linear = linear
        self.parts = {
            part: int(part == ONE) + linear.get(part, 0) + products.get(part, 0)
            for part in dict.fromkeys([ONE, *linear, *products])
        }
        self.begins, begin = {}, 0
        for part, channels in self.parts.items():
            self.begins[part] = begin
            begin += (2 * part[0] + 1) * padded(channels)
        self.size = begin
        self.few = {part: min(few, channels) + int(part == ONE) for part, channels in linear.items()} or {ONE: 1}
        self.highest = max(order for order, _ in self.few)
        self.products = None
        if own is not None and products:
            groups = [
                Group(part, weights, self.begins[part] + self._before(part), padded(self.parts[part]))
                for part, weights in own.products.items()
            ]
            self.products = sums_of(linear, linear, groups, self.size, is_square=True)

    def _before(self, part: Part) -> int:
        """Channels before the products."""
        return int(part == ONE) + self.linear.get(part, 0)

    def view(self, rows: np.ndarray, part: Part) -> np.ndarray:
        """A view of one part of rows (beads, atoms, numbers): (beads, atoms, 2 λ + 1, channels)."""
        height, channels, begin = 2 * part[0] + 1, padded(self.parts[part]), self.begins[part]
        outer, inner, number = rows.strides
        shape, strides = (*rows.shape[:2], height, channels), (outer, inner, channels * number, number)
        return np.lib.stride_tricks.as_strided(rows[:, :, begin : begin + height * channels], shape, strides)

    def linear_of(self, density: np.ndarray) -> np.ndarray:
        """A of densities (beads, atoms, harmonics, channels), (beads, atoms, (l + 1)², padded channels)."""
        assert self.own is not None
        found = np.zeros((*density.shape[:2], (self.highest + 1) ** 2, padded(max(self.linear.values()))))
        for part, own in self.own.channels.items():
            found[:, :, _harmonics(part), : own.shape[1]] = density[:, :, _harmonics(part)] @ own
        found[:, :, 0, : len(self.own.channel_means)] -= self.own.channel_means
        return found

    def density_adjoint(self, of_linear: np.ndarray, harmonics: int) -> np.ndarray:
        """Adjoint of the densities from that of `linear_of`."""
        assert self.own is not None
        channels = len(self.own.channels[ONE])
        found = np.zeros((*of_linear.shape[:2], harmonics, channels))
        for part, own in self.own.channels.items():
            found[:, :, _harmonics(part)] = of_linear[:, :, _harmonics(part), : own.shape[1]] @ own.T
        return found

    def rows(self, linear: np.ndarray | None, beads: int, atoms: int, threads: int) -> np.ndarray:
        """1, A and B side by side for each part, (beads, atoms, numbers)."""
        found = np.zeros((beads, atoms, self.size))
        found[:, :, 0] = 1.0
        if linear is None or self.own is None:
            return found
        for part, channels in self.linear.items():
            begin = int(part == ONE)
            self.view(found, part)[..., begin : begin + channels] = linear[:, :, _harmonics(part), :channels]
        if self.products is not None:
            if ONE in self.own.products:
                begin = self._before(ONE)
                found[:, :, begin : begin + len(self.own.product_means)] = -self.own.product_means
            flat = linear.reshape(beads, atoms, -1)
            self.products.add(flat, flat, *each(atoms), found, threads)
        return found

    def add_linear_adjoint(self, linear: np.ndarray, of_rows: np.ndarray, of_linear: np.ndarray, threads: int) -> None:
        """Add to the adjoint of A what that of `rows` says of it."""
        beads, atoms = linear.shape[:2]
        for part, channels in self.linear.items():
            begin = int(part == ONE)
            of_linear[:, :, _harmonics(part), :channels] += self.view(of_rows, part)[..., begin : begin + channels]
        if self.products is not None:
            flat, of_flat = (own.reshape(beads, atoms, -1) for own in (linear, of_linear))
            self.products.add_adjoints(flat, flat, *each(atoms), of_rows, of_flat, of_flat, threads)

    def few_of(self, linear: np.ndarray | None, beads: int, atoms: int) -> np.ndarray:
        """What an atom's products with itself have as their second factor, (beads, atoms, numbers)."""
        channels = padded(max(self.few.values()))
        found = np.zeros((beads, atoms, (self.highest + 1) ** 2, channels))
        found[:, :, 0, 0] = 1.0
        if linear is not None:
            for part, count in self.few.items():
                begin = int(part == ONE)
                found[:, :, _harmonics(part), begin:count] = linear[:, :, _harmonics(part), : count - begin]
        return found.reshape(beads, atoms, -1)

    def add_few_adjoint(self, of_few: np.ndarray, of_linear: np.ndarray) -> None:
        """Add to the adjoint of A what that of `few_of` says of it."""
        own = of_few.reshape(*of_linear.shape[:3], -1)
        for part, count in self.few.items():
            begin = int(part == ONE)
            of_linear[:, :, _harmonics(part), : count - begin] += own[:, :, _harmonics(part), begin:count]


def _harmonics(part: Part) -> slice:
    """Where the components of λ stand among harmonics."""
    return slice(part[0] ** 2, (part[0] + 1) ** 2)


def each(atoms: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every centre with its own row."""
    own = np.arange(atoms, dtype=np.int32)
    return own, own, np.zeros(atoms, dtype=bool)
