"""The one way from a file of a series to what is made of it: units, conditions, what is left out, and checks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import numpy as np

from ...properties.quantities import properties
from ...properties.unit_names import in_own_units
from ...quantity import Unit
from ...runs.output.series_files import Source
from ...spectra import Conditions, SeriesError
from ...spectra.checks.continuity import Continuity
from ...spectra.checks.repeats import Repeats
from .conditions import RunConditions
from .series_conditions import NOTHING_GIVEN, Given, Samples, conditions_of, left_out_of

CONTINUOUS = ("dipole", "polarizability")


class CheckedSeries:
    """The samples of one trajectory that count, in units of e, Å and eV.

    Parameters
    ----------
    source : Source
    run : RunConditions or None
        What the input of the run says.
    given : Given
        It counts more than `run`.
    skip : float or None
        Time at the beginning that is left out, in ps; None for a tenth of the trajectory.
    repeats : Repeats, optional
        Those of all trajectories that belong together.
    """

    def __init__(
        self,
        source: Source,
        run: RunConditions | None = None,
        given: Given = NOTHING_GIVEN,
        skip: float | None = 0.0,
        repeats: Repeats | None = None,
    ):
        self.source, self._run, self._given, self._skip = source, run, given, skip
        self._repeats = Repeats() if repeats is None else repeats
        self._continuity: dict[str, Continuity] = {}
        self._unusable: dict[str, str] = {}  # optional series that are left out, and why
        self._conditions: Conditions | None = None
        self._first = 0

    @property
    def conditions(self) -> Conditions:
        """Under which it was recorded; known with the first piece."""
        assert self._conditions is not None
        return self._conditions

    @property
    def remarks(self) -> list[str]:
        """What a user should know of how it was read."""
        followed = [
            f"the {name} jumps {one.jumps} times by quanta of polarization, and its branch was followed "
            f"({self._named(one.lattice)})"
            for name, one in self._continuity.items()
            if one.lattice is not None
        ]
        left_out = [f"the {name} is left out: {why}" for name, why in self._unusable.items()]
        remarks = (*dict.fromkeys(self.source.remarks), *followed, *left_out)
        return [f"'{self.source.path}': {remark}" for remark in remarks]

    def pieces(
        self,
        choose: Callable[[Samples], dict[str, np.ndarray]],
        optional: Mapping[str, tuple[int, ...]] | None = None,
    ) -> Iterator[Samples]:
        """Consecutive samples, some at a time.

        Parameters
        ----------
        choose : callable
            Takes what is needed out of all that a file holds, what is never optional first.
        optional : mapping of str to tuple of int, optional
            Series that can be done without, and the shape of a sample; from where one cannot be used it is left out,
            with a remark.

        Raises
        ------
        SeriesError
            If a sample is not finite, the series jumps or holds samples twice, or what the file says of its time and
            cell contradicts what is given.
        """
        optional = optional or {}
        left_out: int | None = None
        seen = 0
        for samples in self.source.samples():
            needed = self._of_right_shape(choose(samples), optional)
            if left_out is None:
                self._conditions = conditions_of(self.source, self._run, self._given, samples)
                timestep = self._conditions.timestep
                left_out = self._first = left_out_of(self.source.count(), self._skip, timestep, self.source.path)
                self._repeats.begin(f"'{self.source.path}'", left_out)
            factors = self._factors(needed)
            length = len(next(iter(needed.values())))
            first, left_out, seen = seen + min(left_out, length), max(0, left_out - length), seen + length
            if first == seen:
                continue
            kept: Samples = {
                name: np.asarray(values[first - seen :], dtype=np.float64) for name, values in needed.items()
            }
            kept = {name: values * factors.get(name, 1.0) for name, values in kept.items()}
            kept = self._usable(kept, optional, partial(self._finite, first=first))
            self._repeats.add(next(iter(kept.values())))
            yield self._usable(kept, optional, self._continuous)
        if left_out is not None:
            self._repeats.end()

    def _factors(self, needed: Samples) -> dict[str, float]:
        """What the series of the unit that is given are multiplied by."""
        if self._given.unit is None:
            return {}
        known = {name: properties()[name].unit for name in needed if name in properties()}
        unit = known.get(next(iter(needed)), Unit())
        factor = in_own_units(self._given.unit, unit)
        if self.source.unit:
            factor /= (told := in_own_units(self.source.unit, unit))
            if self.source.tells_unit and not np.isclose(factor, 1.0, rtol=1e-6):
                raise SeriesError(
                    f"'{self.source.path}' says that its unit is {self.source.unit}, {told:.6g} {unit}, and --unit "
                    f"says {self._given.unit}; leave out --unit, or mend the file"
                )
        return {name: factor for name in needed if known.get(name) == unit}

    def _of_right_shape(self, samples: Samples, optional: Mapping[str, tuple[int, ...]]) -> Samples:
        """What is needed, and those optional series that have a shape and a length which can be used."""
        length = len(next(iter(samples.values())))
        for name in optional:
            if name in samples and np.shape(samples[name]) != (expected := (length, *optional[name])):
                self._unusable.setdefault(name, f"it has the shape {np.shape(samples[name])}; expected {expected}")
        return {name: values for name, values in samples.items() if name not in self._unusable}

    def _usable(
        self,
        samples: Samples,
        optional: Mapping[str, tuple[int, ...]],
        check: Callable[[str, np.ndarray], np.ndarray],
    ) -> Samples:
        """What a check gives of each series; of what can be done without nothing, if it refuses it."""
        found = {}
        for name, values in samples.items():
            try:
                found[name] = check(name, values)
            except SeriesError as error:
                if name not in optional:
                    raise
                self._unusable[name] = str(error)
        return found

    def _finite(self, name: str, values: np.ndarray, first: int) -> np.ndarray:
        finite = np.isfinite(values.reshape(len(values), -1)).all(axis=1)
        if not finite.all():
            place = first + int(np.argmin(finite))
            raise SeriesError(f"sample {place} of the series is not finite: {name} of '{self.source.path}'")
        return values

    def _continuous(self, name: str, values: np.ndarray) -> np.ndarray:
        if name not in CONTINUOUS:
            return values
        if name not in self._continuity:
            lattices = self._lattices() if name == "dipole" and values.shape[1:] == (3,) else []
            self._continuity[name] = Continuity(f"{name} of '{self.source.path}'", lattices, self._first)
        return self._continuity[name].follow(values)

    def _lattices(self) -> list[np.ndarray]:
        """Quanta of polarization that there may be, in e·Å, of a mean over the beads."""
        cell = self._known_cell
        if cell is None and self._given.volume is not None:
            cell = np.cbrt(self._given.volume) * np.eye(3)
        return [] if cell is None else [cell / max(self.conditions.beads, 1)]

    @property
    def _known_cell(self) -> np.ndarray | None:
        if self.source.cell is None and self._run is not None:
            return self._run.cell
        return self.source.cell

    def _named(self, lattice: np.ndarray) -> str:
        edges = ", ".join(f"{edge:.6g}" for edge in np.linalg.norm(lattice, axis=1))
        return f"{edges} e·Å" + ("" if self._known_cell is not None else ", of a cubic cell of the volume")
