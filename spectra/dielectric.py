"""The static dielectric constant from fluctuations of the dipole."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import SeriesError
from .units import ANGSTROM, ELEMENTARY_CHARGE, VACUUM_PERMITTIVITY, thermal_energy

FEWEST_PARTS = 8


def dielectric_constant(
    dipoles: Sequence[np.ndarray], temperature: float, volume: float, optical_permittivity: float = 1.0
) -> tuple[float, float]:
    """ε_r = ε∞ + β(⟨M²⟩ − ⟨M⟩²)/(3 ε0 V), and its standard error.

    Neumann, Mol. Phys. 50, 841 (1983), for a box in a conductor, which is what Ewald sums and periodic models are.  The
    error is a jackknife over trajectories if there are at least 8, otherwise over 8 parts of each.

    Parameters
    ----------
    dipoles : sequence of ndarray of float64, shape (samples, 3)
        One array for each trajectory, in e·Å; for path integrals the mean over beads.
    temperature : float
        In K.
    volume : float
        In Å³.
    optical_permittivity : float
        ε∞; that of a model with fixed charges is 1.

    Raises
    ------
    SeriesError
        If there are fewer samples than parts.
    """
    parts = (
        list(dipoles)
        if len(dipoles) >= FEWEST_PARTS
        else [part for series in dipoles for part in np.array_split(np.asarray(series, dtype=np.float64), FEWEST_PARTS)]
    )
    counts = np.array([len(part) for part in parts])
    if not len(parts) or counts.min() < 1:
        raise SeriesError(f"{counts.sum()} samples of the dipole are too few; at least {FEWEST_PARTS} are needed")
    sums = np.array([part.sum(axis=0) for part in parts])
    squares = np.array([np.square(part).sum() for part in parts])
    unit = (ELEMENTARY_CHARGE * ANGSTROM) ** 2 / (3 * VACUUM_PERMITTIVITY * volume * ANGSTROM**3)

    def constant(count: np.ndarray, total: np.ndarray, square: np.ndarray) -> np.ndarray:
        variance = square / count - np.square(total / np.asarray(count)[..., None]).sum(axis=-1)
        return optical_permittivity + unit * variance / thermal_energy(temperature)

    value = constant(counts.sum(), sums.sum(axis=0), squares.sum())
    left_out = constant(counts.sum() - counts, sums.sum(axis=0) - sums, squares.sum() - squares)
    spread = np.square(left_out - left_out.mean()).sum() * (len(parts) - 1) / len(parts)
    return float(value), float(np.sqrt(spread))
