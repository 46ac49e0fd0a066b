"""What is refused before it reaches the kernel: parts that do not belong together, overlapping atoms, flat cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from ase.data import chemical_symbols

from ..properties.quantities import heads
from ..pyx.kernel import limits
from ..pyx.tensor_head import DensityShape, TensorHead
from ..reading import shown
from .errors import ModelFileError, StructureError
from .molecules import repeating_unit
from .structures import Batch, species_names

if TYPE_CHECKING:
    from ..potentials.equivariant_network import EquivariantNetwork
    from .model import Model

CLOSEST_ALLOWED = 0.4  # Å: nearer than any bond, and than any path-integral excursion of one
SHORTEST_HEIGHT = 1.0  # Å, of a cell between its faces
LOWEST_CELL = 1.5  # Å, the same for sums over images, which multiply as a cell gets flatter; no crystal comes close
NEXT, AFTER_NEXT = [1, 2, 0], [2, 0, 1]  # cyclic


def refuse_overlap(overlap: tuple[int, int, int, float] | None) -> None:
    """Raise StructureError for what the kernel reports as too close: (bead, atom, atom, distance in Å)."""
    if overlap is not None:
        bead, first, second, distance = overlap
        raise StructureError(
            f"atoms {first} and {second} of bead {bead} are {distance:.3f} Å apart; "
            f"at least {CLOSEST_ALLOWED} Å is needed"
        )


def refuse_unknown_species(batch: Batch, known: Sequence[int], what: str) -> None:
    """Raise StructureError if an atom is of none of the known species; ``what`` is what knows them."""
    unknown = sorted(set(batch.numbers.tolist()) - set(known))
    if unknown:
        raise StructureError(
            f"{what} does not know {', '.join(species_names(unknown))}; it knows {', '.join(species_names(known))}"
        )


def refuse_elements_beyond(numbers: np.ndarray, heaviest: int, method: str) -> None:
    """Raise StructureError for no atoms, and for elements that a method for all up to a heaviest one does not have."""
    unknown = np.flatnonzero((numbers < 1) | (numbers > heaviest))
    if len(unknown):
        raise StructureError(
            f"atom {unknown[0]} has the atomic number {numbers[unknown[0]]}; {method} has parameters for 1 to "
            f"{heaviest}, {chemical_symbols[1]} to {chemical_symbols[heaviest]}"
        )
    if not len(numbers):
        raise StructureError(f"the structure has no atom; {method} needs at least one")


def is_periodic(batch: Batch, rule: str) -> bool:
    """Whether a batch is periodic; StructureError, by a rule that is told, if it is in some directions only."""
    directions = batch.periodic.tolist()
    if any(directions) and not all(directions):
        raise StructureError(f"periodic directions are {directions}; {rule}")
    return all(directions)


def is_crystal(batch: Batch, method: str, rule: str) -> bool:
    """Whether a batch is periodic, for a method that sums over images in all directions, or has none.

    Raises
    ------
    StructureError
        If it is periodic in some directions only, by the ``rule`` of the method, or a cell is lower than `LOWEST_CELL`.
    """
    if not is_periodic(batch, rule):
        return False
    heights = lattice_heights(batch.cells, batch.periodic)
    flat = np.flatnonzero(~(heights.min(axis=1) >= LOWEST_CELL))
    if len(flat):
        raise StructureError(
            f"cell {batch.cells[flat[0]].tolist()} Å of bead {flat[0]} is only {heights[flat[0]].min():.3g} Å high "
            f"between two of its faces; {method} needs at least {LOWEST_CELL} Å"
        )
    return True


def refuse_other_charge(batch: Batch, charge: float, what: str) -> None:
    """Raise StructureError if structures say another total charge in e than the only one that ``what`` knows."""
    if batch.charge is not None and batch.charge != charge:
        raise StructureError(
            f"structures have the charge {batch.charge:g}, and {what} is asked with charge={charge:g}; one of both is "
            "needed, or the same"
        )


def check_model(model: Model) -> None:
    """Refuse parts that do not belong together, before they reach the kernel.

    Raises
    ------
    ModelFileError
        Naming what was found and what is allowed.
    """
    kinds = len(model.numbers)
    if model.precision not in ("double", "single"):
        raise ModelFileError(f"precision of a model is '{model.precision}'; allowed are double and single")
    check_sizes(model.numbers, model.groups, model.shape)
    for name, received in (("radial", model.radial.coefficients.shape[:2]), ("repulsion", model.repulsion.onset.shape)):
        if received != (kinds, kinds):
            raise ModelFileError(f"{name} of a model is for {received} species; it must be for {(kinds, kinds)}")
    strength = np.asarray(model.repulsion.strength)
    if strength.ndim and (strength.shape != (kinds, kinds) or (strength != strength.T).any()):
        raise ModelFileError(
            f"strengths of the repulsion of a model have the shape {strength.shape}; one number is needed, or as many "
            f"for each of {kinds} species, the same for both orders of a pair"
        )
    numbers = (model.radial.coefficients, model.repulsion.onset, strength)
    if not all(np.isfinite(own).all() for own in numbers):
        raise ModelFileError("radial functions or repulsion of a model have numbers that are not finite")
    if model.long_range is not None and model.long_range.shape.species != kinds:
        raise ModelFileError(
            f"a long-range energy is for {model.long_range.shape.species} species; it must be for {kinds}"
        )
    if model.threads < 1:
        raise ModelFileError(f"{model.threads} threads for a model; at least 1 is needed")
    repeating_unit(model.metadata)  # refuses what is no formula
    for name, head in model.heads.items():
        check_head(name, head, model.shape)
    if model.members is not None:
        model.members.check(model.heads, model.shape)
    if model.network is not None and ("energy" not in model.heads or model.network.shape != model.shape):
        raise ModelFileError(
            f"a network for {model.network.shape}; the model has {model.shape} and {list(model.heads)}"
        )
    if model.equivariant is not None:
        check_equivariant(model.equivariant, model)


def check_equivariant(network: EquivariantNetwork, model: Model) -> None:
    """Refuse an equivariant network of another density, or for heads that the model does not have.

    Raises
    ------
    ModelFileError
        Naming what was found and what is allowed.
    """
    if model.network is not None:
        raise ModelFileError("a model has an equivariant network and one of invariants; allowed is one of them")
    if network.shape != model.shape:
        raise ModelFileError(f"an equivariant network for {network.shape}; the model has {model.shape}")
    for layer in network.layers:
        for kind, orders, names in (
            ("scalar", (0,), layer.scalars),
            ("tensor", range(1, layer.l_max + 1), layer.tensors),
        ):
            for name in names:
                head = model.heads.get(name)
                if head is None or head.order not in orders or head.parity != 1:
                    allowed = [own for own, one in model.heads.items() if one.order in orders and one.parity == 1]
                    raise ModelFileError(f"an equivariant network has the {kind} '{name}'; allowed are {allowed}")


def check_sizes(numbers: Sequence[int], groups: Sequence[int], shape: DensityShape) -> None:
    """Refuse sizes that no model has, before anything is made of them.

    Raises
    ------
    ModelFileError
        Naming what was found and what is allowed.
    """
    kinds, largest = len(numbers), limits()
    known = range(1, len(chemical_symbols))
    if list(numbers) != sorted(set(numbers)) or not kinds or not all(number in known for number in numbers):
        raise ModelFileError(
            f"species {shown(list(numbers))} of a model; they must be atomic numbers in ascending order, at most "
            f"{known[-1]}"
        )
    if not 2 <= shape.l_max <= largest["l_max"]:
        raise ModelFileError(f"l_max of a model is {shape.l_max}; allowed are 2 to {largest['l_max']}")
    if not 1 <= shape.radial <= largest["radial"]:
        raise ModelFileError(f"a model has {shape.radial} radial functions; allowed are 1 to {largest['radial']}")
    if len(groups) != kinds or max(groups) >= kinds or sorted(set(groups)) != list(range(max(groups) + 1)):
        raise ModelFileError(f"groups {shown(list(groups))} of {kinds} species; each needs one out of 0, 1, …")


def check_head(name: str, head: TensorHead, shape: DensityShape) -> None:
    """Refuse a head that reads another density, or whose weights cannot be what was fitted.

    Raises
    ------
    ModelFileError
        Naming the head.
    """
    known = heads().get(name, (None, None))[1]
    fits = known is not None and (known.order, known.parity) == (head.order, head.parity)
    if not fits or replace(head.shape, l_max=shape.l_max) != shape:
        allowed = f"λ = {known.order} and parity {known.parity}" if known else f"heads {', '.join(heads())}"
        raise ModelFileError(
            f"head '{name}' of λ = {head.order} and parity {head.parity} reads {head.shape}; allowed are {allowed}, "
            f"and the model's {shape}"
        )
    if not head.order <= head.l_max <= shape.l_max:
        raise ModelFileError(f"head '{name}' reads l ≤ {head.l_max}; allowed are {head.order} to {shape.l_max}")
    if not all(np.isfinite(array).all() for array in (head.offset, head.linear, head.weights)):
        raise ModelFileError(f"head '{name}' has weights that are not finite")
    for (l1, l2), weights in zip(head.pairs, head.weights, strict=True):
        if l1 == l2 and not np.allclose(weights, head.parity * np.swapaxes(weights, 1, 2), rtol=1e-10, atol=0):
            symmetry = "symmetric" if head.parity == 1 else "antisymmetric"
            raise ModelFileError(f"weights of head '{name}' for l1 = l2 = {l1} are not {symmetry}")


def check_cells(batch: Batch) -> None:
    """Refuse cells that are flatter than can be served.

    Raises
    ------
    StructureError
        Naming the cell.
    """
    if not batch.periodic.any() or _are_high(batch.cells.tobytes(), batch.periodic.tobytes()):
        return
    heights = lattice_heights(batch.cells, batch.periodic)
    if not (heights >= SHORTEST_HEIGHT).all():
        bead = int(np.argmin(heights.min(axis=1)))
        raise StructureError(
            f"cell {batch.cells[bead].tolist()} Å of bead {bead} is only {heights[bead].min():.3g} Å high between two "
            f"of its faces; at least {SHORTEST_HEIGHT} Å is needed"
        )


@lru_cache(maxsize=16)
def _are_high(cells: bytes, periodic: bytes) -> bool:
    """Whether no cell is too flat, from the bytes of a batch: dynamics asks the same of its cells at every step."""
    heights = lattice_heights(np.frombuffer(cells).reshape(-1, 3, 3), np.frombuffer(periodic, np.bool_))
    return bool((heights >= SHORTEST_HEIGHT).all())


def volumes(batch: Batch) -> np.ndarray:
    """Volume of every bead's cell in Å³, infinite where a direction is not periodic; the array is not to be written."""
    if not batch.periodic.all():
        return np.full(batch.beads, np.inf)
    return _volumes(batch.cells.tobytes())


@lru_cache(maxsize=16)
def _volumes(cells: bytes) -> np.ndarray:
    found = np.abs(np.linalg.det(np.frombuffer(cells).reshape(-1, 3, 3)))
    found.flags.writeable = False
    return found


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
    if vectors.shape[1] == 1:
        return lengths_of(vectors)
    if vectors.shape[1] == 2:
        area = lengths_of(vector_product(vectors[:, 0], vectors[:, 1]))[:, None]
        faces = lengths_of(vectors)[:, ::-1]
    else:
        normals = vector_product(vectors[:, NEXT], vectors[:, AFTER_NEXT])
        area = np.abs((vectors[:, 0] * normals[:, 0]).sum(axis=1))[:, None]
        faces = lengths_of(normals)
    return np.divide(area, faces, out=np.zeros_like(faces), where=faces > 0)


def lengths_of(vectors: np.ndarray) -> np.ndarray:
    """Lengths of vectors, which stand on the last axis."""
    return np.sqrt((vectors * vectors).sum(axis=-1))


def vector_product(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Vector product on the last axis; NumPy's own takes ten times as long for a single cell."""
    return first[..., NEXT] * second[..., AFTER_NEXT] - first[..., AFTER_NEXT] * second[..., NEXT]
