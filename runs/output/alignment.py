"""Records that i-PI wrote of all beads, put side by side by their steps.

The same for every kind of file.  Each bead has a file of its own.  A killed i-PI may leave half a record, and the
RESTART may lie steps before the last one; the run that continues appends to the files.  Where records go back in step
the later ones count, half a record never does, and a sample is what all beads have.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np


def that_count(steps: np.ndarray, last_step: float | None = None) -> np.ndarray:
    """Which records of a file are not superseded by later ones.

    Parameters
    ----------
    steps : ndarray, shape (records,)
        Step, or time, of each of them in the order of the file.
    last_step : float, optional
        Records beyond it are about to be superseded.

    Returns
    -------
    ndarray of bool, shape (records,)
        The steps of those that count increase.
    """
    steps = np.asarray(steps, dtype=np.float64)
    lowest_later = np.append(np.minimum.accumulate(steps[::-1])[::-1][1:], np.inf)[: len(steps)]
    return np.asarray((steps < lowest_later) & (steps <= (np.inf if last_step is None else last_step)))


def in_common(steps_of_beads: Sequence[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Steps that all beads have, and the places of these among the records of each.

    Parameters
    ----------
    steps_of_beads : sequence of ndarray of int64, shape (records,)
        Increasing.

    Returns
    -------
    steps : ndarray of int64, shape (samples,)
    places : list of ndarray of int64, shape (samples,)
    """
    steps = reduce(np.intersect1d, steps_of_beads)
    return steps, [np.searchsorted(own, steps) for own in steps_of_beads]


class AlignedBeads:
    """Puts records together that arrive file by file, some at a time.

    Parameters
    ----------
    files : int
        How many there are.

    Attributes
    ----------
    unlike : int or None
        The first file that has not the same steps as file 0; None as long as there is none.
    """

    def __init__(self, files: int):
        self.unlike: int | None = None
        self._waiting: list[tuple[np.ndarray, np.ndarray] | None] = [None] * files

    def add(self, file: int, steps: np.ndarray, rows: np.ndarray) -> None:
        """Take in the next records of a file.

        Parameters
        ----------
        file : int
        steps : ndarray of int64, shape (records,)
        rows : ndarray, shape (records, numbers)
        """
        old = self._waiting[file]
        if old is not None and len(old[0]):
            steps, rows = np.concatenate([old[0], steps]), np.concatenate([old[1], rows])
        if len(steps):
            counts = that_count(steps)
            self._waiting[file] = steps[counts], rows[counts]

    def take(self) -> tuple[np.ndarray, list[np.ndarray]]:
        """Samples that are complete, each once.

        Returns
        -------
        steps : ndarray of int64, shape (samples,)
        rows : list of ndarray, shape (samples, numbers)
            Of each file; none of them if there is no sample.
        """
        waiting = [one for one in self._waiting if one is not None and len(one[0])]
        if len(waiting) < len(self._waiting):
            return np.zeros(0, dtype=np.int64), []
        last = min(steps[-1] for steps, _ in waiting)
        counts = [int(np.searchsorted(steps, last, side="right")) for steps, _ in waiting]
        complete = [steps[:count] for (steps, _), count in zip(waiting, counts, strict=True)]
        if self.unlike is None:
            self.unlike = next((n for n, own in enumerate(complete) if not np.array_equal(own, complete[0])), None)
        steps, places = in_common(complete)
        found = [rows[place] for (_, rows), place in zip(waiting, places, strict=True)]
        self._waiting = [(own[count:], rows[count:]) for (own, rows), count in zip(waiting, counts, strict=True)]
        return steps, found if len(steps) else []
