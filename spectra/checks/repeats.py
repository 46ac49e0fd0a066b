"""The same samples twice: stretches that a restart wrote again, and copies of a trajectory.

Standard errors are those of independent parts; what is there twice makes them too small, and its ends are jumps.
"""

from __future__ import annotations

import numpy as np

from ...errors import SeriesError

STRETCH = 8  # samples, each other than the one before, that no two trajectories have in common to the last bit
MOST_NUMBERS = 64  # of a sample that are looked at


class Repeats:
    """Remembers eight bytes for each sample of all trajectories."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._pieces: list[np.ndarray] = []
        self._marks: list[np.ndarray] = []

    def begin(self, name: str, first: int = 0) -> None:
        """Begin the next trajectory.

        Parameters
        ----------
        name : str
            For messages: ``'run.npz'``.
        first : int
            Number of its first sample, for messages.
        """
        self._first = first
        self._names.append(name)
        self._pieces = []

    def add(self, values: np.ndarray) -> None:
        """Take in the next samples of the trajectory, shape (samples, …)."""
        flat = np.ascontiguousarray(values.reshape(len(values), -1)[:, :MOST_NUMBERS], dtype=np.float64) + 0.0
        self._pieces.append(_marks_of(flat))

    def end(self) -> None:
        """End the trajectory.

        Raises
        ------
        SeriesError
            If it holds a stretch twice.
        """
        name = self._names[-1]
        marks, places = _stretches(np.concatenate([np.zeros(0, dtype=np.int64), *self._pieces]))
        order = np.argsort(marks, kind="stable")
        again = np.flatnonzero(marks[order][1:] == marks[order][:-1])
        if len(again):
            first = again[np.argmin(places[order[again + 1]])]
            earlier, later = places[order[first]], places[order[first + 1]]
            raise SeriesError(
                f"the samples of {name} from {later + self._first} on are those from {earlier + self._first} on again, "
                "as after a restart; "
                "leave out what is there twice"
            )
        self._marks.append(marks)

    def refuse_copies(self) -> None:
        """Raise SeriesError if two trajectories have a stretch in common."""
        seen = np.zeros(0, dtype=np.int64)
        for number, marks in enumerate(self._marks):
            if np.isin(marks, seen).any():
                known = (one for one in range(number) if np.isin(marks, self._marks[one]).any())
                both = f"{self._names[number]} and {self._names[next(known)]}"
                raise SeriesError(f"{both} hold the same samples; a trajectory counts once")
            seen = np.concatenate([seen, marks])


def _stretches(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Marks of all stretches in which every sample differs from the one before, and where these begin."""
    count = len(samples) - STRETCH + 1
    if count < 1:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    moves = np.lib.stride_tricks.sliding_window_view(samples[1:] != samples[:-1], STRETCH - 1).all(axis=1)
    places = np.flatnonzero(moves)
    return _marks_of(np.lib.stride_tricks.sliding_window_view(samples, STRETCH)[places]), places


def _marks_of(rows: np.ndarray) -> np.ndarray:
    """A number for each row, shape (rows,): others are equal by a chance of one in 2⁶⁴."""
    return np.fromiter((hash(row.tobytes()) for row in rows), dtype=np.int64, count=len(rows))
