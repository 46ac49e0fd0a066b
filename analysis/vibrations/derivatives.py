"""What harmonic vibrations are made of: derivatives of forces, dipole and polarizability."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...errors import BeadwiseError
from ...model import Batch, Evaluator
from ...model.crystals.hessian import RawHessian, hessian_of
from ...model.response import Response
from ...progress import Progress

DISPLACEMENT = 0.005  # Å; errors of the central difference are of second order in it
AT_ONCE = 64  # displaced structures in a batch
OF_DERIVATIVE = {"dipole": "born_charges", "polarizability": "polarizability_derivatives"}


class VibrationError(BeadwiseError, ValueError):
    """A structure or a model that vibrations cannot be made of."""


@dataclass(frozen=True)
class Derivatives:
    """At one structure.

    Parameters
    ----------
    hessian : ndarray of float64, shape (3 atoms, 3 atoms)
        In eV/Å², symmetric, and free of forces when all atoms move alike.
    asymmetry : float
        Largest difference of two elements that must be equal, before it was made symmetric, over the largest element.
    born_charges : ndarray of float64, shape (atoms, 3, 3), or None
        In e: row displacement, column dipole; None if the model has no dipole.
    raman_tensors : ndarray of float64, shape (atoms, 3, 3, 3), or None
        ∂α/∂r in Å², displacement first; None if the model has no polarizability.
    polarizability : ndarray of float64, shape (3, 3), or None
        In Å³.
    """

    hessian: np.ndarray
    asymmetry: float
    born_charges: np.ndarray | None
    raman_tensors: np.ndarray | None
    polarizability: np.ndarray | None


def derivatives(
    evaluator: Evaluator, batch: Batch, hessian: RawHessian | None = None, advance: Progress | None = None
) -> Derivatives:
    """Derivatives at a structure.

    Born charges and ∂α/∂r are those of the model where it gives them, and otherwise central differences of the dipole
    and the polarizability.

    Parameters
    ----------
    evaluator : Evaluator
    batch : Batch
        One structure.
    hessian : RawHessian, optional
        Where it is known already.
    advance : callable, optional
        Told how many displaced structures of how many are done.

    Raises
    ------
    VibrationError
        If the evaluator has no forces.
    """
    known = evaluator.properties
    if "forces" not in known:
        raise VibrationError(f"the model has {list(known)}; forces are needed")
    raw = hessian or hessian_of(evaluator, batch, DISPLACEMENT, advance)
    given = [own for own in OF_DERIVATIVE.values() if own in known]
    given += ["polarizability"] if "polarizability" in known else []
    at = evaluator.evaluate(batch, given) if given else Response()
    names = [name for name, own in OF_DERIVATIVE.items() if name in known and own not in known]
    slopes = slopes_of(evaluator, batch, names)
    return Derivatives(
        hessian=raw.symmetric(floats=True),
        asymmetry=raw.asymmetry / max(raw.largest, 1e-300),
        born_charges=at.born_charges[0] if "born_charges" in given else slopes.get("dipole"),
        raman_tensors=(
            at.polarizability_derivatives[0] if "polarizability_derivatives" in given else slopes.get("polarizability")
        ),
        polarizability=at.polarizability[0] if "polarizability" in given else None,
    )


def slopes_of(evaluator: Evaluator, batch: Batch, names: list[str]) -> dict[str, np.ndarray]:
    """Derivatives of properties of the cell by positions, shape (atoms, 3, …), by central differences."""
    if not names:
        return {}
    count = 3 * batch.atoms
    steps = np.zeros((count, 2, count))
    steps[np.arange(count), :, np.arange(count)] = [DISPLACEMENT, -DISPLACEMENT]
    every = (batch.positions[0].ravel() + steps.reshape(2 * count, count)).reshape(2 * count, batch.atoms, 3)
    answers = [evaluator.evaluate(moved(batch, every[k : k + AT_ONCE]), names) for k in range(0, len(every), AT_ONCE)]
    found = {}
    for name in names:
        values = np.concatenate([answer[name] for answer in answers])
        found[name] = ((values[::2] - values[1::2]) / (2 * DISPLACEMENT)).reshape(batch.atoms, 3, *values.shape[1:])
    return found


def moved(batch: Batch, positions: np.ndarray) -> Batch:
    """The same atoms and cell at other positions, shape (structures, atoms, 3)."""
    cells = np.repeat(batch.cells[:1], len(positions), axis=0)
    return Batch(batch.numbers, positions, cells, batch.periodic, batch.charge)
