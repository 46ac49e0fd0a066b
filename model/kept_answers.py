"""What potentials say of many structures: evaluated in parallel, each answer kept on disk as soon as it is there."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from . import Batch, BeadwiseError, Evaluator, StructureError
from .evaluators import load_evaluator
from .worker_processes import START, later_interrupts, processes, usable_cores

Labelled = tuple[str, Batch]  # what to call a structure, and its beads
Answer = Mapping[str, np.ndarray]  # of one bead: properties by their names
AHEAD = 2  # structures that wait for each process, so that memory stays bounded
DIGITS = 32  # of the hashes that stand for a structure and for a potential


class Shelf(Protocol):
    """Where the answers of one potential are kept, each by the key of its structure."""

    @property
    def content(self) -> str:
        """What is kept there and where, for messages."""

    def key(self, bead: Batch) -> str:
        """Name of the answer for one bead, made of everything that it depends on."""

    def find(self, key: str, bead: Batch) -> Answer | None:
        """The answer that is kept; None where there is none, or what is there is damaged."""

    def keep(self, key: str, answer: Answer) -> None:
        """Write an answer, such that it is there whole or not at all.

        Raises
        ------
        BeadwiseError
            If it cannot be written.
        """


class KeptAnswers:
    """Answers of a potential for single beads; those that are kept are not evaluated again.

    An answer is written as soon as it is there: whatever ends the program, at most the evaluations under way are lost.

    Parameters
    ----------
    name : str
        Of the potential, as `beadwise.model.evaluators.load_evaluator` takes it.
    evaluator : Evaluator
        The same potential, for evaluations in this process.
    properties : sequence of str
        What is asked of it.
    shelf : Shelf
    title : str
        What messages call the potential.
    failure : type of BeadwiseError
        What is raised.
    """

    def __init__(
        self,
        name: str,
        evaluator: Evaluator,
        properties: Sequence[str],
        shelf: Shelf,
        title: str,
        failure: type[BeadwiseError] = BeadwiseError,
    ):
        self.name = name
        self.evaluator = evaluator
        self.properties = tuple(properties)
        self.shelf = shelf
        self._title = title
        self._failure = failure

    def of_bead(self, bead: Batch) -> Answer:
        """Look the answer for one bead up, or evaluate it in this process.

        Raises
        ------
        StructureError
            If the potential cannot answer, or with numbers that are not finite.
        BeadwiseError
            If the answer cannot be kept.
        """
        key = self.shelf.key(bead)
        answer = self.shelf.find(key, bead)
        if answer is None:
            answer = finite_answer(self.evaluator, bead, self.properties)
            self.shelf.keep(key, answer)
        return answer

    def of_all(self, structures: Iterable[Labelled], workers: int | None = None) -> Iterator[list[Answer]]:
        """Answers for the beads of each batch, in the order of the batches.

        The first evaluations are made here, as processes need a while until they evaluate something, and all of them
        if that while is longer than what is left takes.  The processes import the program that calls this once more: a
        script of your own does so below ``if __name__ == "__main__"``, as for every use of `multiprocessing`.

        Parameters
        ----------
        structures : iterable of (str, Batch)
            What to call the structure if it cannot be evaluated, and its beads; they are drawn as they are needed.
        workers : int, optional
            Processes; by default one for every core that may be used.

        Raises
        ------
        BeadwiseError
            If a structure cannot be evaluated, naming it, or an answer cannot be kept, or a process is ended from
            outside; what others gave is kept.
        """
        workers = workers or usable_cores()
        total = len(structures) if isinstance(structures, Sized) else None
        left = iter(structures)
        spent = 0.0
        for done, (label, batch) in enumerate(left, start=1):
            began = time.monotonic()
            with self._named(label):
                answers = [self.of_bead(bead) for bead in beads_of_batch(batch)]
            spent += time.monotonic() - began
            yield answers
            expected = spent if total is None else spent / done * (total - done)
            if workers > 1 and expected > START:
                yield from self._in_parallel(left, workers)

    def _in_parallel(self, structures: Iterable[Labelled], workers: int) -> Iterator[list[Answer]]:
        """The same with several processes, of which none starts where nothing is left."""
        running: dict[Future[Answer], _Task] = {}
        queue: deque[list[_Task]] = deque()
        try:
            with processes(workers) as pool:
                for label, batch in structures:
                    queue.append([])
                    for bead in beads_of_batch(batch):
                        queue[-1].append(self._begun(pool, running, label, bead))
                        while len(running) >= AHEAD * workers:
                            self._collect(running)
                    while queue and (answers := _answers_of(queue[0])) is not None:
                        queue.popleft()
                        yield answers
                while queue:
                    while (answers := _answers_of(queue[0])) is None:
                        self._collect(running)
                    queue.popleft()
                    yield answers
        finally:  # what others have finished when one failed
            for future, task in running.items():
                if future.done() and not future.cancelled() and future.exception() is None:
                    with suppress(BeadwiseError):
                        self.shelf.keep(task.key, future.result())

    def _begun(self, pool: ProcessPoolExecutor, running: dict[Future[Answer], _Task], label: str, bead: Batch) -> _Task:
        """A task that is done if its answer is kept, and otherwise runs; alike structures share one."""
        key = self.shelf.key(bead)
        for task in running.values():
            if task.key == key:
                return task
        task = _Task(key, label, self.shelf.find(key, bead))
        if task.answer is None:
            with self._named(label), later_interrupts():  # a process may start here
                running[pool.submit(_answer_in_process, self.name, bead, self.properties)] = task
        return task

    def _collect(self, running: dict[Future[Answer], _Task]) -> None:
        """Keep what has been evaluated, once something has."""
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            task = running.pop(future)
            with self._named(task.label):
                task.answer = future.result()
                self.shelf.keep(task.key, task.answer)

    @contextmanager
    def _named(self, label: str) -> Iterator[None]:
        """Say for which structure something failed."""
        try:
            yield
        except BrokenProcessPool as error:
            raise self._failure(
                f"a process that evaluates {self._title} was ended from outside, as for want of memory; "
                f"{self.shelf.content}, and the same command goes on"
            ) from error
        except BeadwiseError as error:
            raise self._failure(f"{self._title} cannot be evaluated for {label}: {error}") from error


@dataclass
class _Task:
    """One bead, and its answer once there is one."""

    key: str
    label: str
    answer: Answer | None


def _answers_of(tasks: Sequence[_Task]) -> list[Answer] | None:
    """The answers of all tasks; None while one is missing."""
    answers = [task.answer for task in tasks if task.answer is not None]
    return answers if len(answers) == len(tasks) else None


def structure_key(identity: str, *arrays: np.ndarray, charge: float | None = None) -> str:
    """Hash of everything that an answer depends on.

    Parameters
    ----------
    identity : str
        Tells what answers from all others.
    *arrays : ndarray
        What describes the structure, in an order and of types that stay as they are from release to release.
    charge : float, optional
        Total charge in e, where the structure says it.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    content = hashlib.sha256(identity.encode())
    for array in arrays:
        content.update(np.ascontiguousarray(array).tobytes())
    if charge is not None:
        content.update(f"charge={charge + 0.0!r}".encode())  # -0.0 is 0.0
    return content.hexdigest()[:DIGITS]


def beads_of_batch(batch: Batch) -> Iterator[Batch]:
    """Each bead as a batch of its own."""
    for bead in range(batch.beads):
        own = slice(bead, bead + 1)
        yield Batch(batch.numbers, batch.positions[own], batch.cells[own], batch.periodic, batch.charge)


def finite_answer(evaluator: Evaluator, bead: Batch, properties: Sequence[str]) -> dict[str, np.ndarray]:
    """What a potential says of one bead.

    Raises
    ------
    StructureError
        If it cannot answer, or not with finite numbers.
    """
    response = evaluator.evaluate(bead, properties)
    answer = {name: getattr(response, name)[0] for name in properties}
    for name, array in answer.items():
        if not np.isfinite(array).all():
            what = f"{array}; it must be finite" if np.ndim(array) == 0 else "not finite"
            raise StructureError(f"its {name} is {what}")
    return answer


_evaluators: dict[str, Evaluator] = {}  # of a worker process, which is asked again and again for the same one


def _answer_in_process(name: str, bead: Batch, properties: Sequence[str]) -> Answer:
    """What a potential says of one bead, in a process of its own."""
    if name not in _evaluators:
        _evaluators[name] = load_evaluator(name)
    return finite_answer(_evaluators[name], bead, properties)
