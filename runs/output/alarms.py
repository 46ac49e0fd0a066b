"""What a model said of itself at every step: its uncertainties, its distance from the training frames, its members.

i-PI writes them among the extras of every bead.  They make no series of which spectra are made, and are read apart.
"""

from __future__ import annotations

import math
import os
import re
from math import prod

import numpy as np

from ...errors import SeriesError
from ...properties.quantities import Property, properties, table_of_registry
from ..input.run_input import System
from ..units import from_atomic
from .alignment import AlignedBeads
from .records import BeadFile

ENERGIES = "committee_energy"
KINDS = ("uncertainty", "alarm")


@table_of_registry
def told_by_models() -> dict[str, str]:
    """Names of properties by i-PI's name of the extra: uncertainties, alarms, and the potentials of members."""
    known = {one.key: name for name, one in properties().items() if one.key and one.kind in KINDS}
    return {**known, properties()[ENERGIES].key: ENERGIES}


@table_of_registry
def _keys() -> dict[str, Property]:
    """Properties by i-PI's name of the extra."""
    return {one.key: one for one in properties().values() if one.key}


class AlarmFile(BeadFile):
    """The extras of one bead, of which any may stand in the file; see `beadwise.runs.output.records.BeadFile`."""

    def _learn_format(self, header: re.Match[bytes], bodies: list[bytes]) -> None:
        self.names = tuple(name.strip() for name in header["names"].decode(errors="replace").split(","))
        self._numbers = len(next((body for body in bodies if body), b"").split())


class ModelAlarms:
    """What a model said along a run, read as its files grow.

    Parameters
    ----------
    system : System
    most_bytes : float
        Outputs whose files are larger than this together are passed over.

    Attributes
    ----------
    steps : dict of str to ndarray of int64, shape (samples,)
        By the name of the property.
    values : dict of str to ndarray of float64
        In eV and Å: of ``committee_energy`` (samples, members), the mean over beads; of what there is for each atom
        (samples, atoms), and of all others (samples,), the largest of all beads.
    """

    def __init__(self, system: System, most_bytes: float = math.inf):
        beads, atoms = system.beads, len(system.labels)
        self.steps: dict[str, np.ndarray] = {}
        self.values: dict[str, np.ndarray] = {}
        self._readings = []
        for output in system.extras_outputs:
            wanted = [name for name in output.extras if name in told_by_models()]
            if wanted and not output.rows and set(output.extras) <= set(_keys()):
                paths = [system.run.folder / name for name in output.files(beads)]
                if sum(os.path.getsize(path) for path in paths if os.path.exists(path)) > most_bytes:
                    continue
                files = [AlarmFile(path) for path in paths]
                self._readings.append(_Reading(files, output.extras, atoms))

    def read(self) -> bool:
        """Take in what is new; whether there was anything.

        Raises
        ------
        SeriesError
            If a file cannot be read.
        """
        found = False
        for reading in self._readings:
            while (new := reading.read()) is not None:
                found = True
                steps, values = new
                for name, own in values.items():
                    self.steps[name] = np.concatenate([self.steps.get(name, steps[:0]), steps])
                    self.values[name] = np.concatenate([self.values.get(name, own[:0]), own])
        return found


class _Reading:
    """One output of extras, with a file for each bead."""

    def __init__(self, files: list[AlarmFile], extras: tuple[str, ...], atoms: int):
        self._files = files
        self._extras = extras
        self._atoms = atoms
        self._aligned = AlignedBeads(len(files))

    def read(self) -> tuple[np.ndarray, dict[str, np.ndarray]] | None:
        """The next samples that all beads have; None if there are none."""
        for bead, file in enumerate(self._files):
            self._aligned.add(bead, *file.read())
        steps, rows = self._aligned.take()
        if not len(steps):
            return None
        beads = np.array(rows)  # (beads, samples, numbers)
        found = {}
        for extra, columns in self._columns(beads.shape[2]).items():
            name = told_by_models()[extra]
            own = from_atomic(name, beads[:, :, columns])
            # an average of the potentials, and the worst of all beads of what warns
            found[name] = own.mean(axis=0) if name == ENERGIES else np.abs(own).max(axis=0)
            if properties()[name].per == "cell" and name != ENERGIES:
                found[name] = found[name].max(axis=1)
        return steps, found

    def _columns(self, numbers: int) -> dict[str, slice]:
        """Columns of what is wanted; how many members there are follows from the length of a row."""
        sizes: list[int] = []
        for extra in self._extras:
            one = _keys()[extra]
            size = prod(one.shape) * (self._atoms if one.per == "atom" else 1)
            sizes.append(-size if one.kind == "members" or one.per not in ("cell", "atom") else size)
        rest = numbers - sum(size for size in sizes if size > 0)
        each = -sum(size for size in sizes if size < 0)
        count = rest // each if each else 0
        if rest != count * each or (each and count < 1):
            raise SeriesError(f"'{self._files[0].path}' has {numbers} numbers in a record of {', '.join(self._extras)}")
        ends = np.cumsum([size if size > 0 else -size * count for size in sizes]).tolist()
        starts = [0, *ends[:-1]]
        return {
            extra: slice(start, end)
            for extra, start, end in zip(self._extras, starts, ends, strict=True)
            if extra in told_by_models()
        }
