"""What the dynamics of an i-PI input is called on a spectrum."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..ipi_utilities import unit_to_internal
from .elements import InputError, quantity, settled, unit_of, words
from .nuclei import adiabatic_wavenumber, is_colored, why_no_dynamics

WEAK_COUPLING = 10_000.0  # fs: a thermostat of the centroid that is slower leaves vibrations alone
USUAL_DAMPING = 0.5  # λ of TRPMD (Rossi, Ceriotti and Manolopoulos, J. Chem. Phys. 140, 234116 (2014))
DEFAULT_DAMPING = 1.0  # i-PI's
GLOBAL_THERMOSTATS = ("svr", "pile_g")
WITHOUT_THERMOSTAT = ("nve", "eda-nve")
FIXED_PRESSURE = {"npt": " at constant pressure", "scnpt": " at constant pressure", "nst": " at constant stress"}
NAMED_MODES = {
    "sc": "Suzuki–Chin path integrals",
    "scnpt": "Suzuki–Chin path integrals",
    "nvt-cc": "path integrals with constrained centroid (CMD-like)",
}


def dynamics_of(system: ElementTree.Element) -> ElementTree.Element | None:
    """``<dynamics>`` of a system, or ``<driven_dynamics>``; None if its motion is another one."""
    return next(system.iter("dynamics"), next(system.iter("driven_dynamics"), None))


def exchanges_replicas(root: ElementTree.Element) -> bool:
    """Whether an i-PI input or RESTART has systems that exchange their ensembles."""
    return any(one.get("mode", "").strip() == "remd" for one in root.iter("smotion"))


def temperature_of(root: ElementTree.Element, system: ElementTree.Element, path: Path) -> float:
    """Temperature of a system's ensemble in K, the same from an input and from the RESTART of its run.

    Raises
    ------
    InputError
        If there is no such number, or its unit is unknown, or replicas are exchanged: then the files of a system hold
        samples of several temperatures or biases.
    """
    if exchanges_replicas(root):
        raise InputError(f"'{path}' exchanges replicas, so that a system has no temperature of its own")
    return settled(system, "ensemble/temperature", "temperature", "kelvin", path)


def timestep_of(dynamics: ElementTree.Element, path: Path) -> float:
    """Time step in fs, the same from an input and from the RESTART of its run.

    Raises
    ------
    InputError
        If there is no such number, or its unit is unknown.
    """
    return settled(dynamics, "timestep", "time", "femtosecond", path)


def mode_of(dynamics: ElementTree.Element) -> str:
    """Get i-PI's name of the ensemble, such as ``nve``, ``nvt`` and ``npt``."""
    return dynamics.get("mode", "nve").strip()


def refusal_of_dynamics(dynamics: ElementTree.Element | None, beads: int) -> str:
    """Why nothing can be made of how a run moves in time; empty if something can."""
    return "" if dynamics is None or beads == 1 else why_no_dynamics(mode_of(dynamics), _thermostat(dynamics))


def has_constant_volume(dynamics: ElementTree.Element) -> bool:
    """Whether the cell stays what it is."""
    return mode_of(dynamics) not in FIXED_PRESSURE


def name_of(system: ElementTree.Element, dynamics: ElementTree.Element, beads: int, path: Path) -> str:
    """Name of the dynamics, with what barostat and thermostat do to it.

    Parameters
    ----------
    system, dynamics : Element
        Of an i-PI input or RESTART.
    beads : int
        Number of beads.
    path : Path
        File that they are from.

    Raises
    ------
    InputError
        If a number or unit of the thermostat cannot be read.
    """
    mode = mode_of(dynamics)
    thermostat = _thermostat(dynamics)
    kind = "" if thermostat is None else thermostat.get("mode", "").strip()
    name = _kind_of_dynamics(system, mode, beads, thermostat, path) + FIXED_PRESSURE.get(mode, "")
    if thermostat is None or mode == "nvt-cc" or (beads > 1 and why_no_dynamics(mode, thermostat)):
        return name
    if _number(thermostat, "tau", "time", 0.0, path) / _femtosecond() <= WEAK_COUPLING:
        name += (
            " with a global thermostat"
            if kind in GLOBAL_THERMOSTATS
            else " with a thermostat on every atom, which broadens bands"
        )
    damping = _number(thermostat, "pile_lambda", "number", DEFAULT_DAMPING, path)
    if beads > 1 and kind.startswith("pile") and damping != USUAL_DAMPING:
        name += f", λ = {damping:g}"
    return name


