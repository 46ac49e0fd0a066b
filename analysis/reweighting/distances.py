"""Distributions of distances between atoms, from the positions of all beads of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase.data import chemical_symbols

from ...runs.input.elements import InputError
from ...runs.input.labels import element_of_label
from ...runs.output.positions import BeadTrajectory, read_bead_trajectory

ROUNDING = 1e-5  # of a cell, which i-PI writes with few digits


@dataclass(frozen=True)
class Distances:
    """Which distances are counted, and how.

    Parameters
    ----------
    first, second : str
        Symbols of the atoms, as O and H.
    edges : ndarray of float64, shape (bins + 1,)
        In Å.
    counts : bool
        Whether bins hold the number of second atoms around one first atom, per Å; otherwise the radial distribution
        function g(r), the same over that of atoms spread evenly over the cell.
    """

    first: str
    second: str
    edges: np.ndarray
    counts: bool = False

    @property
    def coordinate(self) -> np.ndarray:
        """Centres of the bins in Å, shape (bins,)."""
        return (self.edges[1:] + self.edges[:-1]) / 2

    @property
    def unit(self) -> str:
        """Of the values."""
        return "1/Å" if self.counts else ""

    @property
    def name(self) -> str:
        """Of the values, with their unit."""
        pair = f"{self.first}–{self.second}"
        return f"neighbours {pair} / Å⁻¹" if self.counts else f"g(r) {pair}"


def read_distances(
    trajectory: BeadTrajectory,
    steps: Sequence[int],
    distances: Distances,
    shown: Callable[[Sequence[Any]], Iterable[Any]] = iter,
) -> np.ndarray:
    """The distribution of distances in samples of a run, mean over beads.

    Parameters
    ----------
    trajectory : BeadTrajectory
    steps : sequence of int
        Which samples, out of those of the trajectory.
    distances : Distances
    shown : callable
        Passes the samples on, one after the other, and shows how far this has come.

    Returns
    -------
    ndarray of float64, shape (steps, bins)

    Raises
    ------
    InputError
        If a file cannot be read, there are no such atoms, or distances reach beyond half of the cell.
    """
    first, second = (
        np.flatnonzero(trajectory.numbers == element_of_label(symbol)) for symbol in (distances.first, distances.second)
    )
    others = len(second) - (distances.first == distances.second)
    if not len(first) or others < 1:
        atoms = ", ".join(chemical_symbols[number] for number in np.unique(trajectory.numbers))
        raise InputError(
            f"'{trajectory.source}' holds no pair {distances.first},{distances.second}; its atoms are {atoms}"
        )
    counts = np.empty((len(steps), len(distances.edges) - 1))
    volumes = np.empty(len(steps))
    for place, (_, positions, cell) in zip(
        shown(range(len(steps))), read_bead_trajectory(trajectory, steps), strict=True
    ):
        counts[place] = pair_counts(positions, cell, first, second, distances.edges)
        volumes[place] = abs(np.linalg.det(cell))
    around_one = counts / (len(first) * trajectory.beads)
    if distances.counts:
        return around_one / np.diff(distances.edges)
    shells = 4 / 3 * np.pi * np.diff(distances.edges**3)
    return around_one * volumes[:, None] / (others * shells)


def pair_counts(
    positions: np.ndarray, cell: np.ndarray, first: np.ndarray, second: np.ndarray, edges: np.ndarray
) -> np.ndarray:
    """How many pairs are as far apart as each bin, over all beads.

    The image that is nearest by fractional coordinates is the nearest one, in a cell of any shape, of all pairs that
    are nearer than half of the smallest height of the cell.

    Parameters
    ----------
    positions : ndarray of float64, shape (beads, atoms, 3)
        In Å.
    cell : ndarray of float64, shape (3, 3)
        Lattice vectors in Å, one per row.
    first, second : ndarray of int, shape (atoms of a kind,)
        Places of the atoms; an atom and itself is no pair.
    edges : ndarray of float64, shape (bins + 1,)
        In Å.

    Returns
    -------
    ndarray of float64, shape (bins,)

    Raises
    ------
    InputError
        If distances reach beyond half of the cell.
    """
    inverse = np.linalg.inv(cell)
    # columns of the inverse are perpendicular to the faces, and as long as one over the height above them
    reach = 0.5 / np.linalg.norm(inverse, axis=0).max()
    if edges[-1] > reach * (1 + ROUNDING):
        raise InputError(
            f"distances up to {edges[-1]:g} Å are asked for; in the cell they are unique up to {reach:.4g} Å"
        )
    apart = positions[:, None, second] - positions[:, first, None]
    apart -= np.rint(apart @ inverse) @ cell
    lengths = np.linalg.norm(apart, axis=-1)
    lengths[:, first[:, None] == second] = -1.0  # below every bin
    return np.histogram(lengths, edges)[0].astype(np.float64)


def bins_of(limits: tuple[float, float], bins: int) -> np.ndarray:
    """Edges of bins of distances in Å, shape (bins + 1,).

    Raises
    ------
    InputError
        If the range does not increase, or begins below zero.
    """
    if not 0 <= limits[0] < limits[1]:
        raise InputError(f"the range of distances is {limits[0]:g} to {limits[1]:g}; it must increase from 0 or above")
    return np.linspace(*limits, bins + 1)


def labels_of(pair: str) -> tuple[str, str]:
    """Split ``O,H``.

    Raises
    ------
    InputError
        If these are not two chemical symbols.
    """
    names = [name.strip() for name in pair.split(",")]
    if len(names) != 2 or any(element_of_label(name) is None for name in names):
        raise InputError(f"'{pair}' is no pair of atoms; allowed are two chemical symbols, O,H")
    return names[0], names[1]
