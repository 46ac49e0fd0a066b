"""Charges of molecules are known: rows that say what two of them far from each other must have in the potential 1/r.

The energy reads the potentials V_b = Σ_{j∈b} 1/r of all atoms of species b, alone and times the density of neighbours
with l = 0.  Far apart, molecules A and B have from that the energy κ/R · [Σ_{i∈A} g_ib n_b(B) + Σ_{j∈B} g_jb n_b(A)],
where g_ib is the weight with which atom i reads V_b, n_b(B) the number of atoms of species b in B, and κ what
`power_law.interior_moment` makes of 1/R in the sphere around an atom.  It must be k_C Q_A Q_B/R.  Nothing else in a fit
says so: its pairs are near each other, and a small product of charges that is too much falls slower than all else.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import pi, sqrt

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import breadth_first_order, connected_components

from ....model import Model
from ....model.electrostatics import COULOMB
from ....model.molecules import atoms_of_formula
from ....potentials.lode.local import LocalDensity
from ....potentials.lode.power_law import interior_moment
from ....potentials.lode.settings import LongRangeShape
from ....pyx.pairs import pairs_within
from ...data import Frame
from ..configuration import ConfigurationError
from ..least_squares import Told
from .settings import MOST_IN_MOLECULE, LodeSettings

logger = logging.getLogger(__name__)

LONGEST_BOND = 1.3  # times the sum of covalent radii
GEOMETRIES = 8  # of each molecule, at most, out of all frames
ALIKE = 1e-6  # relative: geometries of which one tells as much as both
SHOWN = 12  # formulas in a message
MUCH = 10.0  # of the expected error
CLOSED = 1e-6  # Å: what the bonds around a ring add up to


@dataclass(frozen=True)
class SeenMolecule:
    """What the far field of a molecule depends on.

    Parameters
    ----------
    counts : ndarray of float64, shape (species,)
        Atoms of each species.
    read : ndarray of float64, shape (species, 1 + neighbours)
        Sums over the atoms of each species of what they read potentials with: 1, and the density with l = 0.
    """

    counts: np.ndarray
    read: np.ndarray


def charge_rows(model: Model, frames: Sequence[Frame], settings: LodeSettings | None) -> Told | None:
    """Rows for the weights of the energy that give pairs of the molecules of [lode] their products of charges.

    Pairs are those that a frame has together.  The products of all pairs cannot be had at once, as an atom acts by its
    species alone: of molecules alone, the charge would have to be linear in the composition.

    Parameters
    ----------
    model : Model
        Before its fit; weights of long-range features stand behind the local ones.
    frames : sequence of Frame
        Where the molecules are looked for.
    settings : LodeSettings or None

    Returns
    -------
    Told or None
        In units of the expected error; None where no charges are given.

    Raises
    ------
    ConfigurationError
        If a molecule is in no frame, or bonded to its own image, or no frame has two of them.
    """
    if settings is None or not settings.charges:
        return None
    assert model.long_range is not None
    shape = model.long_range.shape
    places, together = found_molecules(frames, list(settings.charges))
    known = {formula: seen_geometries(model, shape, frames, formula, own) for formula, own in places.items()}
    rows, products = [], []
    for first, second in sorted(together):
        for a, b in varied_pairs(known[first], known[second]):
            rows.append(pair_row(shape, a, b))
            products.append(COULOMB * settings.charges[first] * settings.charges[second])
    error = COULOMB * settings.charge_error
    return Told(np.array(rows) / error, np.array(products) / error)


def warn_of_missed(told: Told | None, weights: np.ndarray) -> None:
    """Say in the log of a fit that its weights do not have the charges that were asked for."""
    if told is not None and (missed := np.abs(told.residuals(weights)).max()) > MUCH:
        logger.warning(
            "charges of molecules in [lode] are missed by %.3g times charge_error: those of all pairs cannot be had "
            "at once, or the training says something else",
            missed,
        )


def varied_pairs(
    first: Sequence[SeenMolecule], second: Sequence[SeenMolecule]
) -> Iterator[tuple[SeenMolecule, SeenMolecule]]:
    """Each geometry beside the first one of the other molecule: the energy is a sum over both, so this says all."""
    yield from ((own, second[0]) for own in first)
    if first is not second:
        yield from ((first[0], other) for other in second[1:])


def pair_row(shape: LongRangeShape, first: SeenMolecule, second: SeenMolecule) -> np.ndarray:
    """Energy of two molecules far apart times their distance by the weights, shape (species * features,), in Å."""
    own = shape.expansion
    exponents, radial = len(own.exponents), own.radial
    row = np.zeros((shape.species, shape.features(0)))
    seen = row[:, : shape.potentials * (1 + shape.neighbours)]  # l = 0 comes first among the products
    seen = seen.reshape(shape.species, 1 + shape.neighbours, exponents, shape.species, radial)
    both = first.read[:, :, None] * second.counts + second.read[:, :, None] * first.counts
    moments = [sqrt(4 * pi) * interior_moment(n, 0, own.radius) for n in range(radial)]
    seen[:, :, own.exponents.index(1)] += both[..., None] * moments
    row[:, : shape.potentials * (1 + shape.neighbours)] = seen.reshape(shape.species, -1)
    return row.ravel()


def found_molecules(
    frames: Sequence[Frame], formulas: Sequence[str]
) -> tuple[dict[str, list[tuple[int, np.ndarray]]], set[tuple[str, str]]]:
    """Where molecules are: frame and atoms of each, and which two are together in a frame.

    Raises
    ------
    ConfigurationError
        If one is in no frame, or no frame has two of them.
    """
    named = {tuple(np.sort(atoms_of_formula(own, MOST_IN_MOLECULE)).tolist()): own for own in formulas}
    places: dict[str, list[tuple[int, np.ndarray]]] = {formula: [] for formula in formulas}
    together: set[tuple[str, str]] = set()
    others: set[str] = set()
    for place, frame in enumerate(frames):
        present = []
        for members in Bonds(frame.atoms).molecules():
            formula = named.get(tuple(np.sort(frame.atoms.numbers[members]).tolist()))
            if formula is not None:
                places[formula].append((place, members))
                present.append(formula)
            elif len(others) < SHOWN:
                others.add(frame.atoms[members].get_chemical_formula())
        together.update(combinations(sorted(present), 2))
    for formula, own in places.items():
        if not own:
            raise ConfigurationError(
                f"charges in [lode] names '{formula}', which no training frame has; others of the frames, bonded "
                f"within {LONGEST_BOND} times the sum of covalent radii, are {sorted(others)}"
            )
    if not together:
        raise ConfigurationError(
            f"charges in [lode] names {formulas}, two of which no training frame has together; such frames are needed"
        )
    return places, together


def seen_geometries(
    model: Model,
    shape: LongRangeShape,
    frames: Sequence[Frame],
    formula: str,
    places: Sequence[tuple[int, np.ndarray]],
) -> list[SeenMolecule]:
    """Different geometries of a molecule, each as if it were alone.

    Raises
    ------
    ConfigurationError
        If one is bonded to its own image.
    """
    found: list[SeenMolecule] = []
    for number in np.unique(np.linspace(0, len(places) - 1, GEOMETRIES).astype(int)):
        place, members = places[number]
        alone = Bonds(frames[place].atoms).alone(members)
        if alone is None:
            raise ConfigurationError(
                f"charges in [lode] names '{formula}', which is bonded to its own image in {frames[place].name}; "
                "allowed are molecules that end"
            )
        own = seen(model, shape, alone)
        if not any(np.allclose(own.read, other.read, rtol=ALIKE, atol=0) for other in found):
            found.append(own)
    return found


def seen(model: Model, shape: LongRangeShape, alone: Atoms) -> SeenMolecule:
    """What the far field of a molecule without surroundings depends on."""
    species = model.species_indices(alone.numbers)
    sizes = shape.species, shape.radial, 0
    density = LocalDensity(alone.positions, species, np.eye(3), (False,) * 3, sizes, shape.cutoff).values()
    members = np.eye(shape.species)[species]
    read = np.hstack([np.ones((len(alone), 1)), density.reshape(len(alone), -1)])
    return SeenMolecule(members.sum(axis=0), members.T @ read)


class Bonds:
    """Covalent bonds of a structure: pairs that are nearer than `LONGEST_BOND` times the sum of covalent radii."""

    def __init__(self, atoms: Atoms):
        radii = covalent_radii[atoms.numbers]
        reach = 2 * LONGEST_BOND * float(radii.max())
        first, second, vectors = pairs_within(atoms.positions, atoms.cell.array, atoms.pbc, reach)
        is_bond = np.linalg.norm(vectors, axis=1) < LONGEST_BOND * (radii[first] + radii[second])
        self.atoms = atoms
        self.first, self.second, self.vectors = first[is_bond], second[is_bond], vectors[is_bond]
        every = np.ones(len(self.first))
        self.graph = coo_matrix((every, (self.first, self.second)), shape=(len(atoms), len(atoms))).tocsr()

    def molecules(self) -> list[np.ndarray]:
        """Indices of the atoms of each molecule."""
        count, label = connected_components(self.graph, directed=False)
        order = np.argsort(label, kind="stable")
        return np.split(order, np.cumsum(np.bincount(label, minlength=count))[:-1])

    def alone(self, members: np.ndarray) -> Atoms | None:
        """One of them made whole, without images; None if it is bonded to its own image."""
        along = {(int(i), int(j)): vector for i, j, vector in zip(self.first, self.second, self.vectors, strict=True)}
        order, before = breadth_first_order(self.graph, members[0], directed=False)
        places = np.zeros((len(self.atoms), 3))
        for atom in map(int, order[1:]):
            places[atom] = places[before[atom]] + along[int(before[atom]), atom]
        inside = np.isin(self.first, members)
        around = places[self.second[inside]] - places[self.first[inside]] - self.vectors[inside]
        if np.abs(around).max(initial=0.0) > CLOSED:
            return None
        return Atoms(self.atoms.numbers[members], positions=places[members])
