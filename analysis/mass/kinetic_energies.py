"""Mean quantum kinetic energies of path-integral runs, with their errors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...runs.input.dynamics import first_step
from ...runs.input.elements import InputError
from ...runs.input.run_input import RunInput, System
from ...runs.output.properties import energies_of_run
from ...sampling import SamplingError, integrated_autocorrelation_time, standard_error_of_mean

FEWEST_ROWS = 8


@dataclass(frozen=True)
class KineticEnergy:
    """The mean over one run of a kinetic energy, in eV.

    Parameters
    ----------
    mean, standard_error : float
    rows : int
        Of the property output that the mean is of.
    autocorrelation_time : float
        In rows.
    """

    mean: float
    standard_error: float
    rows: int
    autocorrelation_time: float


def kinetic_energy_of(run: RunInput, name: str, skip: float | None) -> KineticEnergy:
    """Read a centroid-virial kinetic energy that a run wrote.

    Parameters
    ----------
    run : RunInput
        Of one system.
    name : str
        i-PI's name of the property.
    skip : float or None
        Time to leave out, in ps; None for a tenth of the run.

    Raises
    ------
    InputError
        If the run cannot be used.
    SamplingError
        If it is too short.
    """
    system = check_path_integral(run, name)
    steps, energies = energies_of_run(system, name)
    return mean_of(energies[steps >= first_step(steps, skip, system.timestep, run.path)], run.path)


def check_path_integral(run: RunInput, name: str) -> System:
    """The one system of a run whose beads and forces tell a quantum kinetic energy.

    Parameters
    ----------
    run : RunInput
    name : str
        i-PI's name of what it is told by.

    Raises
    ------
    InputError
        If it has one bead, or i-PI drives it by a field.
    """
    source, system = run.path, run.only_system()
    if system.beads < 2:
        raise InputError(f"'{source}' has one bead; a quantum kinetic energy needs those of a path integral")
    if system.ensemble.field:
        raise InputError(
            f"'{source}' is driven by the field {system.ensemble.field}, whose force i-PI leaves out of "
            f"{name}; a run without it is needed, or one whose forces are served in a field"
        )
    return system


def mean_of(energies: np.ndarray, source: Path) -> KineticEnergy:
    """The mean of a series of energies in eV, shape (rows,), and its error.

    Raises
    ------
    SamplingError
        If it is too short.
    """
    if len(energies) < FEWEST_ROWS:
        given = f"'{source}' has {len(energies)} rows after equilibration"
        raise SamplingError(f"{given}; at least {FEWEST_ROWS} are needed")
    time = integrated_autocorrelation_time(energies)
    return KineticEnergy(float(energies.mean()), standard_error_of_mean(energies, time), len(energies), time)
