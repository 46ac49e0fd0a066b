"""Beads, or shares of the work on each, on several threads, through libraries that evaluate one structure at a time."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

Job = TypeVar("Job")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Failure:
    """Why a bead cannot be evaluated, in the words of the library."""

    bead: int
    reason: str


class FailedError(Exception):
    """Carries a failure out of a thread."""

    def __init__(self, failure: Failure):
        super().__init__(failure)
        self.failure = failure


def on_threads(
    work: Callable[[Job], Answer], jobs: Sequence[Job], beads: Sequence[int], threads: int
) -> tuple[list[Answer], Failure | None]:
    """Do several jobs, so many at the same time.

    Parameters
    ----------
    work : callable
        Takes a job; a RuntimeError or a ValueError of it is a failure of the bead.
    jobs : sequence
    beads : sequence of int
        To which bead each of the jobs belongs.
    threads : int

    Returns
    -------
    answers : list
        In the order of the jobs; empty after a failure.
    failure : Failure or None
        Of the first of those jobs that cannot be done.
    """

    def attempt(place: int) -> Answer:
        try:
            return work(jobs[place])
        except (RuntimeError, ValueError) as error:
            raise FailedError(Failure(beads[place], str(error).partition("\n")[0])) from error

    # a pool of its own, whose threads end here: how many threads OpenMP may use is set for a thread, and the caller's
    # number stays what it was
    with ThreadPoolExecutor(threads) as pool:
        try:
            return list(pool.map(attempt, range(len(jobs)))), None
        except FailedError as error:
            return [], error.failure


def openmp_limit(library: str) -> Callable[[int], None]:
    """What tells OpenMP how many threads a calculation of the calling thread may use.

    The function is looked for through a library that uses OpenMP, which finds it in the OpenMP library that it was
    linked to, whatever the name of that is.

    Parameters
    ----------
    library : str
        Path of the library.
    """
    try:
        return ctypes.CDLL(library).omp_set_num_threads
    except (OSError, AttributeError):  # without OpenMP, or hidden: then OMP_NUM_THREADS alone decides
        return lambda threads: None
