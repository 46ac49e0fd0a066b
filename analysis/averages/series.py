"""The series that one run wrote of a quantity, sample by sample: means over beads, and values of single beads."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from pathlib import Path

import numpy as np
from ase import Atoms

from ...errors import BeadwiseError
from ...properties.quantities import DENSITY, MATRIX, Property, properties
from ...runs.input.dynamics import first_step
from ...runs.input.elements import InputError
from ...runs.input.outputs import ExtrasOutput
from ...runs.input.run_input import RunInput, System
from ...runs.output.bead_values import BeadValues
from ...runs.output.positions import BeadTrajectory, find_bead_trajectory
from ...runs.output.series import series_kinds, series_of_extras
from .molecular_frame import MolecularFrame
from .request import Frame

KINDS = ("value", "molecular", "screened", "switch", "orbitals", "electronic")


@dataclass
class RunSeries:
    """All that is kept of a quantity of one run while its files are read.

    Parameters
    ----------
    run : RunInput
    of : str
    frame : str
        See `AverageRequest`.
    last_step : int or None
        Of a run that continues: what the files hold beyond it is passed over.

    Raises
    ------
    InputError
        If the run does not write it of all beads, is biased, has several systems, or samples no usual path integrals.
    """

    run: RunInput
    of: str
    frame: Frame = "none"
    last_step: int | None = None
    _steps: list[np.ndarray] = field(default_factory=list, init=False)
    _means: list[np.ndarray] = field(default_factory=list, init=False)
    _scalars: list[np.ndarray] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self._structure: Atoms | None = None
        self.property = averaged_property(self.of)
        self.system = self.run.only_system()
        if self.system.biases:
            raise InputError(
                f"'{self.run.path}' is biased by {', '.join(self.system.biases)}, whose samples have weights; plain "
                "averages are of runs without a bias (`beadwise reweight` takes a bias away)"
            )
        self.warning = self.system.ensemble.warning(self.files)  # refused where it samples something else
        self.output = output_of(self.system, self.of)
        self._reader = BeadValues(self._paths(self.output), self.of, self.last_step)
        self._turning = MolecularFrame(self.run) if self.frame == "molecule" else None
        has_members = f"committee_{self.of}" in series_kinds()
        members = output_or_none(self.system, f"committee_{self.of}") if has_members else None
        self.members = (
            None if members is None else MemberMeans(self._paths(members), self.of, self.last_step, self._turning)
        )

    @property
    def files(self) -> Path:
        """What its files are called, the same before and after a restart, as its input is not."""
        return self.run.folder / (self.run.prefix or "i-pi")

    def _paths(self, output: ExtrasOutput) -> list[Path]:
        return [self.run.folder / name for name in output.files(self.system.beads)]

    @property
    def units(self) -> int:
        """Atoms, molecules, or one cell."""
        return len(self.run.labels) if self.property.per == "atom" else self._means[0].shape[1] if self._means else 1

    def read(self) -> bool:
        """Take in what i-PI has written since the last time; whether there was anything."""
        found = False
        while len((piece := self._reader.read())[0]):
            steps, values = piece
            if not self.property.per == "cell":
                self._check_units(values)
            else:
                values = values[:, :, None]
            if self._turning is not None:
                is_there, values = self._turning.turned(steps, values)
                steps = steps[is_there]
            self._steps.append(steps)
            self._means.append(values.mean(axis=1))
            scalars = scalar_of(self.property, values).astype(np.float32)
            self._scalars.append(scalars[..., :0] if self.holds_means else scalars)
            found = True
        if self.members is not None and self._means:
            self.members.read(self._means[0].shape[1:])
        return found

    def _check_units(self, values: np.ndarray) -> None:
        if self.property.per == "atom" and values.shape[2] != len(self.run.labels):
            raise InputError(
                f"'{self._reader.paths[0]}' holds {self.of} of {values.shape[2]} atoms; '{self.run.path}' has "
                f"{len(self.run.labels)}"
            )

    @property
    def structure(self) -> Atoms | None:
        """That of the first sample, for bonds."""
        self._structure = self._structure or first_structure(self.run)
        return self._structure

    @property
    def samples(self) -> int:
        """How many have been read."""
        return sum(map(len, self._steps))

    @property
    def beads(self) -> int:
        """Whose mean is made."""
        return self.system.beads

    @property
    def masses(self) -> np.ndarray:
        """Of the atoms, in i-PI's unit."""
        return self.system.atoms.masses

    @property
    def holds_means(self) -> bool:
        """Whether the file holds means over beads, so that nothing is known of single ones."""
        return self._reader.beads_of_a_file > 1

    def kept(self, skip: float | None) -> KeptSeries:
        """All samples after the beginning, which is left out.

        Raises
        ------
        InputError
            If there is none, or one is no finite number.
        """
        steps = np.concatenate(self._steps or [np.zeros(0, dtype=np.int64)])
        counts = steps >= first_step(steps, skip, self.system.timestep, self.run.path)
        if not counts.any():
            raise InputError(f"'{self._reader.paths[0]}' holds no sample of {self.of} after what is left out")
        means, scalars = np.concatenate(self._means), np.concatenate(self._scalars)
        self._check_finite(steps[counts], means[counts])
        members = None if self.members is None else self.members.mean(steps[counts])
        return KeptSeries(steps[counts], means[counts], scalars[counts], members)

    def _check_finite(self, steps: np.ndarray, means: np.ndarray) -> None:
        """Refuse what is no number at times; an atom that the model knows nothing of has none at any time."""
        is_strange = ~np.isfinite(means).all(axis=tuple(range(2, means.ndim)))
        if self.property.per == "atom":
            is_strange &= ~np.isnan(means).all(axis=(0, *range(2, means.ndim)))
        if is_strange.any():
            sample, unit = np.argwhere(is_strange)[0].tolist()
            of = f"{self.run.labels[unit]} atom {unit}" if self.property.per == "atom" else f"the {self.property.per}"
            raise InputError(
                f"'{self._reader.paths[0]}' and those of the other beads hold a {self.of} of {of} that is no finite "
                f"number at step {steps[sample]}; finite ones are needed at all steps"
            )


