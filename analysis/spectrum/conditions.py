"""Timestep, temperature, cell and kind of dynamics of a run, from its i-PI input or RESTART."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...runs.input.dynamics import mode_of, refusal_of_dynamics
from ...runs.input.elements import InputError
from ...runs.input.nuclei import SUZUKI_CHIN
from ...runs.input.run_input import RunInput, System
from ...runs.output.volumes import volume_file
from ...spectra import Conditions
from ..report.events import dynamics_told

TRAJECTORIES = "spectra are made of trajectories in time"


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
    volume_file : Path or None
        Where the volume of every step is written; None where it is not.
    """

    timestep: float
    temperature: float
    cell: np.ndarray
    beads: int
    dynamics: str
    symbols: frozenset[str]
    has_constant_volume: bool = True
    volume_file: Path | None = None

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


def read_run_conditions(run: RunInput, system: System | None = None) -> RunConditions:
    """Read them from an i-PI input or RESTART.

    Parameters
    ----------
    run : RunInput
    system : System, optional
        One of its systems; by default the first.

    Raises
    ------
    InputError
        If there is no dynamics, or a number or file is missing, or a unit is unknown.
    """
    if not run.systems:
        raise InputError(f"'{run.path}' holds no <system>; {TRAJECTORIES}")
    system = system or run.systems[0]
    return RunConditions(
        timestep=system.timestep_for(TRAJECTORIES),
        temperature=system.temperature,
        cell=system.cell,
        beads=system.beads,
        dynamics=(dynamics_told(run) if system.beads == 1 else "") or system.name_of_dynamics,
        symbols=frozenset(system.labels),
        has_constant_volume=system.has_constant_volume,
        volume_file=volume_file(system),
    )


def refuse_averages(run: RunInput, system: System | None, kind: str) -> None:
    """Refuse a spectrum of a run that samples averages, and does not move as the atoms do.

    The static permittivity of PIGLET is one of averages; beads of Suzuki-Chin path integrals have different weights.

    Raises
    ------
    InputError
    """
    dynamics = None if system is None else system.dynamics
    if system is None or dynamics is None:
        return
    reason = refusal_of_dynamics(dynamics, system.beads)
    is_static = kind == "dielectric" and mode_of(dynamics) not in SUZUKI_CHIN
    if reason and not is_static:
        raise InputError(
            f"no '{kind}' of '{run.path}': {reason}; spectra are made of classical dynamics, RPMD, TRPMD, PA-CMD or Te "
            "PIGS"
        )
