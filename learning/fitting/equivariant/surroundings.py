"""Pairs of the atoms of some frames as tensors, with radial functions and harmonics and their derivatives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from ....model import Model
from ....pyx.coupling import real_harmonics
from ....pyx.pairs import pairs_within
from ..density_function import Structure
from ..torch_density import torch_harmonics
from .torch_products import orders_of


@dataclass(frozen=True)
class Gathered:
    """Atoms of several frames, sorted by species, and their pairs, sorted by the pair of species.

    Parameters
    ----------
    counts : list of int
        Atoms of each species.
    species, frame : Tensor of int64, shape (atoms,)
    order : Tensor of int64, shape (atoms,)
        Place of each atom in the frames behind each other.
    pair_counts : list of int
        Pairs of each (centre, neighbour) species.
    centre, neighbour : Tensor of int64, shape (pairs,)
    vectors : Tensor, shape (pairs, 3)
        Å.
    radial, radial_slope : Tensor, shape (pairs, radial)
    harmonics : Tensor, shape (lm, pairs)
    harmonics_slope : Tensor, shape (3, lm, pairs)
        Derivatives by the vector.
    frames : int
    """

    counts: list[int]
    species: torch.Tensor
    frame: torch.Tensor
    order: torch.Tensor
    pair_counts: list[int]
    centre: torch.Tensor
    neighbour: torch.Tensor
    vectors: torch.Tensor
    radial: torch.Tensor
    radial_slope: torch.Tensor
    harmonics: torch.Tensor
    harmonics_slope: torch.Tensor
    slots: torch.Tensor
    is_slot: torch.Tensor
    frames: int

    @property
    def harmonics_by_slot(self) -> torch.Tensor:
        """Harmonics of the pairs of each atom, zero where there is none, shape (atoms, lm, widest)."""
        by_slot = self.harmonics.index_select(1, self.slots) * self.is_slot
        return by_slot.reshape(len(by_slot), len(self.species), self.widest).transpose(0, 1)

    @property
    def widest(self) -> int:
        """Pairs of the atom that has the most."""
        return len(self.slots) // len(self.species)

    def gradients(self, of_radial: torch.Tensor, of_harmonics: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """From derivatives by radial functions and harmonics to those by positions and by the strain of each frame.

        Returns
        -------
        positions : Tensor, shape (atoms, 3)
        strains : Tensor, shape (frames, 3, 3)
        """
        along = (of_radial * self.radial_slope).sum(dim=1, keepdim=True)
        across = (self.harmonics_slope * of_harmonics).sum(dim=1).T
        by_vector = along * self.vectors / self.vectors.norm(dim=1, keepdim=True) + across
        positions = torch.zeros(len(self.species), 3, dtype=by_vector.dtype, device=by_vector.device)
        positions = positions.index_add(0, self.neighbour, by_vector).index_add(0, self.centre, -by_vector)
        strains = torch.zeros(self.frames, 3, 3, dtype=by_vector.dtype, device=by_vector.device)
        products = by_vector[:, :, None] * self.vectors[:, None, :]
        return positions, strains.index_add(0, self.frame[self.centre], products)


def gather(model: Model, frames: Sequence[Structure], l_max: int, like: torch.Tensor) -> Gathered:
    """Put the atoms of some frames together, in the type and on the device of a tensor; pairs are found anew."""
    kinds, sizes = len(model.numbers), [len(own.species) for own in frames]
    first = np.cumsum([0, *sizes[:-1]])
    species = np.concatenate([own.species for own in frames])
    order = np.argsort(species, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    centres, neighbours, between = zip(*(pairs_of(own) for own in frames), strict=True)
    centre = place[np.concatenate([own + start for own, start in zip(centres, first, strict=True)])]
    neighbour = place[np.concatenate([own + start for own, start in zip(neighbours, first, strict=True)])]
    vectors = np.concatenate(between)
    sorted_species = species[order]
    kind = sorted_species[centre] * kinds + sorted_species[neighbour]
    by_kind = np.argsort(kind, kind="stable")

    def index(array: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(array.astype(np.int64), device=like.device)

    own = torch.as_tensor(vectors[by_kind], device=like.device).to(like.dtype)
    sorted_kind = index(kind[by_kind])
    radial, slope = radial_and_slope(model, sorted_kind, own.norm(dim=1))
    harmonics, harmonics_slope = harmonics_and_slopes(own, l_max)
    slots, is_slot = slots_of(centre[by_kind], len(order))
    return Gathered(
        np.bincount(species, minlength=kinds).tolist(),
        index(sorted_species),
        index(np.repeat(np.arange(len(frames)), sizes)[order]),
        index(order),
        np.bincount(kind, minlength=kinds * kinds).tolist(),
        index(centre[by_kind]),
        index(neighbour[by_kind]),
        own,
        radial.requires_grad_(True),
        slope,
        harmonics.requires_grad_(True),
        harmonics_slope,
        index(slots),
        torch.as_tensor(is_slot, device=like.device).to(like.dtype),
        len(frames),
    )


def pairs_of(structure: Structure) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centre, neighbour and the vector between them in Å of each pair that the density sees, both ways."""
    batch = structure.batch
    return pairs_within(batch.positions[0], batch.cells[0], batch.periodic, structure.model.radial.cutoff)


