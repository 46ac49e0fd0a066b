"""The flexible water potential q-TIP4P/F as an evaluator: it can be served, run and tested like a fitted model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase.data import chemical_symbols

from ..errors import BeadwiseError
from ..potentials.qtip4pf import CLOSEST_CHARGES, LONGEST_BOND, LOWEST_CELL, SWITCH_WIDTH, Fault, evaluate_water
from ..short_repr import short_repr
from .checks import is_periodic
from .electric_field import NO_FIELD, checked_field
from .errors import StructureError
from .response import Response, refuse_unavailable
from .structures import Batch

MOLECULE = np.array([8, 1, 1], dtype=np.int32)
PERIODIC_RULE = "q-TIP4P/F allows all three, or none, since its charges are summed over a lattice"


class PotentialError(BeadwiseError, ValueError):
    """A setting of a potential that is not allowed."""


class QTip4pF:
    """q-TIP4P/F water of Habershon, Markland and Manolopoulos, J. Chem. Phys. 131, 024501 (2009).

    Molecules are three consecutive atoms O, H, H.  Formulas and parameters, and what is not part of the published
    potential (the end of the Lennard-Jones interaction), are in `beadwise.potentials.qtip4pf`.

    Parameters
    ----------
    cutoff : float
        Between oxygens, in Å.  The Lennard-Jones potential fades over the last Å before it, and the real space part of
        Ewald's sum ends there; images are counted however small the cell is.
    accuracy : float
        What a charge's interaction has fallen to where Ewald's sum is cut off, in real space and in waves.  For liquid
        water at the default the forces differ from the converged ones by 3e-6 of their root mean square.
    threads : int
        Threads for an evaluation; they take whole beads.
    electric_field : sequence of float, length 3
        Static field in V/Å that energy, forces and virial are evaluated in; dipole and Born charges are the same in
        any (see `beadwise.model.electric_field`).

    Raises
    ------
    PotentialError
        If a setting is outside what is allowed.
    PropertyError
        If the electric field is not three finite numbers.
    """

    species = (1, 8)
    properties = ("energy", "forces", "virial", "dipole", "born_charges")

    def __init__(
        self,
        cutoff: float = 9.0,
        accuracy: float = 1e-7,
        threads: int = 1,
        electric_field: Sequence[float] = NO_FIELD,
    ):
        if not SWITCH_WIDTH < cutoff < np.inf:
            raise PotentialError(
                f"cutoff of q-TIP4P/F is {cutoff} Å; it must be finite and longer than {SWITCH_WIDTH} Å"
            )
        if not 1e-15 <= accuracy <= 1e-2:
            raise PotentialError(f"accuracy of q-TIP4P/F is {accuracy}; allowed are 1e-15 to 1e-2")
        if threads < 1:
            raise PotentialError(f"{threads} threads for q-TIP4P/F; at least 1 is needed")
        self.cutoff = float(cutoff)
        self.accuracy = float(accuracy)
        self.threads = int(threads)
        self.electric_field = checked_field(electric_field, self.properties)

    def __repr__(self) -> str:
        return short_repr(self, ("cutoff", "accuracy", "threads", "electric_field"))

    def in_field(self, electric_field: Sequence[float]) -> QTip4pF:
        """The same potential in a static electric field in V/Å.

        Raises
        ------
        PropertyError
            If the field is not three finite numbers.
        """
        return QTip4pF(self.cutoff, self.accuracy, self.threads, electric_field)

    def evaluate(self, batch: Batch, want: Sequence[str]) -> Response:
        """Answer the wanted properties for every bead.

        Parameters
        ----------
        batch : Batch
            Water molecules, each three consecutive atoms O, H, H, in a cell that is periodic in all directions or in
            none.  Atoms of a molecule may be different images.
        want : sequence of str
            Names out of `properties`.

        Raises
        ------
        PropertyError
            If a wanted property is not available.
        StructureError
            If the atoms are no such molecules, two molecules overlap, or the cell is periodic in some directions only
            or too flat.
        """
        refuse_unavailable(want, self.properties, "q-TIP4P/F")
        check_molecules(batch.numbers)
        periodic = is_periodic(batch, PERIODIC_RULE)
        arrays, fault = evaluate_water(
            batch.positions,
            batch.cells,
            periodic,
            self.cutoff,
            self.accuracy,
            want,
            self.threads,
            self.electric_field,
        )
        if fault is not None:
            raise StructureError(describe(fault, batch))
        return Response(**arrays)


def check_molecules(numbers: np.ndarray) -> None:
    """Refuse atoms that are not O, H, H molecule by molecule.

    Parameters
    ----------
    numbers : ndarray of int, shape (atoms,)

    Raises
    ------
    StructureError
        Naming the first molecule that is none.
    """
    whole = len(numbers) // 3 * 3
    right = (numbers[:whole].reshape(-1, 3) == MOLECULE).all(axis=1)
    if right.all() and whole == len(numbers) and whole:
        return
    first = whole if right.all() else 3 * int(np.argmin(right))
    found = " ".join(chemical_symbols[number] for number in numbers[first : first + 3]) or "none"
    raise StructureError(
        f"atoms {first} to {min(first + 3, len(numbers)) - 1} of {len(numbers)} are {found}; "
        "q-TIP4P/F allows only water molecules whose atoms follow each other as O H H"
    )


def describe(fault: Fault, batch: Batch) -> str:
    """A sentence for a bead that cannot be evaluated."""
    if fault.kind == "flat":
        return (
            f"cell {batch.cells[fault.bead].tolist()} Å of bead {fault.bead} is only {fault.distance:.3g} Å high "
            f"between two of its faces; q-TIP4P/F needs at least {LOWEST_CELL} Å"
        )
    place = f"atoms {fault.first} and {fault.second} of bead {fault.bead}"
    if fault.kind == "broken":
        return (
            f"{place} are {fault.distance:.3f} Å apart; in a molecule O H H of q-TIP4P/F the distance from O to H "
            f"must be at most {LONGEST_BOND} Å"
        )
    return (
        f"{place}, or their charges, are {fault.distance:.3f} Å apart; between molecules of q-TIP4P/F at least "
        f"{CLOSEST_CHARGES} Å is needed"
    )
