"""Which nuclei are averaged together: each species, nuclei that the bonds do not tell apart, and those of a mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from ase import Atoms
from ase.data import covalent_radii

from ...runs.input.elements import InputError

SHIFT, DIFFERENCE = "shift of", "difference of"  # what names of rows begin with
BOND = 1.25  # of the sum of covalent radii: longer is no bond


@dataclass(frozen=True)
class Group:
    """Nuclei that are averaged together.

    Parameters
    ----------
    name : str
    atoms : tuple of int
        From 0, in i-PI's order.
    """

    name: str
    atoms: tuple[int, ...]


def groups_of(labels: Sequence[str], structure: Atoms | None, masks: Mapping[str, Sequence[int]]) -> list[Group]:
    """All groups of a system: masks first, then equivalent nuclei, then species; none twice.

    Parameters
    ----------
    labels : sequence of str
        Of the atoms, isotopes by names of their own.
    structure : Atoms or None
        Which has the bonds; without it there are no equivalent nuclei.
    masks : mapping of str to sequence of int
        Atoms by the name of the group.

    Raises
    ------
    InputError
        If a mask has no atom, or one that is not there, or the atoms of another one, or a name that something else has.
    """
    found: list[Group] = []
    for name, atoms in masks.items():
        strange = [atom for atom in atoms if not 0 <= atom < len(labels)]
        if strange or not atoms:
            wrong = f"atom {strange[0]}" if strange else "no atom"
            raise InputError(f"group '{name}' has {wrong}; allowed are atoms 0 to {len(labels) - 1}")
        own = Group(name, tuple(sorted(set(atoms))))
        if same := next((other for other in found if other.atoms == own.atoms), None):
            raise InputError(f"groups '{same.name}' and '{name}' have the same atoms; allowed is one name for them")
        found.append(own)
    if structure is not None:
        found += _by_class(labels, equivalent_nuclei(labels, structure))
    found += [
        Group(label, tuple(atom for atom, own in enumerate(labels) if own == label)) for label in dict.fromkeys(labels)
    ]
    known: dict[tuple[int, ...], Group] = {}
    for group in found:
        known.setdefault(group.atoms, group)
    taken = {own.name for own in found[len(masks) :]} | {f"{label} atom {atom}" for atom, label in enumerate(labels)}
    if double := next(
        (own for own in masks if own in taken or "," in own or own.startswith((SHIFT, DIFFERENCE))), None
    ):
        raise InputError(
            f"'{double}' is no name for a group, as other rows are called so; allowed is what is not the name of a "
            f"species, an atom or a class of nuclei, has no comma and does not begin with '{SHIFT}' or '{DIFFERENCE}'"
        )
    return list(known.values())


def equivalent_nuclei(labels: Sequence[str], structure: Atoms) -> np.ndarray:
    """A number for each class of nuclei that the graph of bonds does not tell apart, shape (atoms,).

    Colours are refined by those of bonded neighbours until nothing changes (Weisfeiler, Lehman, Nauchno-Technicheskaya
    Informatsia 2, 12 (1968)); bonds are distances up to 1.25 times the sum of covalent radii (Cordero et al., Dalton
    Trans. 2832 (2008)).  Geometry does not count: nuclei that rotation or exchange make equal in time are one
    class, and so are those that a frozen crystal would tell apart by angles alone.
    """
    first, second = _bonds(structure)
    colours = np.unique(np.array(labels), return_inverse=True)[1]
    while True:
        seen = [(colours[atom], *np.sort(colours[second[first == atom]])) for atom in range(len(labels))]
        order = {own: number for number, own in enumerate(sorted(set(seen)))}
        refined = np.array([order[own] for own in seen])
        if refined.max() == colours.max():
            return refined
        colours = refined


def _bonds(structure: Atoms) -> tuple[np.ndarray, np.ndarray]:
    """First and second atom of each bond, in both orders."""
    from ase.neighborlist import neighbor_list  # with SciPy's graphs, which take long to import

    first, second = neighbor_list("ij", structure, BOND * covalent_radii[structure.numbers])
    return first, second


def count_molecules(structure: Atoms) -> int:
    """How many pieces the graph of bonds has."""
    first, second = _bonds(structure)
    bonds = scipy.sparse.coo_array((np.ones(len(first)), (first, second)), shape=(len(structure), len(structure)))
    return int(scipy.sparse.csgraph.connected_components(bonds, directed=False)[0])


def parse_mask(text: str) -> tuple[str, tuple[int, ...]]:
    """``NAME=0,3,5-8`` as a name and atoms.

    Raises
    ------
    InputError
        If it is something else.
    """
    name, _, atoms = text.partition("=")
    try:
        ranges = [tuple(map(int, part.split("-"))) for part in atoms.split(",")]
        if any(len(own) > 2 or own[0] > own[-1] for own in ranges):
            raise ValueError
        every = [atom for own in ranges for atom in range(own[0], own[-1] + 1)]
    except ValueError:
        every = []
    if not name.strip() or not every:
        raise InputError(f"'{text}' is no group; allowed is NAME=0,3,5-8, a name and numbers of atoms from 0")
    return name.strip(), tuple(every)


def parse_masks(texts: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Atoms by the name of the group.

    Raises
    ------
    InputError
        If one is no group, or two have one name.
    """
    found: dict[str, tuple[int, ...]] = {}
    for name, atoms in map(parse_mask, texts):
        if name in found:
            raise InputError(f"two groups are called '{name}'; each needs a name of its own")
        found[name] = atoms
    return found


def _by_class(labels: Sequence[str], classes: np.ndarray) -> list[Group]:
    members = [tuple(np.flatnonzero(classes == own).tolist()) for own in dict.fromkeys(classes.tolist())]
    kinds = [f"{labels[atoms[0]]} {'like ' if len(atoms) > 1 else ''}atom {atoms[0]}" for atoms in members]
    return [Group(kind, atoms) for kind, atoms in zip(kinds, members, strict=True)]
