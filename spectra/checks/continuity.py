"""Series that are not continuous: jumps of a dipole by quanta of polarization, and jumps without a reason.

The dipole of a periodic cell by the Berry phase is defined modulo e R with the lattice vectors R (King-Smith and
Vanderbilt, Phys. Rev. B 47, 1651 (1993); Resta, Rev. Mod. Phys. 66, 899 (1994)).  A code writes the branch that lies
nearest to zero, so that a series of it jumps by a quantum now and then.  Its flux is that of the branch that is
continuous.
"""

from __future__ import annotations

import numpy as np

from ...errors import SeriesError

FEWEST_CHANGES = 16  # from which a typical one is known
REMEMBERED = 1000
LEAST_QUANTUM = 10.0  # typical changes, below which a jump by a quantum is no other than others
LARGEST_CHANGE = 8.0  # typical changes that are left when the quanta are taken off
# Typical changes, and changes nearby, from which a change is none of a continuous series: of a million changes with a
# normal distribution in three directions the largest is four times the median, and smooth series change slowly.
JUMP, LOCAL_JUMP = 20.0, 10.0
NEIGHBOURS = 8  # samples before and behind


class Continuity:
    """Looks at the changes of a series that comes in pieces, and follows the branch of a dipole.

    Parameters
    ----------
    name : str
        For messages: ``dipole of 'run.npz'``.
    lattices : sequence of ndarray of float64, shape (3, 3)
        Quanta of polarization in e·Å, one per row: e times the lattice vectors.  More than one if it is not known which
        is right; the first that explains all jumps of a piece is.
    first : int
        Number of the first sample, for messages.

    Attributes
    ----------
    jumps : int
        Quanta that were followed.
    lattice : ndarray or None
        By which.
    """

    def __init__(self, name: str, lattices: list[np.ndarray] | None = None, first: int = 0):
        self.name = name
        self.jumps = 0
        self.lattice: np.ndarray | None = None
        self._lattices = lattices or []
        self._last: np.ndarray | None = None
        self._offset: np.ndarray | float = 0.0
        self._changes = np.zeros(0)
        self._samples = first

    def follow(self, values: np.ndarray) -> np.ndarray:
        """Take in the next samples.

        Parameters
        ----------
        values : ndarray of float64, shape (samples, …)

        Returns
        -------
        ndarray of float64, same shape
            On the branch of the first sample.

        Raises
        ------
        SeriesError
            If the series jumps, and not by quanta.
        """
        flat = values.reshape(len(values), -1)
        joined = flat if self._last is None else np.concatenate([self._last, flat])
        first = self._samples - (len(joined) - len(flat))
        self._samples += len(flat)
        self._last = joined[-1:].copy()
        changes = np.diff(joined, axis=0)
        quanta = self._quanta(changes)
        rest = changes - quanta
        self._refuse_jumps(np.linalg.norm(rest, axis=1), first)
        taken = np.cumsum(quanta, axis=0)
        if not taken.any() and not np.any(self._offset):
            return values
        steps = taken if len(joined) > len(flat) else np.concatenate([np.zeros((1, flat.shape[1])), taken])
        followed = flat - steps - self._offset
        self._offset = self._offset + (taken[-1] if len(taken) else 0.0)
        return followed.reshape(values.shape)

    def _quanta(self, changes: np.ndarray) -> np.ndarray:
        """Multiples of the quanta in changes (samples, 3); nothing where they do not explain the large ones."""
        for lattice in [self.lattice] if self.lattice is not None else self._lattices:
            numbers = np.round(changes @ np.linalg.inv(lattice))
            rest = np.linalg.norm(changes - numbers @ lattice, axis=1)
            has_jumped = numbers.any(axis=1)
            typical = _typical(np.concatenate([self._changes, rest]))
            shortest = np.linalg.norm(lattice, axis=1).min()
            if not has_jumped.any() or typical == 0 or shortest < LEAST_QUANTUM * typical:
                continue
            if (rest[has_jumped] < LARGEST_CHANGE * typical).all():
                self.lattice = lattice
                self.jumps += int(has_jumped.sum())
                return numbers @ lattice
        return np.zeros_like(changes)

    def _refuse_jumps(self, changes: np.ndarray, first: int) -> None:
        known = np.concatenate([self._changes, changes])
        self._changes = known[-REMEMBERED:]
        typical = _typical(known)
        if typical == 0:
            return
        for place in np.flatnonzero(changes > JUMP * typical).tolist():
            near = np.delete(changes[max(0, place - NEIGHBOURS) : place + NEIGHBOURS + 1], min(place, NEIGHBOURS))
            if len(near) and changes[place] > LOCAL_JUMP * np.median(near):
                raise SeriesError(
                    f"{self.name} jumps by {changes[place]:.4g} between the samples {first + place} and "
                    f"{first + place + 1}, {changes[place] / typical:.3g} times what it changes otherwise; "
                    "a continuous series is needed (a dipole of the Berry phase is followed over its quanta where the "
                    "cell is known)"
                )


def _typical(changes: np.ndarray) -> float:
    """A typical change, which few large ones do not alter; 0 if too few are known, or nearly all are 0."""
    if len(changes) < FEWEST_CHANGES:
        return 0.0
    return float(max(np.median(changes), np.quantile(changes, 0.9) / 3))
