"""What a file says of the times of its samples: which of them count, and that they are equally far apart."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import SeriesError
from .alignment import that_count

MOST_DIGITS = 9  # of a printed time behind its point
SMALLEST_DIFFERENCE = 1e-6  # of the spacing, below which times are the same


@dataclass(frozen=True)
class TimeAxis:
    """Times, or steps, of the samples of a series.

    Parameters
    ----------
    counts : ndarray of bool, shape (samples in the file,)
        Those that later ones do not supersede.
    spacing : float
        Between those that count; 0 if there is one.
    """

    counts: np.ndarray
    spacing: float

    @property
    def note(self) -> str:
        """What must be said of samples that are left out; empty if there are none."""
        left_out = int((~self.counts).sum())
        many = f"{left_out} of {len(self.counts)} samples are written again later, and the later ones count"
        return many if left_out else ""


def is_axis(values: np.ndarray) -> bool:
    """Whether numbers in a column are steps or times: they go up by nearly always the same.

    A series of a dipole does not, however it was rounded; steps that were written again, or whose stride was changed,
    still do.
    """
    apart = np.diff(np.asarray(values, dtype=np.float64))
    if len(apart) < 1 or not np.isfinite(apart).all() or not np.median(apart) > 0:
        return False
    places = apart / np.median(apart)
    kinds = len(np.unique(np.round(places, 1)))
    return bool((places > 0).mean() > 0.9 and kinds <= max(3, len(apart) // 50))


def time_axis(times: np.ndarray, path: Path, name: str = "step") -> TimeAxis:
    """Times of a series, which must be equally far apart.

    Parameters
    ----------
    times : ndarray, shape (samples,)
        As the file has them, in its order.
    path : Path
    name : str
        What they are, for messages.

    Raises
    ------
    SeriesError
        If one is not finite, or those that count are not equally far apart.
    """
    times = np.asarray(times, dtype=np.float64)
    if not np.isfinite(times).all():
        raise SeriesError(f"{name} of sample {int(np.argmin(np.isfinite(times)))} of '{path}' is not finite")
    counts = that_count(times)
    kept = times[counts]
    apart = np.diff(kept)
    if not len(apart):
        return TimeAxis(counts, 0.0)
    spacing = float(np.median(apart))
    uneven = np.abs(apart - spacing) > _tolerance(kept, spacing)
    if uneven.any():
        place = int(np.argmax(uneven))
        raise SeriesError(
            f"'{path}' goes from {name} {kept[place]:.10g} to {kept[place + 1]:.10g}, its other samples are "
            f"{spacing:.10g} apart; a series with a gap or two strides has no spectrum"
        )
    return TimeAxis(counts, float(kept[-1] - kept[0]) / len(apart))


def _tolerance(times: np.ndarray, spacing: float) -> float:
    """How far two spacings may differ: by the last digit with which the times are written."""
    for digits in range(MOST_DIGITS + 1):
        if np.abs(times - np.round(times, digits)).max() < SMALLEST_DIFFERENCE * spacing:
            last = 10.0**-digits
            return 1.01 * last if digits and last < spacing / 4 else SMALLEST_DIFFERENCE * spacing
    return 10 * SMALLEST_DIFFERENCE * spacing
