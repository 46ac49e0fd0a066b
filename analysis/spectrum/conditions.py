"""Timestep, temperature, cell and kind of dynamics of a run, from its i-PI input or RESTART."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ipi.utils.units import unit_to_internal

from ...runs.input.atoms import labels_of_run
from ...runs.input.cell import cell_of_system
from ...runs.input.dynamics import has_constant_volume, name_of
from ...runs.input.elements import InputError, beads_of, parse, quantity
from ...spectra import Conditions


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
        ``classical``, ``RPMD``, ``TRPMD`` …, with what barostat and thermostat do to it.
    symbols : frozenset of str
        Labels of the atoms: chemical symbols, and of other isotopes i-PI's names, such as ``D`` and ``O18``.
    has_constant_volume : bool
        Whether the cell stays what it is.
    """

    timestep: float
    temperature: float
    cell: np.ndarray
    beads: int
    dynamics: str
    symbols: frozenset[str]
    has_constant_volume: bool = True

    @property
    def volume(self) -> float:
        """Of the cell, in Å³."""
        return float(abs(np.linalg.det(self.cell)))

    @property
    def note_of_volume(self) -> str:
        """What must be said of `volume` behind the name of the dynamics; empty if nothing must."""
        return "" if self.has_constant_volume else " (volume of the input)"

    def of_samples(self, stride: int) -> Conditions:
        """Conditions of a series with a sample every `stride` steps."""
        dynamics = self.dynamics + self.note_of_volume
        return Conditions(self.timestep * stride, self.temperature, self.volume, dynamics, self.beads)


def read_run_conditions(path: Path) -> RunConditions:
    """Read them from an i-PI input or RESTART.

    Parameters
    ----------
    path : Path
        File names in it are relative to its folder.

    Raises
    ------
    InputError
        If there is no dynamics, or a number or file is missing, or a unit is unknown.
    """
    system = parse(path).find("system")
    dynamics = None if system is None else next(system.iter("dynamics"), system.find("motion/driven_dynamics"))
    if system is None or dynamics is None:
        raise InputError(f"'{path}' holds no <dynamics>; spectra are made of trajectories in time")
    beads = beads_of(system)
    return RunConditions(
        timestep=quantity(dynamics, "timestep", "time", path) / float(unit_to_internal("time", "femtosecond", 1.0)),
        temperature=quantity(system, "ensemble/temperature", "temperature", path)
        / float(unit_to_internal("temperature", "kelvin", 1.0)),
        cell=cell_of_system(system, path),
        beads=beads,
        dynamics=name_of(system, dynamics, beads, path),
        symbols=frozenset(labels_of_run(path, path.parent)),
        has_constant_volume=has_constant_volume(dynamics),
    )
