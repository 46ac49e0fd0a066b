"""Ranks that share the evaluation of every batch: a group, whose root alone speaks to i-PI.

The root sends a batch to the other ranks of its group; each evaluates its part of the atoms of all beads, and the parts
are added up at the root.  So one large structure is divided as well as many beads are, and nobody but the root knows
through which door i-PI came.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from ...model import Batch, BeadwiseError, Evaluator, Response

if TYPE_CHECKING:
    from mpi4py.MPI import Comm

WAKE = 1  # tag of the message that ends the sleep of a rank
LOOKS_BEFORE_SLEEP = 200
AFTER_WORDS = 0.3  # s
SLEEP = 5e-5  # s; waiting inside MPI would take the core from i-PI


class MpiError(BeadwiseError):
    """MPI is missing, or the ranks were started in a way that cannot work."""


def say(error: BeadwiseError) -> None:
    """Print an error in one line, and leave the launcher the time to pass it on before the job ends."""
    click.echo(f"Error: {' '.join(str(error).split())}", err=True)
    time.sleep(AFTER_WORDS)


def world() -> Comm:
    """All ranks of the job.

    Raises
    ------
    MpiError
        If mpi4py or an MPI library is not installed.
    """
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise MpiError(
            f"MPI is needed, but cannot be loaded ({error}); install it with `pip install 'beadwise[mpi]'`, or mpi4py "
            "and the machine's own MPI"
        ) from error
    return MPI.COMM_WORLD


def form_groups(ranks: Comm, size: int, name: str = "") -> Comm:
    """Split ranks into groups of neighbouring ranks.

    Parameters
    ----------
    ranks : Comm
        Called on all of them.
    size : int
        Ranks of a group; the last group may have fewer.
    name : str
        Ranks of different names are never in one group.

    Returns
    -------
    Comm
        The group of this rank; rank 0 in it is the root.
    """
    names = ranks.allgather(name)
    before = names[: ranks.rank].count(name)
    first = [rank for rank, other in enumerate(names) if other == name][before // size * size]
    return ranks.Split(color=first, key=ranks.rank)


def wait_for(is_there: Callable[[], bool]) -> None:
    """Wait until something is there, first busily, then asleep."""
    looks = 0
    while not is_there():
        looks += 1
        if looks > LOOKS_BEFORE_SLEEP:
            time.sleep(SLEEP)


class GroupEvaluator:
    """What the root serves: an evaluator whose work is shared by its group.

    Parameters
    ----------
    evaluator : Evaluator
        The same on all ranks.  One with `evaluate_part` and `assemble`, as models have, shares the atoms; of any other
        the beads are shared.
    group : Comm
        The other ranks call `share_work`.
    """

    def __init__(self, evaluator: Evaluator, group: Comm):
        self._evaluator = evaluator
        self._group = group

    def __getattr__(self, name: str) -> Any:
        return getattr(self._evaluator, name)

    @property
    def species(self) -> tuple[int, ...]:
        """Atomic numbers that can be evaluated."""
        return self._evaluator.species

    @property
    def properties(self) -> tuple[str, ...]:
        """Properties that can be asked for."""
        return self._evaluator.properties

    def evaluate(self, batch: Batch, want: Sequence[str]) -> Response:
        """Answer the wanted properties for every bead, together with the other ranks."""
        self._wake(True)
        self._group.bcast((batch.numbers, batch.positions, batch.cells, batch.periodic, batch.charge, tuple(want)))
        response = _evaluate_together(self._evaluator, batch, tuple(want), self._group)
        assert response is not None
        return response

    def dismiss(self) -> None:
        """Let the other ranks go."""
        self._wake(False)

    def _wake(self, there_is_work: bool) -> None:
        for rank in range(1, self._group.size):
            self._group.send(there_is_work, dest=rank, tag=WAKE)


@contextmanager
def sharing(evaluator: Evaluator, group: Comm) -> Iterator[Evaluator]:
    """Serve with the help of a group's other ranks, and let them go in the end.

    Parameters
    ----------
    evaluator : Evaluator
        The same on all ranks.
    group : Comm
        This rank is its root.
    """
    if group.size == 1:
        yield evaluator
        return
    together = GroupEvaluator(evaluator, group)
    try:
        yield together
    finally:
        together.dismiss()


@contextmanager
def one_server_of(evaluator: Evaluator, group: Comm | None) -> Iterator[Evaluator | None]:
    """Make one server of the ranks of a group.

    Parameters
    ----------
    evaluator : Evaluator
        The same on all ranks.
    group : Comm or None
        None if there are no other ranks, and no MPI is needed.

    Yields
    ------
    Evaluator or None
        What is to be served; None where that was shared until the root had no more work.
    """
    if group is None:
        yield evaluator
    elif group.rank > 0:
        share_work(evaluator, group)
        yield None
    else:
        with sharing(evaluator, group) as together:
            yield together


def share_work(evaluator: Evaluator, group: Comm) -> None:
    """Do a rank's part of every evaluation until the root dismisses it."""
    while True:
        wait_for(lambda: group.iprobe(source=0, tag=WAKE))
        if not group.recv(source=0, tag=WAKE):
            return
        *arrays, want = group.bcast(None)
        try:
            _evaluate_together(evaluator, Batch(*arrays), want, group)
        except BeadwiseError:
            continue  # all ranks raise it, and the root says it


def _evaluate_together(evaluator: Any, batch: Batch, want: tuple[str, ...], group: Comm) -> Response | None:
    """Evaluate a part on every rank; the root gets the whole, the others nothing."""
    shares_atoms = hasattr(evaluator, "evaluate_part") and hasattr(evaluator, "assemble")
    return (_share_atoms if shares_atoms else _share_beads)(evaluator, batch, want, group)


def _share_atoms(evaluator: Any, batch: Batch, want: tuple[str, ...], group: Comm) -> Response | None:
    parts = _agreed(group, lambda: evaluator.evaluate_part(batch, want, group.rank, group.size))
    sums = []
    for part in parts:
        total = np.empty_like(part) if group.rank == 0 else None
        group.Reduce(part, total)
        sums.append(total)
    return evaluator.assemble(batch, want, sums) if group.rank == 0 else None


def _share_beads(evaluator: Evaluator, batch: Batch, want: tuple[str, ...], group: Comm) -> Response | None:
    own = slice(batch.beads * group.rank // group.size, batch.beads * (group.rank + 1) // group.size)

    def evaluate_own() -> dict[str, np.ndarray]:
        if own.start == own.stop:
            return {}
        beads = Batch(batch.numbers, batch.positions[own], batch.cells[own], batch.periodic, batch.charge)
        response = evaluator.evaluate(beads, want)
        return {name: response[name] for name in want}

    parts = group.gather(_agreed(group, evaluate_own))
    if parts is None:
        return None
    return Response(**{name: np.concatenate([part[name] for part in parts if part]) for name in want})


def _agreed(group: Comm, evaluate: Callable[[], Any]) -> Any:
    """Evaluate, and raise on all ranks what was raised on any: else the others would wait for it forever."""
    found, fault = None, None
    try:
        found = evaluate()
    except BeadwiseError as error:
        fault = error
    faults = [one for one in group.allgather(fault) if one is not None]
    if faults:
        raise faults[0]
    return found
