"""A model that is served and watched: what it is unsure of is kept, and what it knows nothing of ends the run."""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms

from ...model import Batch, BeadwiseError, Evaluator, Response, StructureError
from ...model.evaluators import load_evaluator
from ...model.evaluators.trust import named_by_a_file
from ...reading import json_of, refusing

SETTINGS = "watch.json"
CANDIDATES = "candidates.xyz"
TABLE = "uncertainty.csv"
EXIT = "EXIT"  # a file that lets i-PI end softly
HEADINGS = ("step", "bead", "force_uncertainty", "envelope_distance")
FORCES, ENVELOPE = "forces_uncertainty", "envelope_distance"
MODEL_NAME = "beadwise.driver.launch.watched_model:from_settings"


@dataclass(frozen=True)
class WatchSettings:
    """What is watched, and how.

    Parameters
    ----------
    model : str
        As `beadwise.model.evaluators.load_evaluator` takes it; a file is relative to the folder of the run.
    beads : int
        Of the run.
    stride : int
        Steps between looks.
    flag, stop : float
        Calibrated standard deviations of the force on the worst atom, in eV/Å per component: above the first a
        structure is kept, above the second the run ends.
    envelope_flag, envelope_stop : float
        The same for the distance from the training data, in units of their range.
    keep_all : bool
        Keep whatever is looked at.
    threads : int
        Of an evaluation.
    """

    model: str
    beads: int
    stride: int
    flag: float
    stop: float
    envelope_flag: float = math.inf
    envelope_stop: float = math.inf
    keep_all: bool = False
    threads: int = 1

    def write(self, folder: Path) -> None:
        """Write them where `from_settings` finds them."""
        (folder / SETTINGS).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    def flagged(self, uncertainties: np.ndarray, distances: np.ndarray) -> np.ndarray:
        """Whether structures are uncertain, shape (structures,); what is not finite is."""
        return ~((uncertainties <= self.flag) & (distances <= self.envelope_flag))

    def beyond(self, uncertainties: np.ndarray, distances: np.ndarray) -> np.ndarray:
        """Whether structures end the run, shape (structures,)."""
        return ~((uncertainties <= self.stop) & (distances <= self.envelope_stop))


@dataclass(frozen=True)
class Visit:
    """Structures that i-PI asked for at once.

    Parameters
    ----------
    batch : Batch
    step, first : int
        Step that they belong to, and the place of the first among the beads, as far as counting tells.
    """

    batch: Batch
    step: int
    first: int

    def atoms(self, bead: int) -> Atoms:
        """One of the structures."""
        batch = self.batch
        return Atoms(batch.numbers, batch.positions[bead], cell=batch.cells[bead], pbc=batch.periodic)


