"""What a baseline says of labelled frames: evaluated in parallel, kept on disk, and taken from their labels."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...model import BaselineError, Batch, BeadwiseError, Committee, Corrected, Evaluator, Response, StructureError
from ...model.correction import ENERGIES
from ...model.evaluators import full_name, load_evaluator, parts_of, short_name
from ...model.worker_processes import START, later_interrupts, processes, usable_cores
from ..data import Frame

Progress = Callable[[str, int, int], None]


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
        self.provider = str(getattr(self.evaluator, "provider", ""))
        self.folder = folder / re.sub(r"[^A-Za-z0-9.=-]+", "_", short_name(self.name))

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
        beads = [_bead(batch, bead) for bead in range(batch.beads)]
        answers = [self._kept(bead) or self._evaluated(bead) for bead in beads]
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
        missing = {self._path(batch): (batch, frame.name) for frame, batch in _with_batches(frames)}
        total = len(missing)
        missing = {path: task for path, task in missing.items() if self._kept(task[0]) is None}
        done = total - len(missing)
        workers = min(workers or usable_cores(), len(missing))

        def advance() -> None:
            nonlocal done
            done += 1
            if progress:
                progress(self._description, done, total)

        if progress:
            progress(self._description, done, total)
        left = list(missing.items())
        began = time.monotonic()
        # the first one here, which tells what the others will take
        while left and (workers == 1 or len(left) == len(missing) or self._is_soon_done(began, missing, left)):
            _, (batch, frame) = left.pop(0)
            self._evaluate_frame(batch, frame)
            advance()
        if not left:
            return
        with processes(workers) as pool:
            with later_interrupts():  # processes start at the first submissions
                waiting = {
                    pool.submit(_evaluate_in_process, self.name, path, batch): frame for path, (batch, frame) in left
                }
            for finished in as_completed(waiting):
                try:
                    finished.result()
                except BeadwiseError as error:
                    raise self._failed(waiting[finished], error) from error
                except BrokenProcessPool as error:
                    raise BaselineError(
                        f"a process that evaluates the baseline {self.name} was ended from outside, as for want of "
                        f"memory; {done} of {total} frames are kept in '{self.folder}', and the same command goes on"
                    ) from error
                advance()

    @staticmethod
    def _is_soon_done(began: float, missing: Sized, left: Sized) -> bool:
        """Whether what is left takes less time than processes need to start."""
        done = len(missing) - len(left)
        return (time.monotonic() - began) / done * len(left) < START

    @property
    def _description(self) -> str:
        return f"baseline {self.name}"

    def _path(self, batch: Batch) -> Path:
        """File of a structure: named after everything that the answer depends on."""
        content = hashlib.sha256(f"{self.name} {self.provider}".encode())
        for array in (batch.numbers, batch.positions[0], batch.cells[0], batch.periodic):
            content.update(np.ascontiguousarray(array).tobytes())
        return self.folder / f"{content.hexdigest()[:32]}.npz"

    def _kept(self, batch: Batch) -> Mapping[str, np.ndarray] | None:
        """The answer for one bead; None where there is none, or what is there is damaged."""
        answer = _read(self._path(batch))
        shapes = {"energy": (), "forces": (batch.atoms, 3), "virial": (3, 3)}
        is_whole = answer is not None and {name: array.shape for name, array in answer.items()} == {
            name: shapes[name] for name in self.properties
        }
        return answer if is_whole else None

    def _evaluated(self, batch: Batch) -> Mapping[str, np.ndarray]:
        return _evaluate_and_keep(self.evaluator, self._path(batch), batch)

    def _evaluate_frame(self, batch: Batch, frame: str) -> None:
        try:
            self._evaluated(batch)
        except BeadwiseError as error:
            raise self._failed(frame, error) from error

    def _failed(self, frame: str, error: BeadwiseError) -> BaselineError:
        return BaselineError(f"the baseline {self.name} cannot be evaluated for {frame}: {error}")


def load_baseline(name: str) -> Evaluator:
    """Load a potential that can be a baseline.

    Raises
    ------
    BaselineError
        If it is made of model files, which would mean something else elsewhere, cannot be had, or lacks energy or
        forces.
    """
    if parts_of(name) or ".safetensors" in name or Path(name).is_file():
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


def _bead(batch: Batch, bead: int) -> Batch:
    """One bead as a batch of its own."""
    own = slice(bead, bead + 1)
    return replace(batch, positions=batch.positions[own], cells=batch.cells[own])


def _read(path: Path) -> Mapping[str, np.ndarray] | None:
    """Read a file of the cache; None where there is none that can be read."""
    try:
        with np.load(path) as archive:
            return {name: archive[name] for name in archive.files}
    except Exception:  # whatever NumPy, zipfile and zlib stumble over in what is damaged: it is evaluated anew
        return None


def _evaluate_and_keep(evaluator: Evaluator, path: Path, batch: Batch) -> Mapping[str, np.ndarray]:
    """Evaluate one bead, and write its file.

    Raises
    ------
    BaselineError
        If the file cannot be written.
    StructureError
        If the baseline cannot answer, or with numbers that are not finite.
    """
    response = evaluator.evaluate(batch, [name for name in ENERGIES if name in evaluator.properties])
    answer = {name: response[name][0] for name in response.names}
    for name, array in answer.items():
        if not np.isfinite(array).all():
            raise StructureError(f"its {name} is not finite")
    unfinished = path.with_name(f".{path.stem}.{os.getpid()}.npz")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(unfinished, **answer)
        unfinished.replace(path)
    except OSError as error:
        raise BaselineError(f"its answer cannot be kept in '{path.parent}': {error.strerror or error}") from error
    return answer


_evaluators: dict[str, Evaluator] = {}  # of a worker process, which is asked again and again for the same one


def _evaluate_in_process(name: str, path: Path, batch: Batch) -> None:
    if name not in _evaluators:
        _evaluators[name] = load_evaluator(name)
    _evaluate_and_keep(_evaluators[name], path, batch)