def slots_of(centre: np.ndarray, atoms: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs by their centre, (atoms · widest,), and whether there is one; where there is none it is the first pair."""
    numbers = np.bincount(centre, minlength=atoms)
    by_centre = np.argsort(centre, kind="stable")
    place = np.arange(len(centre)) - np.repeat(np.cumsum(numbers) - numbers, numbers)
    slots = np.full((atoms, numbers.max(initial=0)), -1)
    slots[centre[by_centre], place] = by_centre
    return np.maximum(slots, 0).ravel(), (slots >= 0).ravel()


def radial_and_slope(model: Model, kind: torch.Tensor, distance: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """R_n of pairs and its derivative, from the splines that the kernel has; kind = centre · species + neighbour."""
    cutoff, table = model.radial.cutoff, torch.as_tensor(model.radial.splines)
    table = table.flatten(0, 1).to(distance)
    intervals = table.shape[1] - 1
    place = distance * (intervals / cutoff)
    interval = place.long().clamp(max=intervals - 1)
    t = (place - interval)[:, None]
    (v0, d0), (v1, d1) = table[kind, interval].unbind(1), table[kind, interval + 1].unbind(1)
    value = (1 + 2 * t) * (1 - t) ** 2 * v0 + t * (1 - t) ** 2 * d0 + t * t * (3 - 2 * t) * v1 + t * t * (t - 1) * d1
    slope = 6 * t * (t - 1) * (v0 - v1) + (3 * t - 1) * (t - 1) * d0 + t * (3 * t - 2) * d1
    return value, slope * (intervals / cutoff)


def harmonics_and_slopes(vectors: torch.Tensor, l_max: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Harmonics of the directions of vectors, (lm, vectors), and derivatives by the vectors, (3, lm, vectors)."""
    distance = vectors.norm(dim=1)
    unit = vectors / distance[:, None]
    harmonics = torch_harmonics(unit, l_max).T.contiguous()
    lowering = torch.as_tensor(gradient_matrices(l_max)).to(vectors)
    # r^l Y_lm is a polynomial whose gradient is of degree l − 1; Y itself does not change along the vector
    of_polynomial = lowering @ harmonics
    along = orders_of(l_max).to(vectors)[:, None] * harmonics
    return harmonics, (of_polynomial - along * unit.T[:, None, :]) / distance


@cache
def gradient_matrices(l_max: int) -> np.ndarray:
    """G with ∂(r^l Y_lm)/∂r_a = Σ_m' G_a[lm, (l−1)m'] r^(l−1) Y_(l−1)m', shape (3, lm, lm), from points on a sphere."""
    points = np.random.default_rng(0).normal(size=(8 * (l_max + 1) ** 2, 3))
    points /= np.linalg.norm(points, axis=1)[:, None]
    step, size = 1e-3, (l_max + 1) ** 2
    known, found, orders = real_harmonics(points, l_max), np.zeros((3, size, size)), orders_of(l_max).numpy()

    def polynomials(at: np.ndarray) -> np.ndarray:
        length = np.linalg.norm(at, axis=1)[:, None]
        return real_harmonics(at / length, l_max) * length**orders

    for axis in range(3):
        shift = step * np.eye(3)[axis]
        # five points are exact for polynomials up to degree four, and to 1e-13 for six
        slope = 8 * (polynomials(points + shift) - polynomials(points - shift))
        slope -= polynomials(points + 2 * shift) - polynomials(points - 2 * shift)
        for l in range(1, l_max + 1):  # noqa: E741
            below, own = slice((l - 1) ** 2, l * l), slice(l * l, (l + 1) ** 2)
            found[axis, own, below] = np.linalg.lstsq(known[:, below], slope[:, own] / (12 * step), rcond=None)[0].T
    found[np.abs(found) < 1e-8] = 0.0
    return found
