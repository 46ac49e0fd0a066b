"""What the dynamics of an i-PI input is called on a spectrum."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

from ipi.utils.units import unit_to_internal

from .input_quantities import quantity

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


def mode_of(dynamics: ElementTree.Element) -> str:
    """Get i-PI's name of the ensemble, such as ``nve``, ``nvt`` and ``npt``."""
    return dynamics.get("mode", "nve").strip()


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
    name = _kind_of_dynamics(system, mode, beads, kind) + FIXED_PRESSURE.get(mode, "")
    if thermostat is None or mode == "nvt-cc":
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


def _kind_of_dynamics(system: ElementTree.Element, mode: str, beads: int, thermostat: str) -> str:
    if beads == 1:
        return "classical"
    if mode in NAMED_MODES:
        return NAMED_MODES[mode]
    frequencies = system.find("normal_modes/frequencies")
    style = "rpmd" if frequencies is None else frequencies.get("style", "rpmd").strip()
    if style != "rpmd":
        return f"path integrals with normal modes of the style {style}"
    if not thermostat:
        return "RPMD"
    return "TRPMD" if thermostat.startswith("pile") else f"path integrals with the thermostat {thermostat}"


def _thermostat(dynamics: ElementTree.Element) -> ElementTree.Element | None:
    """The thermostat that acts; None if none does."""
    found = dynamics.find("thermostat")
    if found is None or mode_of(dynamics) in WITHOUT_THERMOSTAT or found.get("mode", "").strip() in ("", "nve"):
        return None
    return found


def _number(element: ElementTree.Element, name: str, family: str, default: float, path: Path) -> float:
    return default if element.find(name) is None else quantity(element, name, family, path)


def _femtosecond() -> float:
    return float(unit_to_internal("time", "femtosecond", 1.0))
