"""Structures of a run with all that was written of them, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from ...errors import BeadwiseError
from ...model import Batch, Evaluator
from ...properties.quantities import properties
from ...runs.input.atoms import atomic_numbers_of
from ...runs.input.run_input import System
from ...runs.output.alignment import in_common
from ...runs.units import PERIODIC
from .contents import Selection, Written, contents_of, positions_of

ROUNDED = 2e-5  # Å: what the five decimals of a cell in i-PI's xyz leave open


@dataclass(frozen=True)
class Frame:
    """One structure.

    Parameters
    ----------
    step : int
    time : float or None
        In fs; None if the run is no dynamics.
    bead : int
        Its number; −1 for the centroid.
    positions : ndarray of float64, shape (atoms, 3)
        In Å.
    cell : ndarray of float64, shape (3, 3)
        In Å, one vector per row.
    values : dict of str to ndarray
        What is known of the structure, or of the step.
    of_atoms : dict of str to ndarray
        What is known of each atom, whose axis is the first.
    """

    step: int
    time: float | None
    bead: int
    positions: np.ndarray
    cell: np.ndarray
    values: Mapping[str, np.ndarray]
    of_atoms: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class FramesOfSystem:
    """All structures of a system that are exported.

    Parameters
    ----------
    system : System
    selection : Selection
    steps : ndarray of int64, shape (steps,)
    positions : Written
    contents : tuple of Written
        What else is exported.
    evaluator : Evaluator or None
        What evaluates properties that the run did not write.
    evaluated : tuple of str
        These.
    remarks : tuple of str
        What is left out, and why.
    """

    system: System
    selection: Selection
    steps: np.ndarray
    positions: Written
    contents: tuple[Written, ...]
    evaluator: Evaluator | None = None
    evaluated: tuple[str, ...] = ()
    remarks: tuple[str, ...] = field(default=())

    @cached_property
    def numbers(self) -> np.ndarray:
        """Atomic numbers, shape (atoms,), int32."""
        return atomic_numbers_of(self.system.labels, self.system.run.path)

    @property
    def count(self) -> int:
        """Number of structures."""
        return len(self.steps) * self.per_step

    @property
    def per_step(self) -> int:
        """Structures of a step."""
        return max(1, len(self.selection.beads))

    def __iter__(self) -> Iterator[Frame]:
        for step in self.steps.tolist():
            yield from self._frames(step)

    def sample(self) -> Frame:
        """The first of them, as an example of what each holds."""
        return next(iter(replace(self, steps=self.steps[:1])))

    def _frames(self, step: int) -> list[Frame]:
        structures = self.positions.read(step)
        values: list[dict[str, np.ndarray]] = [{} for _ in structures]
        of_atoms: list[dict[str, np.ndarray]] = [{} for _ in structures]
        for one in self.contents:
            for number, found in enumerate(one.read(step)):
                for name, value in found.items():
                    is_of_atoms = one.of_atoms or _is_of_atoms(name)
                    (of_atoms if is_of_atoms else values)[number][name] = np.asarray(value)
        cells = [self._exact(one["cell"]) for one in structures]
        positions = [one["positions"] for one in structures]
        if self.evaluator is not None:
            batch = Batch(self.numbers, np.array(positions), np.array(cells), PERIODIC)
            response = self.evaluator.evaluate(batch, self.evaluated)
            for name in self.evaluated:
                for number, value in enumerate(response[name]):
                    if not _is_of_atoms(name):
                        values[number][name] = value
                    else:  # of members, theirs is the first axis
                        of_atoms[number][name] = np.moveaxis(value, 1, 0) if _is_of_members(name) else value
        timestep = self.system.timestep
        time = None if timestep is None else step * timestep
        beads = self.selection.beads or (-1,)
        return [Frame(step, time, *own) for own in zip(beads, positions, cells, values, of_atoms, strict=True)]

    def _exact(self, cell: np.ndarray) -> np.ndarray:
        """The cell that the run was given, where it stays and i-PI's xyz has rounded it."""
        if not self.positions.digits or not self.system.has_constant_volume:
            return cell
        own = self.system.cell
        return own if np.allclose(own, cell, rtol=1e-6, atol=ROUNDED) else cell


def _is_of_atoms(name: str) -> bool:
    one = properties().get(name)
    return one is not None and one.per == "atom"


def _is_of_members(name: str) -> bool:
    return properties()[name].kind == "members"


def frames_of(
    system: System, selection: Selection, skip: float, every: int, want: Sequence[str] | None
) -> FramesOfSystem:
    """Find what a system wrote of a selection, at steps that all of it has.

    Parameters
    ----------
    system : System
    selection : Selection
    skip : float
        Time to leave out at the beginning, in ps.
    every : int
        Of the steps, each of this number.
    want : sequence of str or None
        Names of what is exported beside the positions; None for all.

    Returns
    -------
    FramesOfSystem
        Its `evaluated` are those that the run did not write.

    Raises
    ------
    BeadwiseError
        If the run does not write positions, or there is no step that has all.
    """
    positions = positions_of(system, selection)
    remarks: list[str] = []
    contents: list[Written] = []
    begun = positions.steps
    if skip:
        begun = begun[begun * system.timestep_for("a time is left out at its beginning") >= 1000 * skip]
    if not len(begun):
        beyond = f" after {skip:g} ps" if skip else ""
        raise BeadwiseError(f"there is no whole frame of the positions{beyond} yet in '{positions.files[0]}'")
    found = [(in_common([begun, one.steps])[0], one) for one in contents_of(system, selection)]
    steps, given = begun, set[str]()
    for common, one in sorted(found, key=lambda pair: -len(pair[0])):  # of one thing, where it is written most often
        if not len(common):
            remarks.append(f"without {one.what}: '{one.files[0].name}' has no step of the positions")
            continue
        named = set(one.read(int(common[0]))[0]) - given
        named &= named if want is None else set(want)
        if not named:
            continue
        if len(common) < len(begun):
            remarks.append(f"at {len(common)} of the {len(begun)} steps of the positions there is {one.what}")
        given |= named
        contents.append(_only(one, named))
        steps, _ = in_common([steps, common])
    if not len(steps):
        names = "; ".join(one.what for one in contents)
        raise BeadwiseError(f"no step of '{system.run.path}' has all of positions; {names}: --want names fewer")
    missing = tuple(name for name in want or () if name not in given)
    if len(steps) < len(begun):
        remarks.append(f"{len(steps)} of {len(begun)} steps have all of it; --want can name what is written more often")
    return FramesOfSystem(system, selection, steps[::every], positions, tuple(contents), None, missing, tuple(remarks))


def _only(one: Written, names: set[str]) -> Written:
    """The same without what is not wanted, or written more often elsewhere."""
    return replace(one, read=lambda step: [{n: v for n, v in own.items() if n in names} for own in one.read(step)])
