"""The integrated model: one density expansion, read by the energy, dipole and polarizability heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from ase.data import chemical_symbols

from ..potentials.repulsion import repulsion_table
from ..properties.dipole import CARTESIAN_FROM_HARMONICS, cartesian_vector
from ..properties.polarizability import cartesian_tensor, with_local_field
from ..pyx.coupling import pairs
from ..pyx.kernel import Kernel, limits
from ..pyx.tensor_head import DensityShape, TensorHead
from .errors import ModelFileError, PropertyError, StructureError
from .radial import INTERVALS, RadialBasis
from .response import PROPERTIES, Response
from .structures import Batch

SKIN = 0.5  # Å: a list then lasts some tens of steps in liquid water
CLOSEST_ALLOWED = 0.4  # Å: nearer than any bond, and than any path-integral excursion of one
SHORTEST_HEIGHT = 1.0  # Å, of a cell between its faces
HEADS = ("energy", "dipole", "polarizability_isotropic", "polarizability_anisotropic")
ORDERS = {"energy": 0, "dipole": 1, "polarizability_isotropic": 0, "polarizability_anisotropic": 2}
OUTPUTS = sum(2 * order + 1 for order in ORDERS.values())  # components of all heads, in their order


@dataclass(frozen=True)
class Repulsion:
    """Where the short-range guard acts: ``onset`` (species, species) in Å, and its strength."""

    onset: np.ndarray
    strength: float


@dataclass
class Model:
    """A fitted model; `evaluate` answers a batch of beads.

    Parameters
    ----------
    numbers : tuple of int
        Atomic numbers of the species, ascending.
    l_max : int
        Highest angular momentum of the density.
    radial : RadialBasis
    heads : mapping of str to TensorHead
        Any of ``energy``, ``dipole``, ``polarizability_isotropic`` and ``polarizability_anisotropic``.
    repulsion : Repulsion
        Added to the energy.
    local_field : bool
        Whether the polarizability heads are additive local polarizabilities, to be mapped by Clausius–Mossotti.
    metadata : dict
        Provenance, licence, validation errors: whatever the file says beyond what is evaluated.
    threads : int
        Threads for an evaluation.
    """

    numbers: tuple[int, ...]
    l_max: int
    radial: RadialBasis = field(repr=False)
    heads: Mapping[str, TensorHead] = field(repr=False)
    repulsion: Repulsion = field(repr=False)
    local_field: bool = True
    metadata: dict[str, Any] = field(default_factory=dict, repr=False)
    threads: int = 1

    def __post_init__(self) -> None:
        check_model(self)

    @property
    def species(self) -> tuple[int, ...]:
        """Atomic numbers that can be evaluated."""
        return self.numbers

    @property
    def properties(self) -> tuple[str, ...]:
        """Properties that can be asked for."""
        available = {
            "energy": "energy" in self.heads,
            "forces": "energy" in self.heads,
            "virial": "energy" in self.heads,
            "dipole": "dipole" in self.heads,
            "polarizability": "polarizability_isotropic" in self.heads,
            "born_charges": "dipole" in self.heads,
        }
        return tuple(name for name in PROPERTIES if available[name])

    @property
    def shape(self) -> DensityShape:
        """Sizes of the density."""
        return DensityShape(len(self.numbers), self.radial.radial, self.l_max)

    @cached_property
    def kernel(self) -> Kernel:
        """The compiled kernel with this model's tables, and the neighbour lists of the beads it has seen."""
        padded = self.shape.padded_radial
        pair_table = repulsion_table(
            self.numbers, self.repulsion.onset, self.repulsion.strength, self.radial.cutoff, INTERVALS
        )
        return Kernel(
            self.radial.spline_table(padded),
            pair_table,
            np.ascontiguousarray(self.repulsion.onset, dtype=np.float64),
            self.l_max,
            self.radial.cutoff,
            SKIN,
            [self.head(name).kernel_form() for name in HEADS],
        )

    def head(self, name: str) -> TensorHead:
        """A head by name; one without weights where the model has none."""
        if name in self.heads:
            return self.heads[name]
        return empty_head(ORDERS[name], self.shape)

    def species_indices(self, numbers: np.ndarray) -> np.ndarray:
        """Species indices of atomic numbers.

        Raises
        ------
        StructureError
            If a species is unknown to the model.
        """
        places = np.searchsorted(self.numbers, numbers)
        known = np.take(self.numbers, np.minimum(places, len(self.numbers) - 1)) == numbers
        if not known.all():
            atom = int(np.argmin(known))
            allowed = ", ".join(chemical_symbols[number] for number in self.numbers)
            raise StructureError(
                f"atom {atom} is {chemical_symbols[numbers[atom]]}, a species unknown to the model; "
                f"allowed are {allowed}"
            )
        return places.astype(np.int32)

    def evaluate(self, batch: Batch, want: Sequence[str]) -> Response:
        """Answer the wanted properties for every bead.

        Parameters
        ----------
        batch : Batch
        want : sequence of str
            Names out of `properties`.

        Raises
        ------
        PropertyError
            If a wanted property is not available.
        StructureError
            If a species is unknown, a cell is too flat, or two atoms overlap.
        """
        for name in want:
            if name not in self.properties:
                raise PropertyError(f"property '{name}' is not available; this model has {list(self.properties)}")
        species = self.species_indices(batch.numbers)
        volume = checked_volume(batch)
        rows = gradient_rows(want)
        beads, atoms = batch.beads, batch.atoms
        values = np.zeros((beads, atoms, rows.shape[1]))
        gradients = np.zeros((beads, len(rows), atoms, 3))
        strains = np.zeros((beads, len(rows), 3, 3))
        overlap = self.kernel.evaluate(
            species,
            batch.positions,
            batch.cells,
            batch.periodic,
            wanted_heads(want),
            np.repeat(rows[None], beads, axis=0),
            values,
            gradients,
            strains,
            CLOSEST_ALLOWED,
            self.threads,
        )
        refuse_overlap(overlap)
        return self.response(want, values.sum(axis=1), gradients, strains, volume)

    def density(self, batch: Batch) -> np.ndarray:
        """Density coefficients, shape (beads, atoms, harmonics, channels); channel = (neighbour species, n)."""
        species = self.species_indices(batch.numbers)
        beads, atoms = batch.beads, batch.atoms
        shape = self.shape
        padded = np.zeros((beads, atoms, shape.harmonics, shape.species * shape.padded_radial))
        overlap = self.kernel.evaluate(
            species,
            batch.positions,
            batch.cells,
            batch.periodic,
            [False] * len(HEADS),
            np.zeros((beads, 0, OUTPUTS)),
            np.zeros((beads, atoms, OUTPUTS)),
            np.zeros((beads, 0, atoms, 3)),
            np.zeros((beads, 0, 3, 3)),
            CLOSEST_ALLOWED,
            self.threads,
            padded,
        )
        refuse_overlap(overlap)
        return padded[..., shape.padded_places]

    def response(
        self, want: Sequence[str], totals: np.ndarray, gradients: np.ndarray, strains: np.ndarray, volume: np.ndarray
    ) -> Response:
        """Put the kernel's summed outputs (beads, OUTPUTS) and derivatives into the form of a `Response`."""
        arrays: dict[str, np.ndarray] = {}
        with_energy = int("forces" in want or "virial" in want)
        if "energy" in want:
            arrays["energy"] = totals[:, 0].copy()
        if "forces" in want:
            arrays["forces"] = -gradients[:, 0]
        if "virial" in want:
            arrays["virial"] = -0.5 * (strains[:, 0] + np.swapaxes(strains[:, 0], 1, 2))
        if "dipole" in want:
            arrays["dipole"] = cartesian_vector(totals[:, 1:4])
        if "polarizability" in want:
            additive = cartesian_tensor(totals[:, 4:])
            arrays["polarizability"] = self.with_local_field(additive, volume)
        if "born_charges" in want:
            arrays["born_charges"] = np.moveaxis(gradients[:, with_energy:], 1, 3).copy()
        return Response(**arrays)

    def with_local_field(self, additive: np.ndarray, volume: np.ndarray) -> np.ndarray:
        """Map additive polarizabilities (beads, 3, 3) to those of the cells, if the model is one that asks for it.

        Raises
        ------
        StructureError
            If a cell is so dense that the map diverges.
        """
        if not self.local_field:
            return additive
        ratio = 4 * np.pi / (3 * volume) * np.linalg.eigvalsh(additive)[:, -1]
        if not (ratio < 1).all():
            bead = int(np.argmax(ratio))
            raise StructureError(
                f"local polarizabilities of bead {bead} are too large for its volume of {volume[bead]:.4g} Å³: "
                f"4π a/3V is {ratio[bead]:.3g}, and must be below 1"
            )
        return with_local_field(additive, volume)