@dataclass(frozen=True)
class KeptSeries:
    """What a mean is made of.

    Parameters
    ----------
    steps : ndarray of int64, shape (samples,)
    means : ndarray of float64, shape (samples, units, *shape)
        Over beads.
    scalars : ndarray of float32, shape (samples, beads, units), or of no unit
        What a distribution is made of: numbers, or a third of the trace of tensors.
    members : ndarray of float64, shape (members, units, *shape), or None
        Means over beads and time of what each member says.
    """

    steps: np.ndarray
    means: np.ndarray
    scalars: np.ndarray
    members: np.ndarray | None


class MemberMeans:
    """Means over beads of what every member of a committee says, in the frame of the values."""

    def __init__(self, paths: list[Path], of: str, last_step: int | None, turning: MolecularFrame | None = None):
        self._reader, self._turning = BeadValues(paths, f"committee_{of}", last_step), turning
        self._steps: list[np.ndarray] = []
        self._means: list[np.ndarray] = []

    def read(self, shape: tuple[int, ...]) -> None:
        """Take in what there is; a member says as much as the mean, of this shape (units, …)."""
        while len((piece := self._reader.read())[0]):
            steps, values = piece
            if self._turning is not None:
                is_there, values = self._turning.turned(steps, values)
                steps = steps[is_there]
            mean = values.mean(axis=1)
            if mean[0].size % prod(shape):
                raise InputError(
                    f"'{self._reader.paths[0]}' holds {mean[0].size} values; a multiple of {prod(shape)} is needed, "
                    "which are those of one member"
                )
            self._steps.append(steps)
            self._means.append(mean.reshape(len(mean), -1, *shape))

    def mean(self, steps: np.ndarray) -> np.ndarray | None:
        """Over time, at those of some steps that are there; None if none is."""
        own = np.concatenate(self._steps or [np.zeros(0, dtype=np.int64)])
        is_there = np.isin(own, steps)
        return np.concatenate(self._means)[is_there].mean(axis=0) if is_there.any() else None


def averaged_property(name: str) -> Property:
    """What is averaged, by its name.

    Raises
    ------
    InputError
        If it is unknown, or nothing that i-PI writes as a series.
    """
    allowed = [own for own in series_kinds() if properties()[own].kind in KINDS and own not in (MATRIX, DENSITY)]
    if name not in allowed:
        raise InputError(
            f"'{name}' is nothing that averages are made of; allowed are {', '.join(allowed)}; energies and columns of "
            "i-PI's properties are averaged by `beadwise reweight --observable`, and by its report"
        )
    return properties()[name]


def output_or_none(system: System, series: str) -> ExtrasOutput | None:
    """The output that holds a series of all beads, of several the one that is written most often."""
    found = [
        output
        for output in system.extras_outputs
        if any(series_of_extras().get(extra) == series for extra in output.extras) and output.holds_all(system.beads)
    ]
    return min(found, key=lambda output: output.stride, default=None)


def output_of(system: System, series: str) -> ExtrasOutput:
    """The same.

    Raises
    ------
    InputError
        If there is none.
    """
    found = output_or_none(system, series)
    if found is None:
        key = series_kinds()[series].key
        raise InputError(
            f"'{system.run.path}' writes no {key} of all beads; add <trajectory filename='{key}' stride='10' "
            f"extra_type='{key}'> extras </trajectory>"
        )
    return found


def scalar_of(one: Property, values: np.ndarray) -> np.ndarray:
    """One number of each sample (…): itself, or a third of a trace; of other forms there is none, shape (…, 0)."""
    if one.shape == ():
        return values
    if one.shape == (3, 3):
        return np.trace(values, axis1=-2, axis2=-1) / 3
    return values.reshape(*values.shape[:3], -1)[..., 0][:, :, :0]


def first_structure(run: RunInput) -> Atoms | None:
    """What bonds are read from: the first sample of the positions, mean over beads; None if they are not written."""
    try:
        trajectory: BeadTrajectory = find_bead_trajectory(run)
        positions, cell = trajectory.frame(trajectory.steps[0])
        return Atoms(run.numbers, positions=positions.mean(axis=0), cell=cell, pbc=True)
    except (BeadwiseError, IndexError, OSError):
        return None
