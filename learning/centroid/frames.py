"""Frames of centroids for a fit, and that they are those of the potential that is corrected."""

from __future__ import annotations

import numpy as np
from ase import Atoms

from ...model import Batch, Evaluator
from ..data import DataError, Frame

TOLERANCE = 0.02  # eV/Å, root mean square; positions of i-PI's xyz have six digits
COMPARED = 4  # frames


def frames_of(
    numbers: np.ndarray, positions: np.ndarray, cells: np.ndarray, differences: np.ndarray, periodic: bool = True
) -> list[Frame]:
    """Frames whose forces are what is to be fitted.

    Parameters
    ----------
    numbers : ndarray of int, shape (atoms,)
    positions : ndarray of float64, shape (frames, atoms, 3)
        In Å.
    cells : ndarray of float64, shape (frames, 3, 3)
        In Å.
    differences : ndarray of float64, shape (frames, atoms, 3)
        In eV/Å.
    periodic : bool
    """
    every = zip(positions, cells, differences, strict=True)
    return [
        Frame(Atoms(numbers, own, cell=cell, pbc=periodic), {"forces": forces}, "centroids", index)
        for index, (own, cell, forces) in enumerate(every)
    ]


def check_potential(
    potential: Evaluator,
    name: str,
    numbers: np.ndarray,
    positions: np.ndarray,
    cells: np.ndarray,
    classical: np.ndarray,
) -> None:
    """Refuse a correction to another potential than that of the run.

    Parameters
    ----------
    potential : Evaluator
    name : str
        What the message calls it.
    numbers, positions, cells : ndarray
        As for `frames_of`.
    classical : ndarray of float64, shape (frames, atoms, 3)
        Forces at the centroids that the run wrote, in eV/Å.

    Raises
    ------
    DataError
        If its forces are others.
    """
    places = np.unique(np.linspace(0, len(positions) - 1, COMPARED).astype(int))
    zeros = np.zeros_like(classical[places])
    own = []
    for frame in frames_of(numbers, positions[places], cells[places], zeros):
        own.append(potential.evaluate(Batch.from_ase(frame.atoms), ("forces",)).forces[0])
    difference = float(np.sqrt(np.square(np.array(own) - classical[places]).mean()))
    if not difference <= TOLERANCE:
        raise DataError(
            f"forces of '{name}' differ from the classical forces of the run by {difference:.3g} eV/Å; at most "
            f"{TOLERANCE:g} is allowed: name the model that the run sampled"
        )
