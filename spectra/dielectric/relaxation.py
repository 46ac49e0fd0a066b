"""How long a series remembers, and the independent parts that it is cut into."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from ..errors import NotComputedError
from ..estimates import FEWEST_UNITS
from .fluctuations import COUNT, DIPOLE, SQUARE, Fluctuations

RELAXATIONS = 10.0  # relaxation times of a block; shorter ones make errors too small
MOST_UNITS = 64
WINDOW = 5.0  # integrated times after which the rest of a correlation function is noise
FEWEST_SAMPLES = 16  # of a series whose relaxation time is told


@dataclass(frozen=True)
class Units:
    """Independent parts of the data.

    Parameters
    ----------
    sums : ndarray of float64, shape (units, columns)
    name : str
        ``trajectories`` or ``blocks``.
    length : float
        Mean length of one, in fs.
    relaxation_time : float
        Of the dipole, in fs; not a number where it is not known.
    """

    sums: np.ndarray
    name: str
    length: float
    relaxation_time: float

    @property
    def is_long_enough(self) -> bool:
        """Whether the parts are known to forget one another."""
        return self.length >= RELAXATIONS * self.relaxation_time

    @property
    def note(self) -> str:
        """Where errors come from, and what speaks against them."""
        said = f"jackknife over {len(self.sums)} {self.name} of {self.length / 1000:.4g} ps"
        if not math.isfinite(self.relaxation_time):
            return f"{said}; the relaxation time is not known"
        ratio = self.length / self.relaxation_time
        said += f", {ratio:.3g} relaxation times of {self.relaxation_time / 1000:.3g} ps"
        return said if self.is_long_enough else f"{said}: below {RELAXATIONS:g}, so that the errors are too small"


def integrated_time(series: np.ndarray) -> float:
    """Integrated correlation time ½ + Σ ρ(k) of a series, in samples; ½ of one without memory.

    The sum ends at the first k ≥ 5 times what it is there (Sokal's rule; in: Functional Integration, NATO ASI B 361,
    131 (1997)).

    Parameters
    ----------
    series : ndarray of float64, shape (samples, components)
        The correlation is that of the scalar product.
    """
    deviations = series - series.mean(axis=0)
    length = scipy.fft.next_fast_len(2 * len(series), real=True)
    spectrum = scipy.fft.rfft(deviations, length, axis=0)
    products = scipy.fft.irfft(np.square(np.abs(spectrum)).sum(axis=1), length)[: len(series)]
    if not products[0] > 0:
        return 0.5
    correlation = products / products[0]
    times = np.cumsum(correlation) - 0.5
    ends = np.flatnonzero(np.arange(len(times)) >= WINDOW * times)
    return float(max(times[ends[0]] if len(ends) else times[-1], 0.5))


def relaxation_time(trajectories: Sequence[Fluctuations]) -> float:
    """Time in which M, or twice that in which M² forgets what it was, whichever is longer, in fs.

    Both are the same for a dipole with one relaxation; a crystal that vibrates forgets the sign of M at once, and its
    amplitude only by collisions.  Not a number if there are too few samples to tell.
    """
    found = [_relaxation_of(one) for one in trajectories if len(one.blocks) >= FEWEST_SAMPLES]
    return max(found, default=math.nan)


def _relaxation_of(one: Fluctuations) -> float:
    count = one.blocks[:, COUNT]
    spacing = one.block_length * one.timestep
    dipole, square = one.blocks[:, DIPOLE] / count, one.blocks[:, SQUARE] / count
    return spacing * max(integrated_time(dipole), 2 * integrated_time(square))


def units_of(trajectories: Sequence[Fluctuations]) -> Units:
    """Cut trajectories into parts: each is one if there are at least 8, else into blocks of at least 10 relaxations.

    Raises
    ------
    NotComputedError
        If there are fewer samples than parts.
    """
    time = relaxation_time(trajectories)
    total = sum(one.samples * one.timestep for one in trajectories)
    if len(trajectories) >= FEWEST_UNITS:
        sums = [one.blocks.sum(axis=0) for one in trajectories if len(one.blocks)]
        return Units(np.array(sums), "trajectories", total / len(sums), time)
    pieces = []
    for one in trajectories:
        length = one.samples * one.timestep
        possible = length / (RELAXATIONS * time) if time > 0 else 0.0
        count = max(min(int(possible), MOST_UNITS), -(-FEWEST_UNITS // len(trajectories)))
        if len(one.blocks) < count:
            raise NotComputedError(
                f"{one.samples} samples of the dipole are too few; at least {FEWEST_UNITS} are needed"
            )
        pieces += [part.sum(axis=0) for part in np.array_split(one.blocks, count)]
    return Units(np.array(pieces), "blocks", total / len(pieces), time)