def _kind_of_dynamics(
    system: ElementTree.Element, mode: str, beads: int, thermostat: ElementTree.Element | None, path: Path
) -> str:
    if beads == 1:
        return "classical"
    if mode in NAMED_MODES:
        return NAMED_MODES[mode]
    wavenumber = adiabatic_wavenumber(system, beads, path)
    if wavenumber is not None:
        return f"PA-CMD, internal modes at {wavenumber:.4g} cm⁻¹"
    frequencies = system.find("normal_modes/frequencies")
    style = "rpmd" if frequencies is None else frequencies.get("style", "rpmd").strip()
    if style != "rpmd":
        return f"path integrals with normal modes of the style {style}"
    if is_colored(thermostat):
        return "path integrals with colored noise, as PIGLET"
    if thermostat is None:
        return "RPMD"
    kind = thermostat.get("mode", "").strip()
    return "TRPMD" if kind.startswith("pile") else f"path integrals with the thermostat {kind}"


def _thermostat(dynamics: ElementTree.Element) -> ElementTree.Element | None:
    """The thermostat that acts; None if none does."""
    found = dynamics.find("thermostat")
    if found is None or mode_of(dynamics) in WITHOUT_THERMOSTAT or found.get("mode", "").strip() in ("", "nve"):
        return None
    return found


def _number(element: ElementTree.Element, name: str, family: str, default: float, path: Path) -> float:
    return default if element.find(name) is None else quantity(element, name, family, path)


def field_of(dynamics: ElementTree.Element | None, path: Path) -> str:
    """The constant electric field that i-PI adds to the forces, ``(0, 0, 0.05) V/Å``; empty if there is none.

    Parameters
    ----------
    dynamics : Element or None
    path : Path
        File that it is from.

    Raises
    ------
    InputError
        If the field changes in time, or cannot be read.
    """
    field = None if dynamics is None or dynamics.tag != "driven_dynamics" else dynamics.find("efield")
    amplitude = None if field is None else field.find("amp")
    if field is None or amplitude is None:
        return ""
    try:
        numbers = [float(word) for word in words(amplitude.text)]
    except ValueError:
        raise InputError(f"<amp> of <efield> in '{path}' is '{amplitude.text}'; 3 numbers are needed") from None
    if not any(numbers):
        return ""
    if _number(field, "freq", "frequency", 0.0, path) or np.isfinite(_number(field, "sigma", "time", np.inf, path)):
        raise InputError(
            f"'{path}' is driven by an electric field that changes in time, and samples no ensemble; a run without it, "
            "or in a constant field, is needed"
        )
    unit = unit_of(amplitude, "electric-field", path) / float(unit_to_internal("electric-field", "v/ang", 1.0))
    return f"({', '.join(f'{number * unit:.6g}' for number in numbers)}) V/Å"


def _femtosecond() -> float:
    return float(unit_to_internal("time", "femtosecond", 1.0))


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
    field : str
        Constant electric field that i-PI adds to the forces, as `field_of` names it; empty if there is none.
    is_colored : bool
        Whether normal modes have thermostats of colored noise of several temperatures, as PIGLET.
    """

    temperature: float
    pressure: str
    keeps_energy: bool
    field: str = ""
    is_colored: bool = False

    @property
    def free_energy(self) -> str:
        """Letter of its free energy: A at constant volume, G at constant pressure."""
        return "G" if self.pressure else "A"

    @property
    def name(self) -> str:
        """Temperature, with pressure where it is constant, and field."""
        pressure = self.pressure and f" and {self.pressure}"
        return f"{self.temperature:g} K{pressure}{self.field and f' in the field {self.field}'}"

    def warning(self, source: Path) -> str:
        """What speaks against averages of the run; empty if nothing does."""
        warnings = []
        if self.keeps_energy:
            warnings.append(f"'{source}' keeps its energy: its samples are not those of a temperature")
        if self.field:
            warnings.append(
                f"'{source}' is in the field {self.field}, which its energies leave out: what is compared here is "
                "taken to have one dipole"
            )
        if self.is_colored:
            warnings.append(
                f"'{source}' has thermostats of colored noise, as PIGLET: its averages are those of quantum nuclei, "
                "but weights of its beads by energies hold only nearly"
            )
        return "; ".join(warnings)


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
    dynamics = dynamics_of(system)
    mode = "" if dynamics is None else mode_of(dynamics)
    if mode in OTHER_DISTRIBUTIONS:
        raise InputError(f"'{source}' has mode='{mode}', {OTHER_DISTRIBUTIONS[mode]}; nvt or npt is needed")
    pressure = ""
    if mode in FIXED_PRESSURE:
        pressure = mode
        if system.find("ensemble/pressure") is not None:
            megapascals = settled(system, "ensemble/pressure", "pressure", "megapascal", source)
            pressure = f"{megapascals:.6g} MPa"
    field = field_of(dynamics, source)
    keeps_energy, colored = mode in WITHOUT_THERMOSTAT, dynamics is not None and is_colored(_thermostat(dynamics))
    return Ensemble(temperature_of(root, system, source), pressure, keeps_energy, field, colored)


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