def refuse_overlap(overlap: tuple[int, int, int, float] | None) -> None:
    """Raise StructureError for what the kernel reports as too close: (bead, atom, atom, distance in Å)."""
    if overlap is not None:
        bead, first, second, distance = overlap
        raise StructureError(
            f"atoms {first} and {second} of bead {bead} are {distance:.3f} Å apart; "
            f"at least {CLOSEST_ALLOWED} Å is needed"
        )


def check_model(model: Model) -> None:
    """Refuse parts that do not belong together, before they reach the kernel.

    Raises
    ------
    ModelFileError
        Naming what was found and what is allowed.
    """
    kinds, largest = len(model.numbers), limits()
    if list(model.numbers) != sorted(set(model.numbers)) or not kinds or min(model.numbers) < 1:
        raise ModelFileError(
            f"species {list(model.numbers)} of a model; they must be atomic numbers in ascending order"
        )
    if not 2 <= model.l_max <= largest["l_max"]:
        raise ModelFileError(f"l_max of a model is {model.l_max}; allowed are 2 to {largest['l_max']}")
    if not 1 <= model.radial.radial <= largest["radial"]:
        raise ModelFileError(
            f"a model has {model.radial.radial} radial functions; allowed are 1 to {largest['radial']}"
        )
    for name, received in (("radial", model.radial.coefficients.shape[:2]), ("repulsion", model.repulsion.onset.shape)):
        if received != (kinds, kinds):
            raise ModelFileError(f"{name} of a model is for {received} species; it must be for {(kinds, kinds)}")
    if model.threads < 1:
        raise ModelFileError(f"{model.threads} threads for a model; at least 1 is needed")
    for name, head in model.heads.items():
        check_head(name, head, model.shape)


