"""Runs that wrote the energies of a committee's members: where these are, and at which temperature they were made."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ...runs.input.dynamics import Ensemble
from ...runs.input.elements import InputError, text_in
from ...runs.input.outputs import ExtrasOutput
from ...runs.input.run_input import RunInput, System
from ...runs.output.bead_means import BeadMeans, read_bead_means
from ...runs.output.properties import PropertyTable, read_property_table
from ...runs.output.series import series_of_extras

ENERGY = "committee_energy"
NEEDED = "<trajectory filename='members' stride='10' extra_type='committee_pot'> extras </trajectory>"


@dataclass(frozen=True)
class CommitteeRun:
    """One system of a run that was moved by the mean of a committee; each of its files is read once.

    Parameters
    ----------
    system : System
    ensemble : Ensemble
    timestep : float
        In fs.
    beads : int
    note : str
        What is known of the calibration of the members.
    """

    system: System
    ensemble: Ensemble
    timestep: float
    beads: int
    note: str

    @property
    def source(self) -> Path:
        """i-PI input or RESTART."""
        return self.system.run.path

    @property
    def folder(self) -> Path:
        """Where i-PI runs."""
        return self.system.run.folder

    @property
    def is_biased(self) -> bool:
        """Whether a bias acts."""
        return bool(self.system.biases)

    @property
    def temperature(self) -> float:
        """In K."""
        return self.ensemble.temperature

    def holds(self, series: str) -> bool:
        """Whether a series of beadwise's name is written of all beads."""
        return any(_holds(output, series) and output.holds_all(self.beads) for output in self.system.extras_outputs)

    def output_of(self, series: str) -> ExtrasOutput:
        """The output that holds a series of all beads; of several the one that is written most often.

        Parameters
        ----------
        series : str
            beadwise's name, as ``committee_energy``.

        Raises
        ------
        InputError
            If it is not written, or not of all beads.
        """
        written = [output for output in self.system.extras_outputs if _holds(output, series)]
        extra = next(name for name, own in series_of_extras().items() if own == series)
        if not written:
            raise InputError(f"'{self.source}' writes no {extra}; add {NEEDED.replace('committee_pot', extra)}")
        whole = [output for output in written if output.holds_all(self.beads)]
        if not whole:
            raise InputError(
                f"'{self.source}' writes {extra} of some of its {self.beads} beads; all are needed, without the "
                f"attribute bead='{written[0].bead}'"
            )
        return min(whole, key=lambda output: output.stride)

    def means(self, output: ExtrasOutput) -> BeadMeans:
        """What the files of an output hold, means over beads.

        Raises
        ------
        InputError
            If a file does not exist, or the files do not belong together or to this run.
        SeriesError
            If a file cannot be read.
        """
        if output not in self._means:
            for path in self._files_of(output):
                if not os.path.exists(path):
                    raise InputError(f"'{path}' does not exist, and '{self.source}' says that it is written")
            found = read_bead_means(self._files_of(output))
            if len(found.steps) and found.beads != self.beads:
                path = self._files_of(output)[0]
                raise InputError(
                    f"'{path}' holds {found.beads} beads, '{self.source}' has {self.beads}; all are needed"
                )
            self._means[output] = found
        return self._means[output]

    @cached_property
    def tables(self) -> list[PropertyTable]:
        """What i-PI wrote of properties; files that do not exist are left out.

        Raises
        ------
        InputError
            If one cannot be read.
        """
        paths = [self.folder / output.name for output in self.system.properties_outputs]
        found = [read_property_table(path, self.timestep) for path in paths]
        return [table for table in found if table is not None]

    @cached_property
    def _means(self) -> dict[ExtrasOutput, BeadMeans]:
        return {}

    def _files_of(self, output: ExtrasOutput) -> list[Path]:
        return [self.folder / name for name in output.files(self.beads)]


def read_committee_runs(run: RunInput) -> list[CommitteeRun]:
    """Read which systems of an i-PI input or RESTART were moved by a committee, and what they wrote.

    Parameters
    ----------
    run : RunInput

    Raises
    ------
    InputError
        If it holds no dynamics, does not write the energies of the members, or was not moved by their mean.
    """
    note = _calibration(run)
    if not run.systems:
        raise InputError(f"'{run.path}' holds no <system>; an i-PI input needs one")
    runs = [
        CommitteeRun(
            system=system,
            timestep=system.timestep_for("averages are made of a trajectory"),
            ensemble=system.ensemble,
            beads=system.beads,
            note=note,
        )
        for system in run.systems
    ]
    for one in runs:
        one.output_of(ENERGY)
    return runs


def _holds(output: ExtrasOutput, series: str) -> bool:
    return any(series_of_extras().get(name) == series for name in output.extras)


def _calibration(run: RunInput) -> str:
    """What is known of the calibration of the members.

    A weighted baseline is refused: it moves the beads on V_b + s²/(s² + σ²) V̄, which is not the mean.
    """
    factors = set()
    for committee in run.root.iterfind("ffcommittee"):
        if text_in(committee, "baseline_name"):
            raise InputError(
                f"the <ffcommittee> of '{run.path}' has a weighted baseline; members are reweighted from a run on "
                "their mean, without <baseline_name>"
            )
        factors.add(text_in(committee, "alpha", "1"))
    given = sorted(factor for factor in factors if float(factor) != 1)
    if given:
        return f"members carry the calibration <alpha> {', '.join(given)} of the <ffcommittee>"
    return "members as they were served: calibrated if they are those of one model, not of a committee of models"


def check_same_ensemble(runs: Sequence[CommitteeRun]) -> None:
    """Refuse runs that are not of one ensemble.

    Raises
    ------
    InputError
        If temperatures, pressures or numbers of beads differ, or a run is given twice.
    """
    first = runs[0]
    files = [(run.folder.resolve(), run.output_of(ENERGY).name) for run in runs]
    if twice := next((run for run, file in zip(runs, files, strict=True) if files.count(file) > 1), None):
        raise InputError(f"'{twice.source}' is given twice, or other runs write the same files; each counts once")
    for run in runs[1:]:
        if run.ensemble.name != first.ensemble.name or run.beads != first.beads:
            raise InputError(
                f"'{first.source}' has {first.beads} beads at {first.ensemble.name} and '{run.source}' {run.beads} "
                f"at {run.ensemble.name}; runs of one ensemble are averaged"
            )
