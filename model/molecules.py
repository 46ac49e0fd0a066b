"""What single molecules add to dipole and polarizability, and where they are: for spectra of slabs and interfaces."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from ase.data import atomic_masses, atomic_numbers, chemical_symbols
from ase.formula import Formula

from ..properties.quantities import Property
from ..reading import shown
from .errors import ModelFileError, StructureError
from .structures import Batch

NOTHING_TIMES = re.compile(r"(?<!\d)0+(?!\d)")
MOST_IN_UNIT = 1000  # atoms of a molecule that repeats


FIELD_INSIDE = "field_inside"  # of the metadata: polarizabilities are local, and count only in each other's field


def needs_dressing(metadata: object, one: Property) -> bool:
    """Whether a property of a model makes sense only in the field of all molecules, as `model.field_inside` has it.

    Of a model that was fitted to local polarizabilities, whose metadata say so, it is what is made of their sum.

    Parameters
    ----------
    metadata : object
        Of the model.
    one : Property
    """
    is_local = isinstance(metadata, dict) and FIELD_INSIDE in metadata
    return is_local and is_polarizability(one) and one.kind != "molecular"


def is_polarizability(one: Property) -> bool:
    """Whether a property is a polarizability, or is made of it."""
    return one.quantity is not None and one.quantity.name == "polarizability"


def repeating_unit(metadata: object) -> tuple[int, ...] | None:
    """Atomic numbers of the molecule that a model was made for, in the order of its atoms.

    Parameters
    ----------
    metadata : object
        Metadata of a model; if a dictionary, its ``repeating_unit`` is a chemical formula such as ``OHH``.

    Returns
    -------
    tuple of int, or None
        None if the metadata name no molecule.

    Raises
    ------
    ModelFileError
        If what they name is no chemical formula.
    """
    formula = metadata.get("repeating_unit") if isinstance(metadata, dict) else None
    return None if formula is None else _atoms_of_formula(str(formula))


@lru_cache
def _atoms_of_formula(formula: str) -> tuple[int, ...]:
    try:
        return tuple(atoms_of_formula(formula, MOST_IN_UNIT).tolist())
    except ValueError:
        raise ModelFileError(
            f"repeating_unit of a model is '{shown(formula)}'; allowed is a chemical formula such as OHH, of at most "
            f"{MOST_IN_UNIT} atoms"
        ) from None


def atoms_of_formula(formula: str, most: int) -> np.ndarray:
    """Atomic numbers of a chemical formula in its order; they are counted before they are written out.

    Parameters
    ----------
    formula : str
        Such as ``(OH2)64``.
    most : int
        Atoms that are allowed.

    Returns
    -------
    ndarray of int32, shape (atoms,)

    Raises
    ------
    ValueError
        If it is no formula, has no atom or more than allowed, or one that is no element.
    """
    if len(formula) > 3 * most or NOTHING_TIMES.search(formula):
        raise ValueError(f"'{shown(formula)}' is too long, or counts 0 of something")
    try:
        parsed = Formula(formula)
        count = sum(parsed.count().values())
    except (ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
        raise ValueError(f"'{shown(formula)}' is no chemical formula") from error
    if not 0 < count <= most:
        raise ValueError(f"'{shown(formula)}' has {shown(count)} atoms")
    numbers = np.array([atomic_numbers.get(symbol, 0) for symbol in parsed], dtype=np.int32)
    if not numbers.all():
        raise ValueError(f"'{shown(formula)}' has what is no element")
    return numbers


def check_order(numbers: np.ndarray, unit: Sequence[int]) -> None:
    """Refuse atoms that do not stand molecule by molecule.

    Parameters
    ----------
    numbers : ndarray of int, shape (atoms,)
        Atomic numbers received.
    unit : sequence of int
        Atomic numbers of one molecule.

    Raises
    ------
    StructureError
        Naming the first atom that is out of order, and the order that is allowed.
    """
    allowed = f"molecular properties need the order {' '.join(chemical_symbols[number] for number in unit)}, repeated"
    if len(numbers) == 0 or len(numbers) % len(unit):
        raise StructureError(f"received {len(numbers)} atoms, no whole number of molecules; {allowed}")
    expected = np.tile(np.asarray(unit), len(numbers) // len(unit))
    wrong = np.flatnonzero(numbers != expected)
    if len(wrong):
        atom = wrong[0]
        raise StructureError(
            f"atom {atom} is {chemical_symbols[numbers[atom]]}, "
            f"where {chemical_symbols[expected[atom]]} is expected; {allowed}"
        )


def molecule_sums(batch: Batch, unit: Sequence[int], values: np.ndarray) -> np.ndarray:
    """Sum what the atoms of each molecule contribute.

    The heads give every atom a dipole (λ = 1), a polarizability (λ = 0 ⊕ 2) and so on, which are sums over the density
    of its neighbours; those of a molecule are the sums over its atoms, and add up to those of the cell.  A
    polarizability is then the additive one: Clausius–Mossotti, which maps the sum to a periodic cell, has no meaning
    for one molecule of it.

    Parameters
    ----------
    batch : Batch
        Structures, whose atoms stand molecule by molecule.
    unit : sequence of int
        Atomic numbers of one molecule.
    values : ndarray of float64, shape (beads, atoms, outputs)
        Outputs of every atom.

    Returns
    -------
    ndarray of float64, shape (beads, molecules, outputs)

    Raises
    ------
    StructureError
        If the atoms stand in another order.
    """
    check_order(batch.numbers, unit)
    return values.reshape(batch.beads, -1, len(unit), values.shape[-1]).sum(axis=2)


def centres_of_mass(batch: Batch, unit: Sequence[int]) -> np.ndarray:
    """Centres of mass of molecules, each made whole by the image of every atom that is nearest to its first one.

    The image is the nearest in fractional coordinates, which is the nearest one as long as the atoms of a molecule are
    closer to its first atom than half the height of the cell.  The centres are not wrapped into the cell.

    Parameters
    ----------
    batch : Batch
        Structures, whose atoms stand molecule by molecule.
    unit : sequence of int
        Atomic numbers of one molecule.

    Returns
    -------
    ndarray of float64, shape (beads, molecules, 3)
        In Å, with ase's standard atomic masses.
    """
    first, from_first = whole_molecules(batch, unit)
    masses = atomic_masses[list(unit)]
    return first + np.einsum("a,bmai->bmi", masses / masses.sum(), from_first)


def whole_molecules(batch: Batch, unit: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """First atom of every molecule, shape (beads, molecules, 3), and vectors from it to each of its atoms.

    The image of an atom is the one of `centres_of_mass`; the vectors have shape (beads, molecules, atoms of each, 3).
    """
    atoms = batch.positions.reshape(batch.beads, -1, len(unit), 3)
    from_first = atoms - atoms[:, :, :1]
    lattice = batch.cells[:, batch.periodic]
    # the pseudo-inverse gives fractional coordinates also where only one or two directions are periodic
    is_crystal = batch.periodic.all() and np.linalg.det(batch.cells).all()
    inverse = np.linalg.inv(lattice) if is_crystal else np.linalg.pinv(lattice)
    vectors = from_first.reshape(batch.beads, -1, 3)  # one product for all of a bead
    vectors -= np.rint(vectors @ inverse) @ lattice
    return atoms[:, :, 0], from_first


def dipoles_of_charges(batch: Batch, unit: Sequence[int], charges: np.ndarray) -> np.ndarray:
    """Σ q (r − R) of the charges of every molecule about its own centre of mass R, shape (beads, molecules, 3).

    Parameters
    ----------
    batch : Batch
    unit : sequence of int
        Atomic numbers of one molecule.
    charges : ndarray of float64, shape (atoms,)
        In e.
    """
    first, from_first = whole_molecules(batch, unit)
    from_centre = from_first - (centres_of_mass(batch, unit) - first)[:, :, None]
    return np.einsum("ma,bmai->bmi", charges.reshape(-1, len(unit)), from_centre)
