"""Timestep, temperature, cell and kind of dynamics of a run, from its i-PI input or RESTART."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase.data import chemical_symbols
from ipi.utils.io import read_file
from ipi.utils.units import unit_to_internal

from ..spectra import Conditions
from .input_species import species_of_run
from .ipi_input import InputError, parse
from .units import lengths_from_atomic

WEAK_COUPLING = 10_000.0  # fs: a thermostat of the centroid that is slower leaves vibrations alone
GLOBAL_THERMOSTATS = ("svr", "pile_g")


@dataclass(frozen=True)
class RunConditions:
    """What a run was told, as far as its spectra need it.

    Parameters
    ----------
    timestep : float
        Of one step, in fs.
    temperature : float
        In K.
    cell : ndarray of float64, shape (3, 3)
        Lattice vectors in Å, one per row.
    beads : int
    dynamics : str
        ``classical``, ``RPMD``, ``TRPMD`` …, with what the thermostat does to it.
    symbols : frozenset of str
        Chemical symbols of the atoms.
    """

    timestep: float
    temperature: float
    cell: np.ndarray
    beads: int
    dynamics: str
    symbols: frozenset[str]

    @property
    def volume(self) -> float:
        """Of the cell, in Å³."""
        return float(abs(np.linalg.det(self.cell)))

    def of_samples(self, stride: int) -> Conditions:
        """Conditions of a series with a sample every `stride` steps."""
        return Conditions(self.timestep * stride, self.temperature, self.volume, self.dynamics, self.beads)


def read_run_conditions(path: Path) -> RunConditions:
    """Read them from an i-PI input or RESTART.

    Parameters
    ----------
    path : Path
        File names in it are relative to its folder.

    Raises
    ------
    InputError
        If there is no dynamics, or a number or file is missing.
    """
    root = parse(path)
    system = root.find("system")
    dynamics = None if system is None else next(system.iter("dynamics"), system.find("motion/driven_dynamics"))
    if system is None or dynamics is None:
        raise InputError(f"'{path}' holds no <dynamics>; spectra are made of trajectories in time")
    beads = _beads(system)
    numbers = species_of_run(path, path.parent)
    return RunConditions(
        timestep=_quantity(dynamics, "timestep", "time", path) / float(unit_to_internal("time", "femtosecond", 1.0)),
        temperature=_quantity(system, "ensemble/temperature", "temperature", path)
        / float(unit_to_internal("temperature", "kelvin", 1.0)),
        cell=_cell(system, path),
        beads=beads,
        dynamics=_name_of(dynamics, beads),
        symbols=frozenset(chemical_symbols[number] for number in numbers),
    )


def _quantity(element: ElementTree.Element, name: str, family: str, path: Path) -> float:
    found = element.find(name)
    try:
        value = float((found.text or "").strip()) if found is not None else None
    except ValueError:
        value = None
    if found is None or value is None:
        raise InputError(f"'{path}' holds no number in <{name.split('/')[-1]}>; a spectrum needs it")
    return float(unit_to_internal(family, found.get("units", "automatic"), value))


def _beads(system: ElementTree.Element) -> int:
    for element, name in ((system.find("beads"), "nbeads"), (system.find("initialize"), "nbeads")):
        if element is not None and element.get(name):
            return int(element.get(name, "1"))
    return 1


def _cell(system: ElementTree.Element, path: Path) -> np.ndarray:
    """Lattice vectors as rows: of a RESTART, or of the structure that an input starts from."""
    element = system.find("cell")
    if element is not None and (element.text or "").strip().startswith("["):
        numbers = np.array((element.text or "").strip().strip("[]").split(","), dtype=np.float64)
        unit = float(unit_to_internal("length", element.get("units", "automatic"), 1.0))
        return lengths_from_atomic(numbers.reshape(3, 3) * unit).T  # i-PI's lattice vectors are columns
    found = None
    for file in system.iterfind("initialize/*"):
        if file.tag in ("file", "cell") and file.get("mode", "chk") not in ("manual", "abc", "abcABC"):
            found = _cell_of_file(path.parent / (file.text or "").strip(), file.get("mode", "chk"))
    if found is None:
        raise InputError(f"'{path}' names no file with a cell; a RESTART holds it")
    return found


def _cell_of_file(path: Path, mode: str) -> np.ndarray:
    if mode == "chk":
        system = parse(path).find("system")
        if system is None:
            raise InputError(f"'{path}' holds no <system>; a checkpoint of i-PI does")
        return _cell(system, path)
    try:
        with open(path) as file:
            return lengths_from_atomic(read_file(mode, file)["cell"].h).T
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"cannot read a cell from '{path}': {error}") from error


def _name_of(dynamics: ElementTree.Element, beads: int) -> str:
    """Name of the dynamics, with what the thermostat does to it."""
    thermostat = dynamics.find("thermostat")
    mode = "" if thermostat is None else thermostat.get("mode", "")
    has_thermostat = dynamics.get("mode", "nve") not in ("nve", "eda-nve") and mode not in ("", "nve")
    if beads == 1:
        name = "classical"
    elif not has_thermostat:
        name = "RPMD"
    elif mode.startswith("pile"):
        name = "TRPMD"
    else:
        name = f"path integrals with the thermostat {mode}"
    if not has_thermostat or _coupling_time(thermostat) > WEAK_COUPLING:
        return name
    if mode in GLOBAL_THERMOSTATS:
        return f"{name} with a global thermostat"
    return f"{name} with a thermostat on every atom, which broadens bands"


def _coupling_time(thermostat: ElementTree.Element | None) -> float:
    """Of a thermostat, in fs; 0 if it has none."""
    found = None if thermostat is None else thermostat.find("tau")
    if found is None:
        return 0.0
    internal = float(unit_to_internal("time", found.get("units", "automatic"), float((found.text or "0").strip())))
    return internal / float(unit_to_internal("time", "femtosecond", 1.0))
