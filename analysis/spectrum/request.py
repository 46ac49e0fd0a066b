"""What a user asks of ``beadwise spectrum``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ...runs.input.run_input import RunInput
from ...runs.output.series_files import Reading
from ...runs.source import RunsOfFiles
from ...spectra import SeriesError, Window, usual_length
from ...spectra.quantum import HARMONIC
from ...spectra.raman import LASER
from ..results import beside, stem_of
from .conditions import RunConditions, read_run_conditions, refuse_averages
from .outputs import files_of_runs
from .series_conditions import Given

BEAD_NUMBER = r"_\d+(\.xyz)?$"  # at the end of the name of a file


@dataclass(frozen=True)
class Request:
    """What a user asks of ``beadwise spectrum``.

    Parameters
    ----------
    kind : str
        ``ir``, ``raman``, ``sfg``, ``dos`` or ``dielectric``.
    files : tuple of Path
        Also folders of runs, i-PI inputs and RESTARTs, for what the runs wrote.
    source : Path or None
        i-PI input or RESTART; None to look for it beside the files.
    timestep, temperature, volume : float or None
        In fs, K and Å³; None for what `source` says.
    dynamics : str or None
        Name of the dynamics; None for what `source` says.
    window : float or None
        Length in fs; None for `beadwise.spectra.usual_length`, or what `resolution` needs.
    resolution : float or None
        Full width at half maximum of the window in cm⁻¹, in place of its length.
    window_shape : str
    highest : float
        Wavenumber in cm⁻¹.
    optical_permittivity : float or None
        ε∞; None for that of polarizabilities in the same files.
    laser : float or None
        In cm⁻¹, for Raman spectra; None for 532 nm.
    inner, outer, near : float or None
        Of a slab, in Å, for sum-frequency spectra; None for the defaults of ``Slab``.
    skip : float or None
        Time at the beginning of each trajectory that is left out, in ps; None for a tenth of it.
    output : Path or None
        Name of the files to write, without the ending; None for one beside the first file.
    members : bool
        Whether to write the spectrum of every member of a committee, too.
    unit : str or None
        Of the dipole or polarizability in the files; None for what they say, or units of e and Å.
    columns : tuple of str
        Numbers from 1, or names, of the columns of tables; empty if the files are to tell them.
    quantum_correction : str
        Out of `beadwise.spectra.quantum.CORRECTIONS`, for ``ir`` and ``raman``.
    """

    kind: str
    files: tuple[Path, ...]
    source: Path | None = None
    timestep: float | None = None
    temperature: float | None = None
    volume: float | None = None
    dynamics: str | None = None
    window: float | None = None
    resolution: float | None = None
    window_shape: str = "hann"
    highest: float = 4500.0
    optical_permittivity: float | None = None
    laser: float | None = None
    inner: float | None = None
    outer: float | None = None
    near: float | None = None
    skip: float | None = None
    output: Path | None = None
    members: bool = False
    unit: str | None = None
    columns: tuple[str, ...] = ()
    quantum_correction: str = HARMONIC

    @property
    def stem(self) -> Path:
        """Path of the files to write, without the ending."""
        first = self.trajectories[0]
        return stem_of(self.output, beside(first.with_name(re.sub(BEAD_NUMBER, "", first.name)), self.kind))

    @property
    def given(self) -> Given:
        """What is said of the series."""
        return Given(self.timestep, self.temperature, self.volume, self.dynamics, self.unit)

    @property
    def reading(self) -> Reading:
        """What is said of how files are read."""
        return Reading(self.columns)

    @property
    def laser_wavenumber(self) -> float:
        """Of the laser, in cm⁻¹."""
        return LASER if self.laser is None else self.laser

    @property
    def distances(self) -> dict[str, float]:
        """Those parameters of a slab that are given, in Å."""
        values = {"inner": self.inner, "outer": self.outer, "near": self.near}
        return {name: value for name, value in values.items() if value is not None}

    def make_window(self, recorded: Iterable[float]) -> Window:
        """Make the window.

        Parameters
        ----------
        recorded : iterable of float
            Lengths of the trajectories in fs, which are asked for only where the user has chosen no window.

        Raises
        ------
        SeriesError
            If its shape is unknown, or both its length and its width are given.
        """
        if self.resolution is None:
            return Window(self.window_shape, usual_length(min(recorded)) if self.window is None else self.window)
        if self.window is not None:
            raise SeriesError(
                f"the window is {self.window:g} fs and the resolution {self.resolution:g} cm⁻¹; give one of them"
            )
        return Window.of_width(self.resolution, self.window_shape)

    def run_of(self, path: Path) -> RunConditions | None:
        """Conditions of the run that wrote a file; None if its input is not found."""
        run = self._runs.run_of(path)
        if run is None:
            return None
        system = run.system_of_file(path.name)
        refuse_averages(run, system, self.kind)
        return read_run_conditions(run, system)

    @property
    def trajectories(self) -> list[Path]:
        """Files of the trajectories.

        Raises
        ------
        InputError
            If a run among the files does not write what is needed.
        """
        return self._found[0]

    @cached_property
    def _found(self) -> tuple[list[Path], dict[Path, RunInput]]:
        return files_of_runs(self.kind, self.files, self.optical_permittivity is not None)

    @cached_property
    def _runs(self) -> RunsOfFiles:
        return RunsOfFiles(self.source, self._found[1])
