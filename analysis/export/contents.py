"""What a system wrote that stands beside its positions, and what each file gives at a step."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ...runs.input.elements import InputError
from ...runs.input.outputs import ExtrasOutput, TrajectoryOutput
from ...runs.input.run_input import System
from ...runs.output.alignment import in_common
from ...runs.output.extras_file import ExtrasFile
from ...runs.output.properties import PropertyTable, read_property_table
from ...runs.output.trajectory_file import ENDINGS, TrajectoryFile
from ...runs.units import lengths_from_atomic
from .units import FAMILIES, in_own_unit

Values = Mapping[str, np.ndarray]
CENTROID = "centroid"
MEAN = "mean_"  # before what is the mean over beads, and no property of the structure
OF_BEADS = {"positions": "length", "forces": "force", "velocities": "velocity"}  # and i-PI's dimension of each
OF_CENTROID = {"x_centroid": "positions", "f_centroid": "forces", "v_centroid": "velocities"}


@dataclass(frozen=True)
class Written:
    """A file, or one for each bead, and what it gives.

    Parameters
    ----------
    what : str
        For people: its names.
    files : tuple of Path
    stride : int
        Steps between its samples, as the input says.
    steps : ndarray of int64, shape (samples,)
        Increasing.
    read : callable
        Values at a step by their names: of each bead that was asked for, or of all of them one.
    of_atoms : bool
        Whether the first axis of each value is that of the atoms.
    digits : int
        Significant ones of the numbers, where they are few; 0 where not.
    """

    what: str
    files: tuple[Path, ...]
    stride: int
    steps: np.ndarray
    read: Callable[[int], list[dict[str, np.ndarray]]]
    of_atoms: bool = False
    digits: int = 0


@dataclass(frozen=True)
class Selection:
    """Which structures of a system are wanted.

    Parameters
    ----------
    beads : tuple of int
        Numbers of the beads; empty for the centroid.
    of : int
        How many beads the system has.
    """

    beads: tuple[int, ...]
    of: int

    @property
    def is_centroid(self) -> bool:
        """Whether it is the centroid of several beads; that of a single one is the bead."""
        return not self.beads


def positions_of(system: System, selection: Selection) -> Written:
    """The positions of a selection, and the cell in Å as ``cell``; of several outputs that which is written most often.

    Raises
    ------
    InputError
        If the run does not write them.
    """
    found = [one for one in _trajectories(system, selection) if one.what == "positions"]
    if not found:
        keyword = "x_centroid" if selection.is_centroid else "positions"
        raise InputError(
            f"'{system.run.path}' does not write {keyword} of what is asked for; add to its <output> <trajectory "
            f"filename='pos' stride='20' format='ase'> {keyword}{{ase}} </trajectory>, or choose other --beads"
        )
    return min(found, key=lambda one: (one.stride, one.digits))


def contents_of(system: System, selection: Selection) -> list[Written]:
    """What else is written of a selection: of several outputs of one thing that which is written most often."""
    found = [one for one in _trajectories(system, selection) if one.what != "positions"]
    found += [*_extras(system, selection), *_properties(system, selection)]
    best: dict[str, Written] = {}
    for one in found:
        if one.what not in best or one.stride < best[one.what].stride:
            best[one.what] = one
    return list(best.values())


def _trajectories(system: System, selection: Selection) -> Iterator[Written]:
    for output in system.trajectory_outputs:
        if output.form not in ENDINGS:
            continue
        if output.keyword in OF_BEADS:
            beads = range(selection.of) if selection.is_centroid else selection.beads
            if set(beads) <= set(output.written.written(selection.of)):
                names = dict(zip(output.written.written(selection.of), output.written.files(selection.of), strict=True))
                yield _trajectory(system, output, selection, output.keyword, [names[bead] for bead in beads])
        elif output.keyword in OF_CENTROID and (selection.is_centroid or selection.of == 1):
            yield _trajectory(system, output, selection, OF_CENTROID[output.keyword], [output.written.name])


def _trajectory(
    system: System, output: TrajectoryOutput, selection: Selection, name: str, names: Sequence[str]
) -> Written:
    atoms, family = len(system.labels), OF_BEADS[name]
    paths = tuple(system.run.folder / f"{one}{ENDINGS[output.form]}" for one in names)
    files = [TrajectoryFile(path, output.form, atoms, family) for path in paths if os.path.exists(path)]
    called = f"{MEAN}{name}" if selection.is_centroid and name == "forces" else name

    def read(step: int) -> list[dict[str, np.ndarray]]:
        frames = [file.frame(step) for file in files]
        values = [in_own_unit(values, family) for values, _ in frames]
        if selection.is_centroid:
            values = [np.mean(values, axis=0)]
        cell = {"cell": lengths_from_atomic(frames[0][1])} if name == "positions" else {}
        return [{called: one, **cell} for one in values]

    steps = _common([file.steps for file in files] if len(files) == len(paths) else [])
    digits = 6 if output.form == "xyz" else 0
    return Written(called, paths, output.written.stride, steps, read, of_atoms=True, digits=digits)


def _extras(system: System, selection: Selection) -> Iterator[Written]:
    for output in (*system.extras_outputs, *system.bias_outputs):
        beads = range(selection.of) if selection.is_centroid else selection.beads
        written = output.written(selection.of)
        if set(beads) <= set(written) and (not output.rows or output.rows == selection.of):
            yield _extras_of(system, output, selection, list(beads))


def _extras_of(system: System, output: ExtrasOutput, selection: Selection, beads: list[int]) -> Written:
    atoms = len(system.labels)
    names = output.files(selection.of)
    if not output.rows:
        by_bead = dict(zip(output.written(selection.of), names, strict=True))
        names = [by_bead[bead] for bead in beads]
    paths = tuple(system.run.folder / name for name in names)
    files = [ExtrasFile(path, atoms) for path in paths if os.path.exists(path)]

    def read(step: int) -> list[dict[str, np.ndarray]]:
        records = [record for file in files for record in file.record(step)]
        records = [records[bead] for bead in beads] if output.rows else records
        if not selection.is_centroid:
            return records
        return [{f"{MEAN}{name}": np.mean([one[name] for one in records], axis=0) for name in records[0]}]

    steps = _common([file.steps for file in files] if len(files) == len(paths) else [])
    return Written(", ".join(output.extras), paths, output.stride, steps, read)


def _properties(system: System, selection: Selection) -> Iterator[Written]:
    for output in system.properties_outputs:
        path = system.run.folder / output.name
        table = read_property_table(path, system.timestep)
        if table is None:
            continue
        try:
            steps = table.steps
        except InputError:  # it tells neither steps nor times
            continue
        read = partial(_row, table, selection)
        names = [one.name for one in table.properties if one.name in FAMILIES and one.name not in ("step", "time")]
        if names:
            yield Written(", ".join(names), (path,), output.stride, steps, read)


def _row(table: PropertyTable, selection: Selection, step: int) -> list[dict[str, np.ndarray]]:
    """Properties of a step: those of the beads for each of them, and all others once."""
    row = table.rows[int(np.searchsorted(table.steps, step))]
    common: dict[str, np.ndarray] = {}
    energies = None
    for one in table.properties:
        if one.name not in FAMILIES or one.name in ("step", "time"):
            continue
        values = in_own_unit(row[one.columns], FAMILIES[one.name], one.unit or "automatic")
        if one.name == "bead_potentials":
            energies = values
        elif len(values) == 1:
            name = one.name + (f"_{one.argument}" if one.argument else "")
            common["".join(letter if letter.isalnum() else "_" for letter in name)] = values[0]
    if selection.of == 1 and energies is None and "potential" in common:
        energies = np.array([common["potential"]])
    if selection.is_centroid or energies is None:
        return [common] * max(1, len(selection.beads))
    return [{**common, "energy": energies[bead]} for bead in selection.beads]


def _common(steps: Sequence[np.ndarray]) -> np.ndarray:
    """Steps that all files have; none if there are no files, or not all of them yet."""
    return in_common(steps)[0] if steps else np.zeros(0, dtype=np.int64)
