"""The i-PI input of another treatment of the nuclei, made of an input of dynamics.

RPMD: I. R. Craig, D. E. Manolopoulos, J. Chem. Phys. 121, 3368 (2004).  TRPMD: M. Rossi, M. Ceriotti, D. E.
Manolopoulos, J. Chem. Phys. 140, 234116 (2014).  PA-CMD: T. D. Hone, P. J. Rossky, G. A. Voth, J. Chem. Phys. 124,
154103 (2006).  PIGLET: `beadwise.analysis.nuclei.colored_noise`.  Suzuki–Chin: S. A. Chin, Phys. Lett. A 226, 344
(1997), as i-PI has it: V. Kapil, J. Behler, M. Ceriotti, J. Chem. Phys. 145, 234103 (2016).
"""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...runs.input.dynamics import FIXED_PRESSURE, mode_of
from ...runs.input.elements import InputError
from ...runs.input.force_fields import SOCKETS
from ...runs.input.nuclei import AdiabaticModes, usual_wavenumber
from ...runs.input.run_input import RunInput, System
from ...runs.input.tolerance import DRIFT
from ..prepared_inputs import renamed_copy, write_input
from .colored_noise import ColoredNoise, piglet
from .remarks import OF_EVEN_BEADS

RPMD, TRPMD, PA_CMD, PIGLET, SUZUKI_CHIN = KINDS = ("rpmd", "trpmd", "pa-cmd", "piglet", "suzuki-chin")
DYNAMICS = (RPMD, TRPMD, PA_CMD)  # the others are for averages
USUAL_BEADS = {RPMD: 32, TRPMD: 32, PA_CMD: 32, PIGLET: 6, SUZUKI_CHIN: 16}
UNTOUCHED = 100_000.0  # fs: a thermostat of the centroid that leaves vibrations alone
COUPLING = 100.0  # fs, of the centroid where averages are sampled
FASTER = 1.5  # than the highest vibration are the internal modes of PA-CMD at least
LONGEST = 0.25  # fs, of ring polymers with hydrogen: benchmarks/conservation.py
DIGITS = 8  # of a matrix


@dataclass(frozen=True)
class Treatment:
    """What a user asks for.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    beads : int or None
        None for `USUAL_BEADS`.
    highest : float
        Highest harmonic vibration, in cm⁻¹.
    wavenumber : float or None
        Of the internal modes of PA-CMD, in cm⁻¹; None for that of Hone, Rossky and Voth, or 1.5 times the highest
        vibration where that is more.
    timestep : float or None
        In fs; None for the input's own, but what the kind allows at most.
    """

    kind: str
    beads: int | None = None
    highest: float = 4500.0
    wavenumber: float | None = None
    timestep: float | None = None

    @property
    def number(self) -> int:
        """Of beads."""
        return USUAL_BEADS[self.kind] if self.beads is None else self.beads


@dataclass(frozen=True)
class Prepared:
    """What was written, and what is to be said of it."""

    path: Path
    lines: tuple[str, ...]
    warnings: tuple[str, ...]


def prepare_input(run: RunInput, treatment: Treatment) -> Prepared:
    """Write the input beside another one, whose structure, forces, temperature and outputs it keeps.

    Parameters
    ----------
    run : RunInput
        Any input of dynamics with one system.
    treatment : Treatment

    Returns
    -------
    Prepared
        ``INPUT_KIND.xml``.

    Raises
    ------
    BeadwiseError
        If the input cannot be used so, or the file exists already or cannot be written.
    """
    system = run.only_system()
    _check(run, system, treatment)
    path, root = renamed_copy(run, f"_{treatment.kind.replace('-', '_')}", 0)
    own = root.find("system")
    dynamics = root.find("system/motion/dynamics")
    if own is None or dynamics is None:
        raise InputError(f"'{run.path}' has no <dynamics> of its own <system>; an input that writes it out is needed")
    _set_beads(root, own, system.beads, treatment.number)
    timestep = treatment.timestep or min(system.timestep_for("a time step is needed"), LONGEST)
    lines, warnings = [], []
    modes = _of_normal_modes(own)
    if treatment.kind == PA_CMD:
        modes.set("propagator", "exact")  # Cayley's of i-PI 3.3.1 does not know of scaled masses
        adiabatic = _adiabatic(treatment, system.temperature)
        timestep = treatment.timestep or min(timestep, _rounded_down(adiabatic.longest_step(treatment.highest)))
        frequencies = ElementTree.SubElement(modes, "frequencies", {"style": PA_CMD, "units": "inversecm"})
        frequencies.text = f" [ {adiabatic.wavenumber:.6g} ] "
        warnings += adiabatic.warnings(timestep, treatment.highest)
        lines.append(
            f"internal modes at {adiabatic.wavenumber:.4g} cm⁻¹, the fastest at "
            f"{adiabatic.fastest(treatment.highest):.0f} cm⁻¹ with a vibration at {treatment.highest:g} cm⁻¹"
        )
    if treatment.kind == SUZUKI_CHIN:
        _name_estimators(root)
        averages = " and ".join(OF_EVEN_BEADS.values())
        lines.append(f"averages are {averages}, and of positions the mean over the even beads, 0, 2, 4 …")
    for comment in [one for one in dynamics if not isinstance(one.tag, str) and DRIFT.search(one.text or "")]:
        dynamics.remove(comment)  # what was measured of the input is not so of the copy
    _put(dynamics, "timestep", f"{timestep:g}", units="femtosecond")
    noise = _set_dynamics(dynamics, treatment, system)
    if noise is not None:
        lines.append(
            f"thermostats made for harmonic vibrations up to {treatment.highest:g} cm⁻¹: fluctuations of internal "
            f"modes within {100 * noise.deviation:.2g} %"
        )
    ElementTree.indent(root)
    lines.append(f"{treatment.number} beads at {system.temperature:g} K, steps of {timestep:g} fs")
    return Prepared(write_input(path, root), tuple(lines), tuple(warnings))


