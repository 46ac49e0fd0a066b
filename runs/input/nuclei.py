"""What an input does to nuclei beyond usual ring polymers: scaled normal modes, and sampling for averages alone."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..ipi_utilities import Constants, unit_to_internal
from .elements import InputError, unit_of, words

PA_CMD = "pa-cmd"
SUZUKI_CHIN = ("sc", "scnpt")
OF_NORMAL_MODES = ("nm_gle", "nm_gle_g")
STIFFEST = 3700.0  # cm⁻¹, a usual O–H stretch, where the highest vibration is not known
# rad of the fastest mode in a time step: with 0.54 the conserved quantity of water climbs by 2.3 meV per atom and ps,
# with 0.27 it does not (docs/reference/validation.md)
LARGEST_TURN = 0.3


@dataclass(frozen=True)
class AdiabaticModes:
    """Normal modes of a ring polymer that move at one frequency of their own (PA-CMD).

    T. D. Hone, P. J. Rossky and G. A. Voth, J. Chem. Phys. 124, 154103 (2006).

    Parameters
    ----------
    wavenumber : float
        Of the internal modes of a free particle, in cm⁻¹.
    beads : int
    temperature : float
        In K.
    """

    wavenumber: float
    beads: int
    temperature: float

    def fastest(self, vibration: float) -> float:
        """Wavenumber of the fastest mode in cm⁻¹ when the atoms vibrate at `vibration`.

        The mass of mode k is that of the atom times (ω_k/Ω)², so that it moves at Ω √(1 + (ω/ω_k)²); the lowest of
        them is the fastest.
        """
        lowest = float(free_ring(self.beads, self.temperature)[1])
        return self.wavenumber * math.hypot(1.0, vibration / lowest)

    def longest_step(self, vibration: float = STIFFEST) -> float:
        """Longest time step in fs that follows the fastest mode."""
        return LARGEST_TURN / (self.fastest(vibration) * _radians_per_femtosecond())

    def warnings(self, timestep: float, vibration: float = STIFFEST) -> list[str]:
        """What speaks against a time step in fs, and against the frequency."""
        found = []
        if self.wavenumber < vibration:
            found.append(
                f"internal modes of PA-CMD at {self.wavenumber:.4g} cm⁻¹ are slower than a vibration at "
                f"{vibration:g} cm⁻¹, and resonances shift its band; they must be faster"
            )
        if timestep > (longest := self.longest_step(vibration)):
            found.append(
                f"a time step of {timestep:g} fs is too long for PA-CMD at {self.wavenumber:.4g} cm⁻¹: where an atom "
                f"vibrates at {vibration:g} cm⁻¹, a mode moves at {self.fastest(vibration):.0f} cm⁻¹; up to "
                f"{longest:.2g} fs is allowed"
            )
        return found


def thermal_wavenumber(temperature: float) -> float:
    """k_B T/hc in cm⁻¹."""
    thermal = float(unit_to_internal("temperature", "kelvin", temperature)) * Constants.kb / Constants.hbar
    return thermal / float(unit_to_internal("frequency", "inversecm", 1.0))


def free_ring(beads: int, temperature: float) -> np.ndarray:
    """Wavenumbers ω_k = 2P k_B T/ħ sin(πk/P) of the free ring polymer in cm⁻¹, shape (beads,)."""
    return np.asarray(2 * beads * thermal_wavenumber(temperature) * np.sin(np.pi * np.arange(beads) / beads))


def usual_wavenumber(beads: int, temperature: float) -> float:
    """Ω of Hone, Rossky and Voth, P^(P/(P−1)) k_B T/ħ, in cm⁻¹: the product of the masses of all modes stays."""
    return float(beads ** (beads / (beads - 1)) * thermal_wavenumber(temperature))


def adiabatic_wavenumber(system: ElementTree.Element, beads: int, path: Path) -> float | None:
    """Frequency of the internal modes of PA-CMD in cm⁻¹; None where masses are not scaled so.

    Raises
    ------
    InputError
        If i-PI would not know the frequency.
    """
    element = system.find("normal_modes/frequencies")
    if beads < 2 or element is None or element.get("style", "rpmd").strip() != PA_CMD:
        return None
    try:
        value = float(words(element.text)[0])
    except (ValueError, IndexError):
        value = math.nan
    if not 0 < value < math.inf:
        raise InputError(
            f"<frequencies style='{PA_CMD}'> in '{path}' is '{(element.text or '').strip()}'; one positive number, the "
            "frequency of the internal modes, is needed"
        )
    return value * unit_of(element, "frequency", path) / float(unit_to_internal("frequency", "inversecm", 1.0))


def covariance_of(thermostat: ElementTree.Element | None) -> ElementTree.Element | None:
    """The covariance that thermostats of normal modes have of their own, whatever the temperature of the run."""
    if thermostat is None or thermostat.get("mode", "").strip() not in OF_NORMAL_MODES:
        return None
    covariance = thermostat.find("C")
    return covariance if covariance is not None and words(covariance.text) else None


def is_colored(thermostat: ElementTree.Element | None) -> bool:
    """Whether normal modes have thermostats of colored noise that are not of one temperature, as those of PIGLET.

    Without a covariance C, and with the same temperature on the diagonal of all of its matrices and nothing beside it,
    fluctuations are those of the temperature (M. Ceriotti, G. Bussi, M. Parrinello, J. Chem. Theory Comput. 6, 1170
    (2010)): only the memory is another one.
    """
    covariance = covariance_of(thermostat)
    if covariance is None:
        return False
    try:
        shape = tuple(int(size) for size in covariance.get("shape", "").strip("()[] ").split(",") if size.strip())
        numbers = np.array([float(word.strip("[],")) for word in words(covariance.text) if word.strip("[],")])
        matrices = numbers.reshape(shape)
    except ValueError:
        return True
    return not (matrices.ndim > 1 and np.array_equal(matrices, matrices.flat[0] * np.eye(shape[-1]) + 0 * matrices))


def temperature_of_noise(thermostat: ElementTree.Element | None, beads: int, path: Path) -> float | None:
    """For which temperature in K thermostats of colored noise were made: that of the centroid; None if none is said.

    Raises
    ------
    InputError
        If their covariance does not begin with a number.
    """
    element = covariance_of(thermostat)
    if element is None:
        return None
    first = words(element.text)[0]
    try:
        value = float(first.strip("[("))
    except ValueError:
        raise InputError(f"<C> of the thermostat in '{path}' begins with '{first}'; a number is needed") from None
    return value * unit_of(element, "temperature", path) / float(unit_to_internal("temperature", "kelvin", 1.0)) / beads


def why_no_dynamics(mode: str, thermostat: ElementTree.Element | None) -> str:
    """Why nothing can be made of how a run moves in time; empty if something can."""
    if mode in SUZUKI_CHIN:
        return "Suzuki-Chin path integrals are for averages, and their time is not that of the atoms"
    if is_colored(thermostat):
        return (
            "thermostats of colored noise of several temperatures, as PIGLET, are for averages: they drive the "
            "vibrations, and their time is not that of the atoms"
        )
    return ""


def _radians_per_femtosecond() -> float:
    """ω of 1 cm⁻¹."""
    femtosecond = float(unit_to_internal("time", "femtosecond", 1.0))
    return float(unit_to_internal("frequency", "inversecm", 1.0)) * femtosecond
