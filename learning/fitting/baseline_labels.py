"""What a baseline says of labelled frames: evaluated in parallel, kept on disk, and taken from their labels."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ...model import BaselineError, Batch, BeadwiseError, Committee, Corrected, Evaluator, Response
from ...model.correction import ENERGIES
from ...model.evaluators import files_of, full_name, load_evaluator, parts_of, short_name
from ...model.kept_answers import Answer, KeptAnswers, beads_of_batch, structure_key
from ...progress import Progress
from ...reading import digest_of
from ...whole_files import write_bytes
from ..data import Frame


class CachedBaseline:
    """A baseline whose answers are kept in files, one for each structure.

    A file is written as soon as its answer is there, and appears whole or not at all: whatever ends a fit, at most the
    evaluations under way are lost.

    Parameters
    ----------
    name : str
        Of a potential, as `beadwise.model.evaluators.load_evaluator` takes it.
    folder : Path
        Where baselines are kept; this one gets a folder of its own in it.

    Raises
    ------
    BaselineError
        If the baseline cannot be had, or lacks energy or forces.
    """

    def __init__(self, name: str, folder: Path):
        self.name = full_name(name)
        self.evaluator = load_baseline(self.name)
        self.folder = folder / re.sub(r"[^A-Za-z0-9.=-]+", "_", short_name(self.name))
        self.provider = str(getattr(self.evaluator, "provider", ""))
        digests = map(digest_of, dict.fromkeys(files_of(self.name)))
        identity = " ".join([self.name, self.provider, *digests])
        shelf = AnswerFolder(self.folder, identity, self.properties)
        title = f"the baseline {self.name}"
        self._answers = KeptAnswers(self.name, self.evaluator, self.properties, shelf, title, BaselineError)

    @property
    def species(self) -> tuple[int, ...]:
        """Atomic numbers that can be evaluated."""
        return self.evaluator.species

    @property
    def properties(self) -> tuple[str, ...]:
        """Energy, forces and, if the baseline has it, virial."""
        return tuple(name for name in ENERGIES if name in self.evaluator.properties)

    def evaluate(self, batch: Batch, want: Sequence[str]) -> Response:
        """Look every bead up, and evaluate those that are not there.

        Parameters
        ----------
        batch : Batch
        want : sequence of str
            Names out of `properties`.

        Raises
        ------
        BaselineError
            If an answer cannot be kept.
        StructureError
            If the baseline cannot answer for a structure, or with numbers that are not finite.
        """
        answers = [self._answers.of_bead(bead) for bead in beads_of_batch(batch)]
        return Response(**{name: np.array([answer[name] for answer in answers]) for name in want})

    def prepare(self, frames: Iterable[Frame], progress: Progress | None = None, workers: int | None = None) -> None:
        """Evaluate all frames that are not kept yet, several at the same time.

        The processes import the program that calls this once more: a script of your own does so below
        ``if __name__ == "__main__"``, as for every use of `multiprocessing`.

        Parameters
        ----------
        frames : iterable of Frame
        progress : callable, optional
            Called with a description, frames done, and frames in all.
        workers : int, optional
            Processes; by default one for every core that may be used.

        Raises
        ------
        BaselineError
            If a frame cannot be evaluated, naming it, or a process is ended from outside; what others gave is kept.
        """
        shelf = self._answers.shelf
        tasks = {shelf.key(batch): (frame.name, batch) for frame, batch in _with_batches(frames)}
        missing = [task for key, task in tasks.items() if shelf.find(key, task[1]) is None]
        done, total, title = len(tasks) - len(missing), len(tasks), f"baseline {self.name}"
        if progress:
            progress(title, done, total)
        for _ in self._answers.of_all(missing, workers):
            done += 1
            if progress:
                progress(title, done, total)


class AnswerFolder:
    """A folder with a file of arrays for each structure; see `beadwise.model.kept_answers.Shelf`.

    Parameters
    ----------
    folder : Path
    identity : str
        Tells the potential from all others.
    properties : sequence of str
        What each file holds.
    """

    def __init__(self, folder: Path, identity: str, properties: Sequence[str]):
        self.folder = folder
        self._identity = identity
        self._properties = tuple(properties)

    @property
    def content(self) -> str:
        """What is kept, and where."""
        return f"{sum(1 for _ in self.folder.glob('[!.]*.npz'))} frames are kept in '{self.folder}'"

    def key(self, bead: Batch) -> str:
        """Hash of potential and structure."""
        arrays = bead.numbers, bead.positions, bead.cells, bead.periodic
        return structure_key(self._identity, *arrays, charge=bead.charge)

    def find(self, key: str, bead: Batch) -> Answer | None:
        """The answer for one bead; None where there is none, or what is there is damaged or of something else."""
        try:
            with np.load(self._path(key)) as archive:
                answer = {name: archive[name] for name in archive.files}
        except Exception:  # whatever NumPy, zipfile and zlib stumble over in what is damaged: it is evaluated anew
            return None
        shapes = {"energy": (), "forces": (bead.atoms, 3), "virial": (3, 3)}
        is_whole = {name: array.shape for name, array in answer.items()} == {
            name: shapes[name] for name in self._properties
        }
        return answer if is_whole else None

    def keep(self, key: str, answer: Answer) -> None:
        """Write the file of one bead.

        Raises
        ------
        BaselineError
            If it cannot be written.
        """
        content = io.BytesIO()
        arrays: dict[str, Any] = dict(answer)  # Any, since savez has keywords of its own
        np.savez(content, **arrays)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_bytes(self._path(key), content.getvalue())
        except OSError as error:
            raise BaselineError(f"its answer cannot be kept in '{self.folder}': {error.strerror or error}") from error

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.npz"


def load_baseline(name: str) -> Evaluator:
    """Load a potential that can be a baseline.

    Raises
    ------
    BaselineError
        If it is made of model files, which would mean something else elsewhere, cannot be had, or lacks energy or
        forces.
    """
    if parts_of(name) or ".safetensors" in name or os.path.isfile(name):
        raise BaselineError(
            f"baseline '{name}' is made of files; allowed are potentials that have a name everywhere, as GFN1-xTB, "
            "qtip4pf, ase:package.module.Class"
        )
    try:
        evaluator = load_evaluator(name)
    except BeadwiseError as error:
        raise BaselineError(f"baseline '{name}': {error}") from error
    lacking = [needed for needed in ("energy", "forces") if needed not in evaluator.properties]
    if lacking:
        raise BaselineError(f"baseline '{name}' has {list(evaluator.properties)}; it must have {', '.join(lacking)}")
    return evaluator


def with_kept_baseline(model: Evaluator, folder: Path, name: str) -> tuple[Corrected, CachedBaseline]:
    """The same model with a baseline whose answers are kept in files, and that baseline.

    Parameters
    ----------
    model : Evaluator
        A correction to a baseline, or a committee of them.
    folder : Path
        Where baselines are kept.
    name : str
        What the user calls the model.

    Raises
    ------
    BaselineError
        If it corrects no baseline.
    """
    correction = model.correction if isinstance(model, Corrected) else None
    first = correction.members[0] if isinstance(correction, Committee) else correction
    baseline = getattr(first, "baseline", "")
    if correction is None or not baseline:
        raise BaselineError(f"model '{name}' corrects no baseline that could be kept; allowed is one that does")
    kept = CachedBaseline(baseline, folder)
    return Corrected(kept, correction), kept


def without_baseline(frames: Iterable[Frame], baseline: CachedBaseline) -> list[Frame]:
    """The frames with what the baseline gives taken from their energies, forces and stresses.

    Parameters
    ----------
    frames : iterable of Frame
        Not changed.
    baseline : CachedBaseline

    Returns
    -------
    list of Frame
        A stress that the baseline does not have is left out.
    """
    return [_difference(frame, baseline) for frame in frames]


def _difference(frame: Frame, baseline: CachedBaseline) -> Frame:
    labels = dict(frame.labels)
    if not {"energy", "forces", "stress"} & set(labels):
        return frame
    response = baseline.evaluate(Batch.from_ase(frame.atoms), baseline.properties)
    for name in ("energy", "forces"):
        if name in labels:
            labels[name] = labels[name] - response[name][0]
    if "stress" in labels:
        if "virial" in baseline.properties and frame.atoms.cell.rank == 3:
            labels["stress"] = labels["stress"] + response.virial[0] / frame.atoms.get_volume()
        else:
            del labels["stress"]
    return replace(frame, labels=labels)


def _with_batches(frames: Iterable[Frame]) -> Iterator[tuple[Frame, Batch]]:
    for frame in frames:
        if {"energy", "forces", "stress"} & set(frame.labels):
            yield frame, Batch.from_ase(frame.atoms)