def _check(run: RunInput, system: System, treatment: Treatment) -> None:
    """Refuse what the kind cannot be."""
    beads, kind = treatment.number, treatment.kind
    if system.dynamics is None or system.dynamics.tag != "dynamics":
        raise InputError(f"'{run.path}' has no <dynamics>; an input of dynamics is needed")
    if kind == SUZUKI_CHIN and beads % 2:
        raise InputError(f"{beads} beads for Suzuki-Chin path integrals; an even number is needed")
    if kind != PA_CMD and treatment.wavenumber is not None:
        raise InputError(f"--frequency {treatment.wavenumber:g} is that of the internal modes of pa-cmd, not of {kind}")
    mode = mode_of(system.dynamics)
    if mode not in ("nve", "nvt", "npt", "sc", "scnpt"):
        raise InputError(f"'{run.path}' has mode='{mode}'; allowed are nve, nvt and npt")
    if kind in DYNAMICS and mode in FIXED_PRESSURE:
        raise InputError(f"'{run.path}' is at constant pressure; {kind} for spectra needs constant volume, nvt or nve")
    if system.element.find("initialize") is None:
        raise InputError(f"'{run.path}' has no <initialize>; the input of a new run is needed")
    for force in system.element.findall("forces/force"):
        own = int(force.get("nbeads", "0").strip() or 0)
        if own > beads:
            raise InputError(f"a force of '{run.path}' is evaluated on {own} beads, and {beads} are asked for")
        if kind == SUZUKI_CHIN and own not in (0, beads):
            raise InputError(
                f"a force of '{run.path}' is evaluated on {own} of {beads} beads; Suzuki-Chin path integrals need all"
            )


def _set_beads(root: ElementTree.Element, system: ElementTree.Element, before: int, beads: int) -> None:
    initialize = system.find("initialize")
    if initialize is not None:
        initialize.set("nbeads", str(beads))
    for force in system.findall("forces/force"):
        if force.get("nbeads", "").strip() == str(before):
            force.attrib.pop("nbeads")
    for force_field in root:
        batch = force_field.find("batch_size")
        if batch is not None and force_field.tag in SOCKETS and (batch.text or "").strip() == str(before):
            batch.text = f" {beads} "


def _of_normal_modes(system: ElementTree.Element) -> ElementTree.Element:
    """``<normal_modes>`` without scaled masses, with Cayley's propagator."""
    found = system.find("normal_modes")
    if found is None:
        found = ElementTree.Element("normal_modes")
        system.insert(1, found)
    for element in found.findall("frequencies"):
        found.remove(element)
    found.set("propagator", "cayley")
    return found


def _adiabatic(treatment: Treatment, temperature: float) -> AdiabaticModes:
    """Normal modes of PA-CMD."""
    wavenumber = treatment.wavenumber
    if wavenumber is None:
        wavenumber = max(usual_wavenumber(treatment.number, temperature), FASTER * treatment.highest)
    return AdiabaticModes(wavenumber, treatment.number, temperature)


def _rounded_down(step: float) -> float:
    """To two hundredths of a femtosecond."""
    return max(math.floor(step / 0.02) * 0.02, 0.01)


def _set_dynamics(dynamics: ElementTree.Element, treatment: Treatment, system: System) -> ColoredNoise | None:
    """Ensemble and thermostat; that of PIGLET is returned."""
    pressure = mode_of(dynamics) in FIXED_PRESSURE
    kind = treatment.kind
    dynamics.set("splitting", "baoab")
    usual = "npt" if pressure else "nvt"
    dynamics.set("mode", {RPMD: "nve", SUZUKI_CHIN: "scnpt" if pressure else "sc"}.get(kind, usual))
    for element in dynamics.findall("thermostat"):
        dynamics.remove(element)
    if kind == RPMD:
        return None
    thermostat = ElementTree.SubElement(dynamics, "thermostat", {"mode": "nm_gle" if kind == PIGLET else "pile_l"})
    if kind != PIGLET:
        _put(thermostat, "tau", f"{UNTOUCHED if kind in DYNAMICS else COUPLING:g}", units="femtosecond")
        _put(thermostat, "pile_lambda", "0.5" if kind in DYNAMICS else "1.0")
        return None
    friction = 1 / (2 * np.pi * 2.99792458e-5 * COUPLING)  # 1/τ in cm⁻¹
    noise = piglet(treatment.number, system.temperature, treatment.highest, friction)
    shape = str(noise.drift.shape)
    _put(thermostat, "A", _numbers(noise.drift), shape=shape, units="inversecm")
    _put(thermostat, "C", _numbers(noise.covariance), shape=shape, units="kelvin")
    return noise


def _numbers(values: np.ndarray) -> str:
    return f"[ {', '.join(f'{value:.{DIGITS}e}' for value in values.ravel())} ]"


def _name_estimators(root: ElementTree.Element) -> None:
    """Properties whose means are those of Suzuki–Chin path integrals."""
    for element in root.iterfind("output/properties"):
        for usual, right in OF_EVEN_BEADS.items():
            element.text = re.sub(rf"(?<!\w){usual}(?!\w)", right, element.text or "")


def _put(parent: ElementTree.Element, tag: str, text: str, **attributes: str) -> None:
    """An element with this text, made anew where it is there."""
    element = parent.find(tag)
    if element is None:
        element = ElementTree.SubElement(parent, tag)
    element.attrib = dict(attributes)
    element.text = f" {text} "