class UncertaintyWatch:
    """An evaluator that answers as its model does and writes down how sure it was.

    i-PI never says which step or bead it asks for, so structures are counted: of every ``stride`` times ``beads`` of
    them, the first ``beads`` are looked at.  Where i-PI asks for all beads at once, these are the beads of one step.

    Parameters
    ----------
    evaluator : Evaluator
        With members.
    settings : WatchSettings
    folder : Path
        Where i-PI runs; candidates and the table of uncertainties are written there, and the file that ends the run.

    Raises
    ------
    BeadwiseError
        If the evaluator does not tell its uncertainty.
    """

    def __init__(self, evaluator: Evaluator, settings: WatchSettings, folder: Path):
        if FORCES not in evaluator.properties:
            raise BeadwiseError(
                f"'{settings.model}' has no {FORCES}; a model with members, or a committee, is needed to explore"
            )
        self._evaluator = evaluator
        self._settings = settings
        self._folder = folder
        self._alarms = [name for name in (FORCES, ENVELOPE) if name in evaluator.properties]
        self._structures = 0
        self._since: list[Visit] = []  # what came after the last look
        self._stopped = False
        with open(folder / TABLE, "w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerow(HEADINGS)

    @property
    def species(self) -> tuple[int, ...]:
        """Atomic numbers that can be evaluated."""
        return tuple(self._evaluator.species)

    @property
    def properties(self) -> tuple[str, ...]:
        """Those of the model."""
        return tuple(self._evaluator.properties)

    @property
    def metadata(self) -> object:
        """That of the model."""
        return getattr(self._evaluator, "metadata", None)

    def evaluate(self, batch: Batch, want: Sequence[str]) -> Response:
        """Answer as the model does; see `beadwise.model.Evaluator`.

        Where a look or the model finds that beads have flown apart, the structures since the last look are looked at,
        too: those on the way there can be learned from, and those after it cannot.
        """
        if self._stopped:
            return self._evaluator.evaluate(batch, want)
        beads = self._settings.beads
        place = self._structures % (self._settings.stride * beads)
        is_looked_at = place < beads
        self._structures += batch.beads
        # a batch of all beads may begin anywhere in the count: the beads of the first step are one structure
        visit = Visit(batch, (self._structures - 1) // beads, 0 if batch.beads == beads else place % beads)
        alarms = self._alarms if is_looked_at else []
        try:
            response = self._evaluator.evaluate(batch, tuple(dict.fromkeys([*want, *alarms])))
        except StructureError:
            self._look_back()
            raise
        if not is_looked_at:
            self._since.append(visit)
            return response
        if self._is_beyond(response):
            self._look_back()
        self._look(visit, response)
        self._since.clear()
        return Response(**{name: response[name] for name in want})

    def _look_back(self) -> None:
        """Look at what came after the last look, up to what ends the run."""
        for visit in self._since:
            # where all that is looked at is kept, that is a sample at equal times, and none of these
            self._look(visit, self._evaluator.evaluate(visit.batch, self._alarms), not self._settings.keep_all)
        self._since.clear()

    def _look(self, visit: Visit, response: Response, keeps: bool = True) -> None:
        """Write down what was seen, keep what is uncertain, and end the run where it leads nowhere; not after that."""
        if self._stopped:
            return
        uncertainties, distances = self._highest(response)
        with open(self._folder / TABLE, "a", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(
                [visit.step, visit.first + bead, f"{uncertainties[bead]:.6g}", f"{distances[bead]:.6g}"]
                for bead in range(visit.batch.beads)
            )
        kept = self._settings.flagged(uncertainties, distances) | self._settings.keep_all
        kept &= np.isfinite(response[FORCES]).all(axis=1) & keeps
        for bead in np.flatnonzero(kept):
            atoms = visit.atoms(int(bead))
            atoms.arrays[FORCES] = response[FORCES][bead]
            atoms.info |= {
                "force_uncertainty": float(uncertainties[bead]),
                ENVELOPE: float(distances[bead]),
                "step": visit.step,
                "bead": visit.first + int(bead),
            }
            ase.io.write(self._folder / CANDIDATES, atoms, format="extxyz", append=True)
        if self._is_beyond(response):
            self._stopped = True
            (self._folder / EXIT).touch()

    def _highest(self, response: Response) -> tuple[np.ndarray, np.ndarray]:
        """Uncertainty of the worst atom and distance from the training data, each of shape (structures,)."""
        uncertainties = response[FORCES].max(axis=1)
        return uncertainties, response[ENVELOPE] if ENVELOPE in response else np.zeros(len(uncertainties))

    def _is_beyond(self, response: Response) -> bool:
        return bool(self._settings.beyond(*self._highest(response)).any())


def from_settings() -> UncertaintyWatch:
    """Make the watch of a run in the current folder, as its server does.

    Raises
    ------
    BeadwiseError
        If there are no settings, or the model cannot be had.
    """
    folder = Path.cwd()
    with refusing(BeadwiseError, f"no settings of a watch in '{folder / SETTINGS}'"):
        settings = WatchSettings(**json_of((folder / SETTINGS).read_text(encoding="utf-8")))
    if not os.path.isfile(settings.model):  # the settings are a file, too
        with named_by_a_file(settings.model):
            return UncertaintyWatch(load_evaluator(settings.model, settings.threads), settings, folder)
    return UncertaintyWatch(load_evaluator(settings.model, settings.threads), settings, folder)


@dataclass(frozen=True)
class Seen:
    """What a watch wrote down of one run.

    Parameters
    ----------
    steps : ndarray of int, shape (structures,)
        Step of each structure that was looked at.
    uncertainties, distances : ndarray of float64, shape (structures,)
        Calibrated standard deviation of the force on its worst atom in eV/Å per component, and its distance from the
        training data.
    """

    steps: np.ndarray
    uncertainties: np.ndarray
    distances: np.ndarray


def read_seen(folder: Path) -> Seen:
    """Read the table of a run; a last row that is not whole is left out."""
    path = folder / TABLE
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)[1:] if path.exists() else []
    rows = [line.strip().split(",") for line in lines if line.endswith("\n")]
    with refusing(BeadwiseError, f"cannot read '{path}'"):
        table = np.array(rows, dtype=np.float64).reshape(-1, len(HEADINGS))
    return Seen(table[:, 0].astype(int), table[:, 2], table[:, 3])
