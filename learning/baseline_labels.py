"""What a baseline says of labelled frames: evaluated in parallel, kept on disk, and taken from their labels."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..model import BaselineError, Batch, BeadwiseError, Evaluator, Response
from ..model.correction import ENERGIES
from ..model.evaluators import full_name, load_evaluator
from .data import Frame

Progress = Callable[[str, int, int], None]

ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
SOONER = 8  # evaluations in one process before a second one is worth its start


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
        self.folder = folder / re.sub(r"[^A-Za-z0-9.=-]+", "_", name)

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
        """
        beads = [_bead(batch, bead) for bead in range(batch.beads)]
        answers = [self._kept(bead) or self._evaluated(bead) for bead in beads]
        return Response(**{name: np.array([answer[name] for answer in answers]) for name in want})

    def prepare(self, frames: Iterable[Frame], progress: Progress | None = None, workers: int | None = None) -> None:
        """Evaluate all frames that are not kept yet, several at the same time.

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
            If a frame cannot be evaluated, naming it; what others gave is kept.
        """
        missing = {self._path(batch): (batch, frame.name) for frame, batch in _with_batches(frames)}
        total = len(missing)
        missing = {path: task for path, task in missing.items() if _read(path) is None}
        done = total - len(missing)
        workers = min(workers or len(os.sched_getaffinity(0)), len(missing))

        def advance() -> None:
            nonlocal done
            done += 1
            if progress:
                progress(self._description, done, total)

        if progress:
            progress(self._description, done, total)
        if workers <= 1 or len(missing) < SOONER:
            for batch, frame in missing.values():
                self._evaluate_frame(batch, frame)
                advance()
            return
        with _processes(workers) as pool:
            waiting = {
                pool.submit(_evaluate_in_process, self.name, path, batch): frame
                for path, (batch, frame) in missing.items()
            }
            for finished in as_completed(waiting):
                try:
                    finished.result()
                except BeadwiseError as error:
                    raise self._failed(waiting[finished], error) from error
                advance()

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
        return _read(self._path(batch))

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
        If it is a model file, which would mean something else elsewhere, cannot be had, or lacks energy or forces.
    """
    if Path(name).exists() or name.endswith(".safetensors"):
        raise BaselineError(
            f"baseline '{name}' is a file; allowed are potentials that have a name everywhere, as GFN1-xTB, qtip4pf, "
            "ase:package.module.Class"
        )
    try:
        evaluator = load_evaluator(name)
    except BeadwiseError as error:
        raise BaselineError(f"baseline '{name}': {error}") from error
    lacking = [needed for needed in ("energy", "forces") if needed not in evaluator.properties]
    if lacking:
        raise BaselineError(f"baseline '{name}' has {list(evaluator.properties)}; it must have {', '.join(lacking)}")
    return evaluator


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
    """Read a file of the cache; None where there is none, or what is there is damaged."""
    try:
        with np.load(path) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, KeyError):
        return None
    except Exception as error:  # zipfile's own, of a damaged archive
        if type(error).__module__ in ("zipfile", "zlib"):
            return None
        raise


def _evaluate_and_keep(evaluator: Evaluator, path: Path, batch: Batch) -> Mapping[str, np.ndarray]:
    response = evaluator.evaluate(batch, [name for name in ENERGIES if name in evaluator.properties])
    answer = {name: response[name][0] for name in response.names}
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.stem}.{os.getpid()}.npz")
    np.savez(unfinished, **answer)
    unfinished.replace(path)
    return answer


_evaluators: dict[str, Evaluator] = {}  # of a worker process, which is asked again and again for the same one


def _evaluate_in_process(name: str, path: Path, batch: Batch) -> None:
    if name not in _evaluators:
        _evaluators[name] = load_evaluator(name)
    _evaluate_and_keep(_evaluators[name], path, batch)


@contextmanager
def _processes(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Processes of one thread each, which end when this one leaves, for whatever reason."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)  # read when a process begins
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value
