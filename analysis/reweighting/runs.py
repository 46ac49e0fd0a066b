"""Runs that wrote the energies of a committee's members: where these are, and at which temperature they were made."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...runs.input.dynamics import Ensemble, ensemble_of
from ...runs.input.elements import InputError, beads_of, integer_attribute, parse, systems_of, timestep_of
from ...runs.input.force_components import force_field_of, weight_of
from ...runs.input.outputs import ExtrasOutput, output_name, reading_of
from ...runs.output.series import series_of_extras

ENERGY = "committee_energy"
NEEDED = "<trajectory filename='members' stride='10' extra_type='committee_pot'> extras </trajectory>"


@dataclass(frozen=True)
class CommitteeRun:
    """One system of a run that was moved by the mean of a committee.

    Parameters
    ----------
    source : Path
        i-PI input or RESTART.
    folder : Path
        Where i-PI runs.
    ensemble : Ensemble
    timestep : float
        In fs.
    beads : int
    extras : tuple of ExtrasOutput
        What it writes of extras.
    property_files : tuple of Path
    is_biased : bool
        Whether an ``<ensemble>`` has a ``<bias>``.
    system : int
        Number of the system in the input.
    note : str
        What is known of the calibration of the members.
    """

    source: Path
    folder: Path
    ensemble: Ensemble
    timestep: float
    beads: int
    extras: tuple[ExtrasOutput, ...]
    property_files: tuple[Path, ...]
    is_biased: bool
    system: int
    note: str

    @property
    def temperature(self) -> float:
        """In K."""
        return self.ensemble.temperature

    def holds(self, series: str) -> bool:
        """Whether a series of beadwise's name is written of all beads."""
        return any(_holds(output, series) and output.holds_all(self.beads) for output in self.extras)

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
        written = [output for output in self.extras if _holds(output, series)]
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


def read_committee_runs(source: Path, folder: Path | None = None) -> list[CommitteeRun]:
    """Read which systems of an i-PI input or RESTART were moved by a committee, and what they wrote.

    Parameters
    ----------
    source : Path
        i-PI input or RESTART.
    folder : Path, optional
        Where i-PI ran; by default that of `source`.

    Raises
    ------
    InputError
        If it is no i-PI input, holds no dynamics, does not write the energies of the members, or was not moved by
        their mean.
    """
    root = parse(source)
    folder = source.parent if folder is None else folder
    note = _calibration(root, source)
    runs = [_read_system(root, system, number, source, folder, note) for number, system in enumerate(systems_of(root))]
    if not runs:
        raise InputError(f"'{source}' holds no <system>; an i-PI input needs one")
    for run in runs:
        run.output_of(ENERGY)
    return runs


def _holds(output: ExtrasOutput, series: str) -> bool:
    return any(series_of_extras().get(name) == series for name in output.extras)


def _calibration(root: ElementTree.Element, source: Path) -> str:
    """What is known of the calibration of the members.

    A weighted baseline is refused: it moves the beads on V_b + s²/(s² + σ²) V̄, which is not the mean.
    """
    factors = set()
    for committee in root.iterfind("ffcommittee"):
        if (committee.findtext("baseline_name") or "").strip():
            raise InputError(
                f"the <ffcommittee> of '{source}' has a weighted baseline; members are reweighted from a run on their "
                "mean, without <baseline_name>"
            )
        factors.add((committee.findtext("alpha") or "1").strip())
    given = sorted(factor for factor in factors if float(factor) != 1)
    if given:
        return f"members carry the calibration <alpha> {', '.join(given)} of the <ffcommittee>"
    return "members as they were served: calibrated if they are those of one model, not of a committee of models"


def _read_system(
    root: ElementTree.Element, system: ElementTree.Element, number: int, source: Path, folder: Path, note: str
) -> CommitteeRun:
    dynamics = next(system.iter("dynamics"), system.find("motion/driven_dynamics"))
    if dynamics is None:
        raise InputError(f"'{source}' holds no <dynamics>; averages are made of a trajectory")
    beads = beads_of(system)
    names = [output_name(root, one.get("filename", "out"), system) for one in root.iterfind("output/properties")]
    return CommitteeRun(
        source=source,
        folder=folder,
        ensemble=ensemble_of(root, system, source),
        timestep=timestep_of(dynamics, source),
        beads=beads,
        extras=tuple(_extras(root, system, beads)),
        property_files=tuple(folder / name for name in names),
        is_biased=any(weight_of(one) != 0 and force_field_of(one) for one in system.iterfind("ensemble/bias/force")),
        system=number,
        note=note,
    )


def _extras(root: ElementTree.Element, system: ElementTree.Element, beads: int) -> Iterator[ExtrasOutput]:
    """Outputs of extras, but for those of a bias."""
    for element in root.iterfind("output/trajectory"):
        reading = reading_of(element)
        if reading is not None and reading.keyword != "extras_bias":
            yield ExtrasOutput(
                name=output_name(root, element.get("filename", "traj"), system),
                extras=reading.names,
                stride=integer_attribute(element, "stride", 1, least=1),
                bead=integer_attribute(element, "bead", -1),
                rows=beads if reading.keyword == "extras_component_raw" else 0,
            )


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
