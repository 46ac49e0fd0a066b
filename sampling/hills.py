"""What the hills of a metadynamics run say on their own: the bias, weights of samples, and the free energy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from ase.units import kB

from .biased_series import BiasedSeries
from .errors import SamplingError
from .profile import FreeEnergyProfile, series_profile

KERNELS = ("stretched-gaussian", "gaussian")
CUTOFF = 6.25  # of (s − s_0)²/2σ², PLUMED's own: hills end there
REACH = np.sqrt(2 * CUTOFF)  # the same in widths
POINTS_PER_WIDTH = 10
AT_ONCE = 1 << 20  # numbers of an array that is made on the way


@dataclass(frozen=True)
class Hills:
    """Hills in the order in which they were deposited, as PLUMED's HILLS file has them.

    Parameters
    ----------
    centres, widths : ndarray of float64, shape (hills, variables)
    heights : ndarray of float64, shape (hills,)
        In eV. The file of a well-tempered run has the heights of the bias times γ/(γ − 1); so have these.
    temperature : float
        In K.
    bias_factor : float
        γ; 1 or −1, which versions of PLUMED write, for a run that was not tempered.
    periods : ndarray of float64, shape (variables,), optional
        Infinity for a variable that is not periodic; by default none is.
    kernel : str
        ``stretched-gaussian`` or ``gaussian``, the file's ``kerneltype``.

    Raises
    ------
    SamplingError
        If shapes do not belong together, there is no hill, or a number is out of its range.
    """

    centres: np.ndarray
    widths: np.ndarray
    heights: np.ndarray
    temperature: float
    bias_factor: float
    periods: np.ndarray | None = None
    kernel: str = KERNELS[0]

    def __post_init__(self) -> None:
        for name in ("centres", "widths", "heights"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.float64))
        _check(self.centres, self.widths, self.heights, self.kernel)
        if not len(self.centres):
            raise SamplingError("there is no hill; at least one is needed")
        if not (np.isfinite(self.temperature) and self.temperature > 0):
            raise SamplingError(f"the temperature is {self.temperature} K; it must be positive")
        if not (self.bias_factor >= 1 or self.bias_factor == -1):
            raise SamplingError(f"the bias factor is {self.bias_factor}; it is above 1, or 1 or -1 without tempering")

    @property
    def is_tempered(self) -> bool:
        """Whether hills became lower as the bias grew."""
        return 1 < self.bias_factor < np.inf

    @property
    def bias_heights(self) -> np.ndarray:
        """Heights that were added to the bias, in eV, shape (hills,)."""
        return self.heights * ((self.bias_factor - 1) / self.bias_factor if self.is_tempered else 1.0)


def bias_of_hills(
    points: np.ndarray,
    centres: np.ndarray,
    widths: np.ndarray,
    heights: np.ndarray,
    periods: np.ndarray | None = None,
    kernel: str = KERNELS[0],
) -> np.ndarray:
    """The sum of hills, Σ_h w_h g(Σ_i (s_i − s_hi)²/2σ_hi²).

    A hill is g(x) = e^{−x} for x < 6.25, and zero beyond. That is the kernel ``gaussian``, which has a small step where
    it ends; ``stretched-gaussian``, (e^{−x} − e^{−6.25})/(1 − e^{−6.25}), has none (PLUMED, manual of METAD; Tribello,
    Bonomi, Branduardi, Camilloni, Bussi, Comput. Phys. Commun. 185, 604 (2014)). The first was that of older versions;
    a newer one that continues their file takes all its hills as stretched.

    Parameters
    ----------
    points : ndarray of float64, shape (points, variables)
    centres, widths : ndarray of float64, shape (hills, variables)
    heights : ndarray of float64, shape (hills,)
    periods : ndarray of float64, shape (variables,), optional
        Infinity for a variable that is not periodic; by default none is.
    kernel : str
        ``stretched-gaussian`` or ``gaussian``.

    Returns
    -------
    ndarray of float64, shape (points,)
        In the unit of the heights.

    Raises
    ------
    SamplingError
        If shapes do not belong together, or a number is out of its range.
    """
    points, centres, widths, heights = (np.asarray(a, dtype=np.float64) for a in (points, centres, widths, heights))
    _check(centres, widths, heights, kernel)
    if points.ndim != 2 or points.shape[1] != centres.shape[1]:
        raise SamplingError(f"points have the shape {points.shape}; (points, {centres.shape[1]}) is needed")
    periods = _checked_periods(periods, centres.shape[1])
    bias = np.zeros(len(points))
    together = max(1, AT_ONCE // max(1, len(points)))
    for start in range(0, len(centres), together):
        part = slice(start, start + together)
        bias += heights[part] @ _kernels(points, centres[part], widths[part], periods, kernel)
    return bias


def reweighting_of_hills(hills: Hills, lowest: float | None = None, highest: float | None = None) -> np.ndarray:
    """Log weights β [V(s_t, t) − c(t)] of the samples that the centres of the hills themselves are.

    V is the bias just before each hill, c(t) the constant that makes biases of different times comparable,
    c(t) = k_B T ln ∫ e^{γ/(γ−1) βV(s,t)} ds / ∫ e^{1/(γ−1) βV(s,t)} ds (Tiwary, Parrinello, J. Phys. Chem. B 119, 736
    (2015), which PLUMED's ``CALC_RCT`` prints as ``rct``); without tempering c(t) = k_B T ln ∫ e^{βV} ds / ∫ ds.
    The bias is collected on a grid with ten points in a width, over which integrals are taken by the trapezoidal rule.

    Parameters
    ----------
    hills : Hills
        Of one variable.
    lowest, highest : float, optional
        Range of the integrals, which should be what the variable can reach; by default the period, or what the hills
        cover. Hills outside have weights all the same.

    Returns
    -------
    ndarray of float64, shape (hills,)

    Raises
    ------
    SamplingError
        If hills are of several variables, or the range is none.
    """
    points, inside = _grid(hills, lowest, highest)
    spacing = points[1] - points[0]
    beta = 1 / (kB * hills.temperature)
    logarithms = np.empty(len(hills.centres))
    for part, before in _biases_before(hills, points):
        constants = _time_constants(beta * before[:, inside], hills)
        logarithms[part] = beta * _interpolate(before, (hills.centres[part, 0] - points[0]) / spacing) - constants
    return logarithms


def profile_of_hills(hills: Hills, edges: np.ndarray, blocks: int = 16, discarded: float = 0.5) -> FreeEnergyProfile:
    """The free energy that the hills add up to, F(s) = −γ/(γ − 1) V(s, t).

    A well-tempered bias converges but for a constant that still grows (Barducci, Bussi, Parrinello, Phys. Rev. Lett.
    100, 020603 (2008)); without tempering its mean over time does. F is averaged over the later part of the run, which
    changes nothing but a constant where the bias has converged. F is that of the centroid for a bias that acts
    on the centroid. One sum of hills has no error of its own: the standard errors are those of the profile that the
    centres give as weighted samples.

    Parameters
    ----------
    hills : Hills
        Of one variable.
    edges : ndarray of float64, shape (bins + 1,)
        F is taken at the centres of the bins.
    blocks : int
        Contiguous parts of the run that errors come from.
    discarded : float
        Part of the hills, from the first, after which the average begins.

    Raises
    ------
    SamplingError
        If hills are of several variables or fewer than blocks, or nothing is between the edges.
    """
    if not 0 <= discarded < 1:
        raise SamplingError(f"the discarded part is {discarded}; it is at least 0 and less than 1")
    reweighted = BiasedSeries(_one_variable(hills), reweighting_of_hills(hills))
    profile = series_profile([reweighted], edges, hills.temperature, blocks)
    count = len(hills.centres)
    first = int(discarded * count)
    # a hill is part of all averaged biases from its own time on
    share = (count - np.maximum(np.arange(count), first)) / (count - first)
    averaged = bias_of_hills(
        profile.coordinate[:, None], hills.centres, hills.widths, hills.heights * share, hills.periods, hills.kernel
    )
    notes = dict(profile.notes)
    notes["estimator"] = f"sum of {count} hills, mean over those after the first {first}"
    notes["standard errors"] += ", of the centres of hills as weighted samples"
    free_energy = np.where(averaged > 0, averaged.max() - averaged, np.nan)  # no hill: nothing is known
    return replace(profile, free_energy=free_energy, notes=notes)


def _check(centres: np.ndarray, widths: np.ndarray, heights: np.ndarray, kernel: str) -> None:
    """Refuse hills whose numbers do not belong together."""
    if centres.ndim != 2 or widths.shape != centres.shape or heights.shape != centres.shape[:1]:
        shapes = f"centres {centres.shape}, widths {widths.shape} and heights {heights.shape}"
        raise SamplingError(f"hills have {shapes}; (hills, variables), the same and (hills,) are needed")
    if not all(np.isfinite(numbers).all() for numbers in (centres, widths, heights)):
        raise SamplingError("centres, widths and heights of hills must be finite")
    if (widths <= 0).any():
        raise SamplingError(f"the narrowest hill has the width {widths.min():g}; widths must be positive")
    if kernel not in KERNELS:
        raise SamplingError(f"hills are of the kind {kernel!r}; {' and '.join(KERNELS)} are known")


def _checked_periods(periods: np.ndarray | None, variables: int) -> np.ndarray:
    """A period for every variable, infinity for none."""
    periods = np.full(variables, np.inf) if periods is None else np.asarray(periods, dtype=np.float64)
    if periods.shape != (variables,) or not (periods > 0).all():
        raise SamplingError(f"periods are {periods}; one positive number for each of {variables} variables is needed")
    return periods


def _kernels(
    points: np.ndarray, centres: np.ndarray, widths: np.ndarray, periods: np.ndarray, kernel: str
) -> np.ndarray:
    """Hills of height one at all points, shape (hills, points)."""
    exponents = np.zeros((len(centres), len(points)))
    for variable, period in enumerate(periods):
        distances = points[:, variable] - centres[:, variable, None]
        if np.isfinite(period):
            distances -= period * np.round(distances / period)
        exponents += np.square(distances / widths[:, variable, None]) / 2
    values = np.where(exponents < CUTOFF, np.exp(-exponents), 0.0)
    if kernel == "gaussian":
        return values
    end = np.exp(-CUTOFF)
    return np.where(exponents < CUTOFF, (values - end) / (1 - end), 0.0)


def _one_variable(hills: Hills) -> np.ndarray:
    """Centres of hills of one variable, shape (hills, 1)."""
    if hills.centres.shape[1] != 1:
        raise SamplingError(f"hills are of {hills.centres.shape[1]} variables; they are reweighted for one")
    return hills.centres


def _grid(hills: Hills, lowest: float | None, highest: float | None) -> tuple[np.ndarray, slice]:
    """Evenly spaced points around all centres (points,), and which of them are integrated over."""
    centres = _one_variable(hills)[:, 0]
    period = float(_checked_periods(hills.periods, 1)[0])
    reach = REACH * float(hills.widths.max())
    whole = (centres.min() - reach, centres.max() + reach)
    if np.isfinite(period):
        whole = (centres.min(), centres.min() + period)
    lowest, highest = whole[0] if lowest is None else lowest, whole[1] if highest is None else highest
    if not lowest < highest:
        raise SamplingError(f"the range of the variable goes from {lowest:g} to {highest:g}; it must increase")
    intervals = int(np.ceil((highest - lowest) * POINTS_PER_WIDTH / float(hills.widths.min())))
    spacing = (highest - lowest) / intervals
    # the cubic through the neighbours of a centre needs two points on either side
    before = int(np.ceil(max(0.0, lowest - centres.min()) / spacing)) + 2
    after = int(np.ceil(max(0.0, centres.max() - highest) / spacing)) + 2
    points = lowest + spacing * np.arange(-before, intervals + after + 1)
    return points, slice(before, before + intervals + 1)


def _biases_before(hills: Hills, points: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Parts of the hills, and the bias just before each of them on the grid (hills, points)."""
    periods = _checked_periods(hills.periods, 1)
    heights = hills.bias_heights
    bias = np.zeros(len(points))
    together = max(1, AT_ONCE // len(points))
    for start in range(0, len(heights), together):
        part = slice(start, min(start + together, len(heights)))
        single = _kernels(points[:, None], hills.centres[part], hills.widths[part], periods, hills.kernel)
        after = bias + np.cumsum(heights[part, None] * single, axis=0)
        yield part, np.concatenate([bias[None], after[:-1]])
        bias = after[-1]


def _time_constants(reduced: np.ndarray, hills: Hills) -> np.ndarray:
    """β c(t) from reduced biases on a grid, (times, points) to (times,)."""
    upper, lower = 1.0, 0.0
    if hills.is_tempered:
        upper, lower = hills.bias_factor / (hills.bias_factor - 1), 1 / (hills.bias_factor - 1)
    highest = reduced.max(axis=1, keepdims=True)
    # the trapezoidal rule; both ends of a period are one point
    parts = np.ones(reduced.shape[1])
    parts[[0, -1]] = 0.5
    ratio = (np.exp(upper * (reduced - highest)) @ parts) / (np.exp(lower * (reduced - highest)) @ parts)
    return np.log(ratio) + (upper - lower) * highest[:, 0]


def _interpolate(rows: np.ndarray, places: np.ndarray) -> np.ndarray:
    """One value of each row of a grid, by the cubic through four neighbours (Lagrange); places in spacings."""
    left = places.astype(int)
    t = places - left
    inner, outer = t * (t - 1), (t + 1) * (t - 2)
    factors = np.stack([-inner * (t - 2) / 6, outer * (t - 1) / 2, -outer * t / 2, inner * (t + 1) / 6])
    neighbours = rows[np.arange(len(rows)), left + np.arange(-1, 3)[:, None]]
    return (factors * neighbours).sum(axis=0)
