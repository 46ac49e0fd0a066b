"""The acoustic sum rule of Born effective charges: ``Σ_i Z*_i = 0``.

Moved as a whole, a neutral system keeps its dipole, so its Born effective charges add up to nothing (Pick, Cohen,
Martin, Phys. Rev. B 1, 910 (1970)).  What breaks the rule lets a homogeneous field push the centre of mass.  The mean
over the atoms is taken off every atom: of all changes that restore the rule, the smallest in the least-squares sense.

A *charged* system is another matter: ``Σ_i Z*_i = Q·1``, its centre of mass is accelerated in reality, and to enforce
the rule takes that away; only motion relative to the centre of mass is then driven, and the atoms of a light ion feel
``Q/N`` less.  It is taken away all the same, and said: i-PI's driven dynamics stops at charges that break the rule,
removes the motion of the centre of mass by default, and a periodic cell with a net charge has no dipole to speak of.
The served dipole is left as it is; it is then no integral of the served charges, by the removed mean times the
displacement of the atoms' geometric centre.
"""

from __future__ import annotations

import logging

import numpy as np

REPORTED = 1e-6  # e per atom: more than rounding leaves of a model that keeps the rule

logger = logging.getLogger(__name__)


def remove_mean(born_charges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Enforce the acoustic sum rule, bead by bead.

    Parameters
    ----------
    born_charges : ndarray of float64, shape (beads, atoms, 3, 3)
        In e: row displacement, column dipole component.

    Returns
    -------
    born_charges : ndarray of float64, shape (beads, atoms, 3, 3)
        A new array whose sum over the atoms vanishes to rounding.
    mean : ndarray of float64, shape (beads, 3, 3)
        What was taken off every atom, in e.
    """
    mean = born_charges.mean(axis=1)
    return born_charges - mean[:, None], mean


class SumRule:
    """Enforces the acoustic sum rule on all that a server sends, and says once how much that changes.

    At the first charges it informs of what was removed; a warning comes with the first that break the rule by more
    than `REPORTED`, and no other follows.
    """

    def __init__(self) -> None:
        self._has_informed = False
        self._has_warned = False

    def enforce(self, born_charges: np.ndarray) -> np.ndarray:
        """Return Born effective charges that keep the rule; see `remove_mean` for shape and units."""
        charges, mean = remove_mean(born_charges)
        self._report(float(np.abs(mean).max(initial=0.0)))
        return charges

    def _report(self, removed: float) -> None:
        breaks = removed > REPORTED
        if breaks and not self._has_warned:
            logger.warning(
                "warning: the Born effective charges of this model break the acoustic sum rule by %.3g e per atom; "
                "it was removed",
                removed,
            )
        elif not breaks and not self._has_informed:
            logger.info("the Born effective charges keep the acoustic sum rule to %.3g e per atom", removed)
        self._has_warned |= breaks
        self._has_informed = True
