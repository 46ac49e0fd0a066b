"""Runs of i-PI whose atoms all have their masses times the same factor: writing their inputs, telling the factor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ipi.utils.io.inputs.io_xml import read_array
from ipi.utils.units import Elements

from ...runs.input.elements import InputError, unit_of
from ...runs.input.run_input import RunInput, System

KINETIC_ENERGY = "kinetic_cv"
ALIKE = 1e-5  # relative; masses in files are rounded


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
    system, labels, source = without_template(run).element, run.labels, run.path
    standard = standard_masses(labels)
    element = system.find("beads/m")
    if element is None:
        found = system.findall("initialize/masses")
        if any(one.get("mode", "").strip() != "manual" or one.get("index", "-1").strip() != "-1" for one in found):
            raise InputError(
                f"'{source}' sets <masses> in a way that is not read here; allowed is mode='manual' for all"
            )
        element = found[-1] if found else None
    if element is None:
        return 1.0
    try:
        masses = read_array(float, element.text or "") * unit_of(element, "mass", source)
    except ValueError:
        raise InputError(f"the masses in '{source}' are no list of numbers, [ …, … ]") from None
    if len(masses) != len(labels) or not (np.isfinite(masses) & (masses > 0)).all():
        raise InputError(f"'{source}' has {len(masses)} masses for {len(labels)} atoms; each needs one above 0")
    squares = standard / masses
    if np.ptp(squares) > ALIKE * squares.mean():
        atom = int(np.abs(squares / np.median(squares) - 1).argmax())
        raise InputError(
            f"atom {atom}, {labels[atom]}, of '{source}' has the mass of its label times {1 / squares[atom]:g}, others "
            f"times {1 / np.median(squares):g}; the masses of all atoms must be scaled alike"
        )
    ratio = float(np.sqrt(squares.mean()))
    return 1.0 if abs(ratio - 1) < ALIKE else ratio


def standard_masses(labels: Sequence[str]) -> np.ndarray:
    """Masses that i-PI gives to labels, in its own unit, shape (atoms,)."""
    return np.array([Elements.mass(label) for label in labels], dtype=np.float64)


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
