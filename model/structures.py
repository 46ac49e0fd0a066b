"""What is evaluated: a batch of beads, which are frames of one system with the same atoms."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from ase import Atoms
from ase.cell import Cell
from ase.data import chemical_symbols
from ase.symbols import Symbols

from ..short_repr import shortened, with_lines
from .errors import StructureError

CHARGES = ("charge", "total_charge")  # what the info of a frame may call its total charge
SAME_CHARGE = 1e-6  # e
FARTHEST = 1e7  # Å: a number of that size has 8 digits behind the point
KINDS = {"numbers": np.int32, "positions": np.float64, "cells": np.float64, "periodic": np.bool_}  # of a batch's arrays


def _as_array(name: str, given: object, kind: type[np.generic]) -> np.ndarray:
    """Make an array of a batch of what was given for it, where that changes no value.

    Raises
    ------
    StructureError
        If it is ragged, text, or complex, or has a fraction where there is room for none.
    """
    if isinstance(given, np.ndarray) and given.dtype == kind:
        return np.ascontiguousarray(given)
    try:
        received = np.asarray(given)
    except ValueError as error:
        raise StructureError(f"{name} of a batch are {shortened(given)}, which is no array ({error})") from error
    if received.dtype.kind not in "biuf":
        raise StructureError(f"{name} of a batch are {shortened(given)}, of {received.dtype}; real numbers are needed")
    with np.errstate(invalid="ignore"):  # refused below
        array = received.astype(kind)
    if kind is not np.float64 and not np.array_equal(array, received):
        needed = "whole numbers" if kind is np.int32 else "True or False"
        raise StructureError(f"{name} of a batch are {shortened(given)}; {needed} are needed")
    return array if array.flags.c_contiguous else np.ascontiguousarray(array)


@dataclass(frozen=True, repr=False, eq=False)
class Batch:
    """Beads of a ring polymer, or frames of a trajectory: same atoms, each with its own positions and cell.

    Parameters
    ----------
    numbers : ndarray of int32, shape (atoms,)
        Atomic numbers, the same for every bead.
    positions : ndarray of float64, shape (beads, atoms, 3)
        Cartesian positions in Å; they need not be wrapped into the cell.
    cells : ndarray of float64, shape (beads, 3, 3)
        Lattice vectors in Å, one per row.  Rows of directions that are not periodic are ignored.
    periodic : ndarray of bool, shape (3,)
        Whether each lattice direction is periodic.
    charge : float, optional
        Total charge in e, where it is said, a finite number; models without charges of their own do not look at it, and
        evaluators that know only one refuse another (`beadwise.model.checks.refuse_other_charge`).

    Raises
    ------
    StructureError
        If a shape does not fit, an array does not hold real numbers, an atomic number is none, or a position or cell
        is not finite, or beyond `FARTHEST`, or the charge is no finite number.
    """

    numbers: np.ndarray
    positions: np.ndarray
    cells: np.ndarray
    periodic: np.ndarray
    charge: float | None = None

    def __post_init__(self) -> None:
        for name, kind in KINDS.items():
            object.__setattr__(self, name, _as_array(name, getattr(self, name), kind))
        self._check_shapes()
        self._check_values()
        if self.charge is not None:
            object.__setattr__(self, "charge", _checked_charge(self.charge))

    def _check_shapes(self) -> None:
        atoms = self.numbers.shape[0] if self.numbers.ndim == 1 else -1
        beads = self.positions.shape[0] if self.positions.ndim == 3 else -1
        expected = {"numbers": (atoms,), "positions": (beads, atoms, 3), "cells": (beads, 3, 3), "periodic": (3,)}
        for name, shape in expected.items():
            received = getattr(self, name).shape
            if received != shape:
                raise StructureError(
                    f"{name} has shape {received}; expected numbers (atoms,), positions (beads, atoms, 3), "
                    f"cells (beads, 3, 3) and periodic (3,)"
                )

    def _check_values(self) -> None:
        if self.atoms and (self.numbers.min() < 0 or self.numbers.max() >= len(chemical_symbols)):
            outside = (self.numbers < 0) | (self.numbers >= len(chemical_symbols))
            atom = int(np.argmax(outside))
            raise StructureError(
                f"atomic number of atom {atom} is {self.numbers[atom]}; allowed are 0 to {len(chemical_symbols) - 1}"
            )
        places, cells = self.positions.ravel(), self.cells.ravel()
        with np.errstate(all="ignore"):  # numbers that are refused below
            if places @ places < FARTHEST**2 and cells @ cells < FARTHEST**2:
                return  # quick, and true unless there are very many atoms
        is_far = ~(np.abs(self.positions) < FARTHEST)  # also where it is not a number
        if is_far.any():
            bead, atom, axis = np.argwhere(is_far)[0]
            value = self.positions[bead, atom, axis]
            raise StructureError(
                f"position of atom {atom} in bead {bead} is {value} Å along {'xyz'[axis]}; it must be finite and "
                f"within {FARTHEST:g} Å of the origin, or distances have lost their digits"
            )
        is_long = ~(np.abs(self.cells) < FARTHEST)
        if is_long.any():
            bead = np.argwhere(is_long)[0][0]
            raise StructureError(
                f"cell of bead {bead} is {self.cells[bead].tolist()} Å; all entries must be finite and below "
                f"{FARTHEST:g} Å"
            )

    def __eq__(self, other: object) -> bool:
        """Whether all numbers are the same."""
        if not isinstance(other, Batch):
            return NotImplemented
        same = all(np.array_equal(getattr(self, name), getattr(other, name)) for name in KINDS)
        return same and self.charge == other.charge

    def __repr__(self) -> str:
        directions = [name for name, is_periodic in zip("abc", self.periodic, strict=True) if is_periodic]
        cells = "of its own for each bead" if len(np.unique(self.cells, axis=0)) > 1 else ""
        if self.beads and not cells:
            lengths = Cell(self.cells[0]).cellpar()
            cells = " × ".join(f"{length:.5g}" for length in lengths[:3]) + " Å, "
            cells += " × ".join(f"{angle:.5g}" for angle in lengths[3:]) + "°"
        lines = {
            "atoms": f"{self.atoms}, {Symbols(self.numbers).get_chemical_formula()}" if self.atoms else "0",
            "cell": cells if directions else "none",
            "periodic": ", ".join(directions),
        }
        return with_lines(f"Batch of {self.beads} bead{'s' * (self.beads != 1)}", lines)

    @property
    def beads(self) -> int:
        """Number of beads."""
        return self.positions.shape[0]

    @property
    def atoms(self) -> int:
        """Number of atoms of one bead."""
        return self.positions.shape[1]

    @classmethod
    def from_ase(cls, structures: Atoms | Sequence[Atoms]) -> Batch:
        """Make a batch from one structure, or from several with the same atoms in the same order.

        Parameters
        ----------
        structures : ase.Atoms or sequence of ase.Atoms
            Positions and cells in Å; a total charge in e in their ``info``, as `charge_of_frame` reads it.

        Raises
        ------
        StructureError
            If the structures differ in their atoms, their periodic directions or their charge, there is none, or a
            charge is no finite number.
        """
        frames = [structures] if isinstance(structures, Atoms) else list(structures)
        if not frames:
            raise StructureError("no structure was given; a batch needs at least one")
        for index, frame in enumerate(frames):
            if not isinstance(frame, Atoms):
                raise StructureError(f"structure {index} is {frame!r:.60}; ase.Atoms are needed, as ase.io.read gives")
        first = frames[0]
        for index, frame in enumerate(frames):
            same = np.array_equal(frame.numbers, first.numbers) and np.array_equal(frame.pbc, first.pbc)
            if not same:
                raise StructureError(
                    f"structure {index} ({frame.get_chemical_formula()}, periodic {frame.pbc.tolist()}) differs "
                    f"from the first ({first.get_chemical_formula()}, periodic {first.pbc.tolist()}); "
                    "a batch holds the same atoms in the same order"
                )
            if charge_of_frame(frame) != charge_of_frame(first):
                raise StructureError(
                    f"structure {index} has the total charge {charge_of_frame(frame)} e, the first "
                    f"{charge_of_frame(first)}; a batch has one"
                )
        return cls(
            numbers=first.numbers,
            positions=np.array([frame.positions for frame in frames]),
            cells=np.array([frame.cell.array for frame in frames]),
            periodic=first.pbc,
            charge=charge_of_frame(first),
        )

    def to_ase(self, bead: int) -> Atoms:
        """One bead for a program that ASE knows.

        A total charge other than 0 is ``charge`` in its ``info``, and the sum of its initial charges, which are alike
        but for the first atom's: programs look at one or the other.
        """
        atoms = Atoms(self.numbers, self.positions[bead], cell=self.cells[bead], pbc=self.periodic)
        if self.charge and self.atoms:
            atoms.info["charge"] = self.charge
            share = round(self.charge / self.atoms * 2**20) / 2**20  # sums of such numbers are exact
            atoms.set_initial_charges([self.charge - (self.atoms - 1) * share] + [share] * (self.atoms - 1))
        return atoms


def is_charge(said: object) -> bool:
    """Whether it is a finite number, as a total charge in e must be."""
    return isinstance(said, (int, float, np.number)) and not isinstance(said, bool) and bool(np.isfinite(said))


def _checked_charge(said: float) -> float:
    if not is_charge(said):
        raise StructureError(f"the total charge is {said!r:.60}; a finite number in e is needed")
    return float(said)


def charge_of_frame(frame: Atoms) -> float | None:
    """Total charge in e that the ``info`` of a frame says by ``charge`` or ``total_charge``; None if it says none.

    Raises
    ------
    StructureError
        If an entry is a single value and no finite number, or both differ.  Arrays are of atoms, and not looked at.
    """
    said = {name: own for name in CHARGES if (own := frame.info.get(name)) is not None and np.ndim(own) == 0}
    for name, own in said.items():
        if not is_charge(own):
            raise StructureError(f"{name} of a structure is {own!r:.60}; a finite number in e is needed")
    if len(said) == len(CHARGES) and not math.isclose(*said.values(), rel_tol=0, abs_tol=SAME_CHARGE):
        raise StructureError(
            "a structure has "
            + " and ".join(f"'{name}' = {own:g}" for name, own in said.items())
            + ", which differ; one of both is needed, or the same"
        )
    return float(next(iter(said.values()))) if said else None


def species_names(numbers: Iterable[int]) -> list[str]:
    """Chemical symbols of atomic numbers."""
    return [chemical_symbols[number] for number in numbers]


def indices_of_species(known: Sequence[int], numbers: np.ndarray) -> np.ndarray:
    """Species indices of atomic numbers, of a model that knows some in ascending order.

    Raises
    ------
    StructureError
        If a species is unknown to it.
    """
    if isinstance(numbers, np.ndarray) and numbers.dtype == np.int32:
        return _remembered_indices(tuple(known), numbers.tobytes())
    return _found_indices(known, numbers)


@lru_cache(maxsize=16)
def _remembered_indices(known: tuple[int, ...], numbers: bytes) -> np.ndarray:
    """The same of the numbers in an array of int32: dynamics asks for those of the same atoms at every step."""
    places = _found_indices(known, np.frombuffer(numbers, np.int32))
    places.flags.writeable = False
    return places


def _found_indices(known: Sequence[int], numbers: np.ndarray) -> np.ndarray:
    places = np.searchsorted(known, numbers)
    is_known = np.take(known, np.minimum(places, len(known) - 1)) == numbers
    if not is_known.all():
        atom = int(np.argmin(is_known))
        allowed = ", ".join(chemical_symbols[number] for number in known)
        raise StructureError(
            f"atom {atom} is {chemical_symbols[numbers[atom]]}, a species unknown to the model; allowed are {allowed}"
        )
    return places.astype(np.int32)
