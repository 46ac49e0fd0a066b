"""The short-range guard: screened nuclear repulsion inside the shortest distance that the training data contain."""

from __future__ import annotations

import numpy as np

COULOMB = 14.399645  # e²/(4π ε0) in eV Å (CODATA 2018)
SCREENING = ((0.18175, 3.19980), (0.50986, 0.94229), (0.28022, 0.40290), (0.02817, 0.20162))


def screened_repulsion(first: int, second: int, distance: np.ndarray) -> np.ndarray:
    """Universal screened nuclear repulsion of Ziegler, Biersack and Littmark (1985) in eV.

    Parameters
    ----------
    first, second : int
        Atomic numbers.
    distance : ndarray of float64
        In Å.
    """
    length = 0.46850 / (first**0.23 + second**0.23)
    screening = sum(a * np.exp(-b * distance / length) for a, b in SCREENING)
    return COULOMB * first * second / distance * screening


def repulsion_table(
    numbers: tuple[int, ...], onset: np.ndarray, strength: float | np.ndarray, cutoff: float, intervals: int
) -> np.ndarray:
    """Pair potential table: repulsion times (1 − r/onset)³ below the onset, zero above, so that it starts smoothly.

    Parameters
    ----------
    numbers : tuple of int
        Atomic numbers of the species.
    onset : ndarray of float64, shape (species, species)
        Distance in Å at which the guard ends; 0 where a pair has none.
    strength : float, or ndarray of float64, shape (species, species)
        Multiplies the repulsion, since the switch takes most of it away where it matters.
    cutoff : float
        End of the grid in Å.
    intervals : int
        Of the grid.

    Returns
    -------
    ndarray of float64, shape (species, species, intervals + 1, 2)
        Values in eV, and derivatives times the grid spacing.
    """
    strengths = np.broadcast_to(strength, onset.shape)
    distance = np.linspace(0.0, cutoff, intervals + 1)
    safe = np.maximum(distance, 0.05)  # below this the evaluation has been refused already
    table = np.zeros((len(numbers), len(numbers), intervals + 1, 2))
    for a, b in np.ndindex(len(numbers), len(numbers)):
        if onset[a, b] <= 0:
            continue

        def guarded(r: np.ndarray, a: int = a, b: int = b) -> np.ndarray:
            switch = np.clip(1 - r / onset[a, b], 0, None) ** 3
            return strengths[a, b] * screened_repulsion(numbers[a], numbers[b], r) * switch

        step = 1e-6
        table[a, b, :, 0] = guarded(safe)
        table[a, b, :, 1] = (guarded(safe + step) - guarded(safe - step)) / (2 * step) * (cutoff / intervals)
    return table
