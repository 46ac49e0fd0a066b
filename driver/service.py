"""What a server answers with, whatever the door."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..model import Evaluator


@dataclass(frozen=True)
class Service:
    """An evaluator, the atoms it is for, and what is wanted of it.

    Parameters
    ----------
    evaluator : Evaluator
        What answers.
    species : ndarray of int, shape (atoms,), or None
        Atomic numbers in i-PI's order, or None; see `Responder`.
    want : tuple of str
        Properties to evaluate.
    properties_only : bool
        Whether zeros are sent for energy, forces and virial.
    """

    evaluator: Evaluator
    species: np.ndarray | None
    want: tuple[str, ...]
    properties_only: bool = False