def check_head(name: str, head: TensorHead, shape: DensityShape) -> None:
    """Refuse a head that reads another density, or whose weights cannot be what was fitted.

    Raises
    ------
    ModelFileError
        Naming the head.
    """
    if name not in ORDERS or head.order != ORDERS[name] or replace(head.shape, l_max=shape.l_max) != shape:
        raise ModelFileError(f"head '{name}' of order {head.order} reads {head.shape}; the model has {shape}, {ORDERS}")
    if not head.order <= head.l_max <= shape.l_max:
        raise ModelFileError(f"head '{name}' reads l ≤ {head.l_max}; allowed are {head.order} to {shape.l_max}")
    if not all(np.isfinite(array).all() for array in (head.offset, head.linear, head.weights)):
        raise ModelFileError(f"head '{name}' has weights that are not finite")
    for (l1, l2), weights in zip(head.pairs, head.weights, strict=True):
        if l1 == l2 and not np.allclose(weights, np.swapaxes(weights, 1, 2), rtol=1e-10, atol=0):
            raise ModelFileError(f"weights of head '{name}' for l1 = l2 = {l1} are not symmetric")


def gradient_rows(want: Sequence[str]) -> np.ndarray:
    """Combinations of the outputs (energy, dipole, polarizability) whose gradients are wanted, one per row."""
    rows = []
    if "forces" in want or "virial" in want:
        rows.append(np.eye(OUTPUTS)[0])
    if "born_charges" in want:
        for axis in range(3):
            row = np.zeros(OUTPUTS)
            row[1:4] = CARTESIAN_FROM_HARMONICS[axis]
            rows.append(row)
    return np.array(rows).reshape(-1, OUTPUTS)


def wanted_heads(want: Sequence[str]) -> list[bool]:
    """Which heads' values are wanted, in the order of `HEADS`."""
    return ["energy" in want, "dipole" in want, "polarizability" in want, "polarizability" in want]


def empty_head(order: int, shape: DensityShape) -> TensorHead:
    """A head that gives zero."""
    weights = np.zeros((len(pairs(order, order)), shape.species, shape.channels, shape.channels))
    return TensorHead(
        order,
        replace(shape, l_max=order),
        np.zeros(shape.species),
        np.zeros((shape.species, shape.channels)),
        weights,
    )


def checked_volume(batch: Batch) -> np.ndarray:
    """Volume of every bead's cell in Å³, infinite where a direction is not periodic.

    Raises
    ------
    StructureError
        If a periodic cell is flatter than can be served.
    """
    if not batch.periodic.any():
        return np.full(batch.beads, np.inf)
    heights = lattice_heights(batch.cells, batch.periodic)
    if not (heights >= SHORTEST_HEIGHT).all():
        bead = int(np.argmin(heights.min(axis=1)))
        raise StructureError(
            f"cell {batch.cells[bead].tolist()} Å of bead {bead} is only {heights[bead].min():.3g} Å high between two "
            f"of its faces; at least {SHORTEST_HEIGHT} Å is needed"
        )
    if not batch.periodic.all():
        return np.full(batch.beads, np.inf)
    return np.abs(np.linalg.det(batch.cells))


def lattice_heights(cells: np.ndarray, periodic: np.ndarray) -> np.ndarray:
    """Distance in Å of each periodic lattice vector's end from the plane or line of the others.

    Parameters
    ----------
    cells : ndarray of float64, shape (beads, 3, 3)
    periodic : ndarray of bool, shape (3,)

    Returns
    -------
    ndarray of float64, shape (beads, periodic directions)
        0 where the vectors are linearly dependent.
    """
    vectors = cells[:, periodic]
    lengths = np.linalg.norm(vectors, axis=2)
    if vectors.shape[1] == 1:
        return lengths
    first, second = np.roll(vectors, -1, axis=1), np.roll(vectors, -2, axis=1)
    if vectors.shape[1] == 2:
        area = np.linalg.norm(np.cross(vectors[:, 0], vectors[:, 1]), axis=1)[:, None]
        faces = lengths[:, ::-1]
    else:
        normals = np.cross(first, second)
        area = np.abs(np.einsum("bi,bi->b", vectors[:, 0], normals[:, 0]))[:, None]
        faces = np.linalg.norm(normals, axis=2)
    return np.divide(area, faces, out=np.zeros_like(lengths), where=faces > 0)
