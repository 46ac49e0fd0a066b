"""Which ensemble a run of i-PI samples, and from which step on it counts as that of equilibrium."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ipi.utils.units import unit_to_internal

from .dynamics_name import FIXED_PRESSURE, WITHOUT_THERMOSTAT, mode_of
from .input_quantities import quantity, temperature_of
from .ipi_input import InputError

SETTLING = 0.1  # part of a run that is left out unless the user says how long it took to reach equilibrium
# not exp[-(β/P) Σ_k (springs + V(q_k))] of every bead, which all averages here are of
OTHER_DISTRIBUTIONS = {
    "sc": "Suzuki-Chin path integrals, whose beads have different weights",
    "scnpt": "Suzuki-Chin path integrals, whose beads have different weights",
    "nvt-cc": "a constrained centroid",
}
DECIMALS = 6  # of a step: a time over a time step is one only up to rounding


@dataclass(frozen=True)
class Ensemble:
    """What a run samples.

    Parameters
    ----------
    temperature : float
        In K.
    pressure : str
        Empty at constant volume; otherwise ``0.1 MPa``, or what i-PI calls an ensemble of constant stress.
    keeps_energy : bool
        Whether it is dynamics at constant energy, and not in contact with a bath.
    """

    temperature: float
    pressure: str
    keeps_energy: bool

    @property
    def free_energy(self) -> str:
        """Letter of its free energy: A at constant volume, G at constant pressure."""
        return "G" if self.pressure else "A"

    @property
    def name(self) -> str:
        """Temperature, and pressure where it is constant."""
        return f"{self.temperature:g} K{self.pressure and f' and {self.pressure}'}"

    def warning(self, source: Path) -> str:
        """What speaks against averages of the run; empty if nothing does."""
        return f"'{source}' keeps its energy: its samples are not those of a temperature" if self.keeps_energy else ""


def ensemble_of(root: ElementTree.Element, system: ElementTree.Element, source: Path) -> Ensemble:
    """Tell the ensemble of a system of an i-PI input or RESTART.

    Parameters
    ----------
    root, system : Element
    source : Path
        File that they are from.

    Raises
    ------
    InputError
        If there is no temperature or pressure that can be read, or samples are not those of usual path integrals at
        this temperature.
    """
    if any(one.get("mode", "").strip() == "remd" for one in root.iter("smotion")):
        raise InputError(f"'{source}' exchanges replicas, so that a system has no temperature of its own")
    dynamics = next(system.iter("dynamics"), system.find("motion/driven_dynamics"))
    mode = "" if dynamics is None else mode_of(dynamics)
    if mode in OTHER_DISTRIBUTIONS:
        raise InputError(f"'{source}' has mode='{mode}', {OTHER_DISTRIBUTIONS[mode]}; nvt or npt is needed")
    pressure = ""
    if mode in FIXED_PRESSURE:
        pressure = mode
        if system.find("ensemble/pressure") is not None:
            megapascals = quantity(system, "ensemble/pressure", "pressure", source) / float(
                unit_to_internal("pressure", "megapascal", 1.0)
            )
            pressure = f"{megapascals:.6g} MPa"
    return Ensemble(temperature_of(system, source), pressure, mode in WITHOUT_THERMOSTAT)


def first_step(steps: Sequence[int] | np.ndarray, skip: float | None, timestep: float | None, source: Path) -> float:
    """The first step that counts as equilibrium.

    Parameters
    ----------
    steps : sequence or ndarray of int
        Of the samples, increasing.
    skip : float or None
        Time after the first of them that is left out, in ps; None for a tenth of what there is.
    timestep : float or None
        In fs; None if the run is no dynamics.
    source : Path
        The run.

    Raises
    ------
    InputError
        If a time is to be left out of what is no dynamics.
    """
    if not len(steps):
        return 0.0
    if skip is None:
        return float(np.round(steps[0] + SETTLING * (steps[-1] - steps[0]), DECIMALS))
    if timestep is None and skip:
        raise InputError(f"'{source}' holds no <dynamics>, and thus no time to skip; --skip 0 is allowed")
    return float(steps[0] + (np.round(1000 * skip / timestep, DECIMALS) if timestep else 0.0))
