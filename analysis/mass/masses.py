"""Runs of i-PI whose atoms all have their masses times the same factor: writing their inputs, telling the factor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
from ase.data import atomic_masses, chemical_symbols

from ...runs.input.atoms import standard_masses
from ...runs.input.elements import InputError
from ...runs.input.labels import element_of_label
from ...runs.input.run_input import RunInput, System
from ...runs.ipi_utilities import Elements, unit_to_internal

KINETIC_ENERGY = "kinetic_cv"
EXACT = 1e-5  # relative; masses in files are rounded
ALIKE = 5e-4  # relative; tables of atomic weights differ so much, and isotopes far more
DALTON = float(unit_to_internal("mass", "dalton", 1.0))


def root_mass_ratio(run: RunInput) -> float:
    """Tell y of a run: the square root of the mass that its labels stand for, over that of the run.

    Parameters
    ----------
    run : RunInput

    Raises
    ------
    InputError
        If it has no masses that can be read, or they are not scaled alike.
    """
    return labels_and_ratio(run)[1]


def labels_and_ratio(run: RunInput) -> tuple[tuple[str, ...], float]:
    """Tell the isotopes of a run, and its y as `root_mass_ratio` does.

    Masses are those that i-PI moves the atoms with, wherever they are from.  Where they are neither those of the
    labels nor scaled alike, but each is that of an isotope of its element, the labels are those of the isotopes.

    Raises
    ------
    InputError
        If it has no masses that can be read, or they are not scaled alike.
    """
    labels, masses = labels_and_masses(run)
    for tolerance, standard in product((EXACT, ALIKE), _tables(labels)):
        squares = standard / masses
        if np.ptp(squares) <= tolerance * squares.mean():
            ratio = float(np.sqrt(squares.mean()))
            return labels, 1.0 if abs(ratio - 1) < tolerance else ratio
    if isotopes := isotopes_of_masses(labels, masses):
        return isotopes, 1.0
    squares = next(_tables(labels)) / masses
    atom = int(np.abs(squares / np.median(squares) - 1).argmax())
    raise InputError(
        f"atom {atom}, {labels[atom]}, of '{run.path}' has the mass of its label times {1 / squares[atom]:g}, others "
        f"times {1 / np.median(squares):g}; the masses of all atoms must be scaled alike"
    )


def labels_and_masses(run: RunInput) -> tuple[tuple[str, ...], np.ndarray]:
    """Labels and masses of the atoms of the one system of a run, as i-PI takes them, in its own unit.

    Raises
    ------
    InputError
        If there are none that can be used.
    """
    atoms = without_template(run).atoms
    labels, masses = atoms.labels, atoms.masses
    if len(masses) != len(labels) or not (np.isfinite(masses) & (masses > 0)).all():
        raise InputError(f"'{run.path}' has {len(masses)} masses for {len(labels)} atoms; each needs one above 0")
    unknown = [label for label in labels if element_of_label(label) is None]
    if unknown:
        raise InputError(f"'{run.path}' has atoms with the label '{unknown[0]}'; allowed are chemical symbols")
    return labels, masses


def isotopes_of_masses(labels: Sequence[str], masses: np.ndarray) -> tuple[str, ...]:
    """Labels of the isotopes, by i-PI's names, that have these masses; none if one is no isotope's of its element.

    Parameters
    ----------
    labels : sequence of str
    masses : ndarray of float64, shape (atoms,)
        In i-PI's own unit.
    """
    known: dict[tuple[str, float], str | None] = {}
    found = []
    for label, mass in zip(labels, masses.tolist(), strict=True):
        if (label, mass) not in known:
            known[label, mass] = next(
                (name for name, one in _isotopes(label) if abs(mass / one - 1) < ALIKE),
                None,
            )
        name = known[label, mass]
        if name is None:
            return ()
        found.append(name)
    return tuple(found)


def _isotopes(label: str) -> Iterator[tuple[str, float]]:
    """Isotopes of the element of a label, itself first, with their masses."""
    number = element_of_label(label)
    for name in dict.fromkeys([label, *Elements.mass_list]):
        if name in Elements.mass_list and element_of_label(name) == number:
            yield name, float(Elements.mass(name))


def _tables(labels: Sequence[str]) -> Iterator[np.ndarray]:
    """Masses that labels stand for: of i-PI's table, and of ASE's, which i-PI uses for a file with mode='ase'."""
    numbers = np.array([element_of_label(label) or 0 for label in labels])
    of_ase = atomic_masses[numbers] * DALTON
    of_ipi = standard_masses(labels)
    of_ipi = np.where(of_ipi > 0, of_ipi, of_ase)  # labels as O1, whose masses are given
    yield of_ipi
    is_symbol = np.array([label == chemical_symbols[number] for label, number in zip(labels, numbers, strict=True)])
    yield np.where(is_symbol, of_ase, of_ipi)


def without_template(run: RunInput) -> System:
    """The one system of a run, as it stands in the file.

    Raises
    ------
    InputError
        If there are several, or it is made of a template.
    """
    if len(run.systems) != 1 or run.root.find("system") is None:
        raise InputError(f"'{run.path}' has {len(run.systems)} systems; a run of one, without a template, is needed")
    return run.systems[0]
