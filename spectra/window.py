"""Windows that take a correlation function to zero, and how much each blurs a spectrum."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy

from ..errors import SeriesError
from .units import SPEED_OF_LIGHT

# w(x) for x = t/T from 0 to 1 as sums of cosines a_0 + a_1 cos πx + a_2 cos 2πx + …
# (Harris, Proceedings of the IEEE 66, 51 (1978))
COSINES = {
    "hann": (0.5, 0.5),
    "blackman": (0.42, 0.5, 0.08),
    "blackman-harris": (0.35875, 0.48829, 0.14128, 0.01168),
    "none": (1.0,),
}

MOST_LAGS = 1e12
LONGEST, SHORTEST = 1000.0, 100.0  # fs, of a window that nobody has chosen
WINDOWS_IN_A_SERIES = 5


def usual_length(recorded: float = math.inf) -> float:
    """Length of the window that suits a series, where nobody has chosen one: a fifth of it, from 100 to 1000 fs.

    Parameters
    ----------
    recorded : float
        Length of the series in fs; of several that of the shortest.
    """
    return min(max(recorded / WINDOWS_IN_A_SERIES, SHORTEST), LONGEST)


@dataclass(frozen=True)
class Window:
    """A window w(t) that falls from 1 at t = 0 to its end at t = `length`.

    Parameters
    ----------
    name : str
        One of ``hann``, ``blackman``, ``blackman-harris`` and ``none`` (cut off at the end).
    length : float
        T in fs; the correlation function is not used beyond.

    Raises
    ------
    SeriesError
        If the name is unknown or the length not positive.
    """

    name: str = "hann"
    length: float = 1000.0

    def __post_init__(self) -> None:
        if self.name not in COSINES:
            raise SeriesError(f"window '{self.name}' is unknown; allowed are {', '.join(COSINES)}")
        if not 0 < self.length < np.inf:
            raise SeriesError(f"the window's length is {self.length} fs; it must be positive and finite")

    @classmethod
    def of_width(cls, width: float, name: str = "hann") -> Window:
        """Make the window that blurs by a full width at half maximum, in cm⁻¹."""
        if not width > 0:
            raise SeriesError(f"the resolution is {width} cm⁻¹; it must be positive")
        return cls(name, cls(name, 1000.0).width * 1000.0 / width)

    def lags(self, timestep: float) -> int:
        """Highest lag, in samples of `timestep` fs, that lies within the window; at least 1.

        Raises
        ------
        SeriesError
            If there are more than any memory holds.
        """
        if self.length / timestep > MOST_LAGS:
            raise SeriesError(
                f"the window of {self.length:g} fs has {self.length / timestep:.3g} samples of {timestep:g} fs; "
                f"at most {MOST_LAGS:.0e} are allowed"
            )
        return max(1, int(self.length / timestep))

    def values(self, lags: int, timestep: float) -> np.ndarray:
        """Values at 0 … `lags` samples of `timestep` fs, shape (lags + 1,)."""
        place = np.arange(lags + 1) * timestep / self.length
        shape = sum(a * np.cos(np.pi * order * place) for order, a in enumerate(COSINES[self.name]))
        return np.where(place <= 1, shape, 0.0)

    @property
    def width(self) -> float:
        """Full width at half maximum of the window's Fourier transform, in cm⁻¹."""

        def transform(x: float) -> float:  # at ω = π x/T, over its value at 0
            terms = (a * (np.sinc(x - order) + np.sinc(x + order)) / 2 for order, a in enumerate(COSINES[self.name]))
            return float(sum(terms) / COSINES[self.name][0])

        half = scipy.optimize.brentq(lambda x: transform(x) - 0.5, 0.0, 2.0)
        return 2 * half / (2 * self.length * SPEED_OF_LIGHT)  # ν̃ = ω/(2πc)

    def __str__(self) -> str:
        return f"{self.name}, {self.length:g} fs, full width at half maximum {self.width:.1f} cm⁻¹"
