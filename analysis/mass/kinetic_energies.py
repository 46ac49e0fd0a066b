"""Mean quantum kinetic energies of path-integral runs, with their errors."""

from __future__ import annotations

from dataclasses import dataclass

from ...runs.input.dynamics import first_step
from ...runs.input.elements import InputError
from ...runs.input.run_input import RunInput
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
    source, system = run.path, run.only_system()
    if system.beads < 2:
        raise InputError(f"'{source}' has one bead; a quantum kinetic energy needs those of a path integral")
    if system.ensemble.field:
        raise InputError(
            f"'{source}' is driven by the field {system.ensemble.field}, whose force i-PI leaves out of "
            f"{name}; a run without it is needed, or one whose forces are served in a field"
        )
    steps, energies = energies_of_run(system, name)
    kept = energies[steps >= first_step(steps, skip, system.timestep, source)]
    if len(kept) < FEWEST_ROWS:
        raise SamplingError(f"'{source}' has {len(kept)} rows after equilibration; at least {FEWEST_ROWS} are needed")
    time = integrated_autocorrelation_time(kept)
    return KineticEnergy(float(kept.mean()), standard_error_of_mean(kept, time), len(kept), time)
