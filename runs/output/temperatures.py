"""Temperatures that systems have while they exchange their ensembles."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..input.run_input import System
from ..ipi_utilities import unit_to_internal
from .properties import column_of_run, internal_unit


def ensemble_temperatures(system: System) -> tuple[np.ndarray, np.ndarray]:
    """The temperature that a system is meant to have at each step.

    Parameters
    ----------
    system : System

    Returns
    -------
    steps : ndarray of int64, shape (rows,)
        Increasing.
    temperatures : ndarray of float64, shape (rows,)
        In K.

    Raises
    ------
    InputError
        If no output holds ``ensemble_temperature`` and the step, or a file cannot be read.
    """

    def kelvins(unit: str, path: Path) -> float:
        return internal_unit("temperature", unit, path) / float(unit_to_internal("temperature", "kelvin", 1.0))

    return column_of_run(system, "ensemble_temperature", "kelvin", kelvins)
