"""Weighted histograms, averaged over beads, of all samples and without one block of them after another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array, csr_array

from .biased_series import BiasedSeries
from .errors import SamplingError
from .multistate import Multistate, Window

FEWEST_UNITS = 8  # fewer independent parts say little about an error


@dataclass(frozen=True)
class LeftOut:
    """Histograms that lack one part of the samples each.

    Parameters
    ----------
    histograms : ndarray of float64, shape (units, bins)
    shares : ndarray of float64, shape (units,)
        Part of all samples that each unit is.
    """

    histograms: np.ndarray
    shares: np.ndarray


class Estimate(NamedTuple):
    """Values, their standard errors, and the factor by which errors were made larger, as blocks remember each other."""

    values: np.ndarray
    standard_errors: np.ndarray
    growth: float


@dataclass(frozen=True)
class Histograms:
    """A weighted histogram and what is needed for its errors.

    Parameters
    ----------
    whole : ndarray of float64, shape (bins,)
        Of all samples, up to a factor.
    without : LeftOut
    without_longer : LeftOut or None
        The same for half as many units, each twice as long; None where units are runs, which are independent.
    log_weights : ndarray of float64, shape (samples,)
        Of all samples.
    """

    whole: np.ndarray
    without: LeftOut
    without_longer: LeftOut | None
    log_weights: np.ndarray

    @property
    def units(self) -> int:
        """Number of parts that were left out one after another."""
        return len(self.without.histograms)

    @property
    def unit(self) -> str:
        """``blocks`` or ``runs``."""
        return "runs" if self.without_longer is None else "blocks"

    def jackknife(self, function: Callable[[np.ndarray], np.ndarray]) -> Estimate:
        """A function of the histogram, and its standard error.

        The delete-one jackknife. Blocks that are shorter than the memory of the run depend on each other, and make
        errors look small; errors then grow as blocks are joined (Flyvbjerg, Petersen, J. Chem. Phys. 91, 461 (1989)).
        So the same is done with half as many blocks. Where errors are larger then, by the median over all values, all
        are multiplied by that one factor: one factor, because the errors of single values scatter from one number of
        blocks to another by chance, and the larger of two for every value would be too large. What is left of that
        bias makes errors of samples without memory too large by some per cent. A factor far from one says that the
        run is too short for its memory, and that the errors are too small all the same.

        Parameters
        ----------
        function : callable
            Takes histograms (…, bins), up to a factor, and gives (…, values).

        Returns
        -------
        Estimate
            Errors are not a number where one unit has all the samples that a value depends on.
        """
        factor = 1.0
        with np.errstate(divide="ignore", invalid="ignore"):
            values = function(self.whole)
            errors = _spread(values, function(self.without.histograms), self.without.shares)
            if self.without_longer is not None:
                longer = _spread(values, function(self.without_longer.histograms), self.without_longer.shares)
                growth = longer / errors
                growth = growth[np.isfinite(growth)]
                factor = max(1.0, float(np.median(growth))) if growth.size else 1.0
        return Estimate(values, factor * errors, factor)


def histograms_of(
    samples: Sequence[BiasedSeries] | Sequence[Window], edges: np.ndarray, blocks: int, independent: bool = True
) -> Histograms:
    """Histograms of runs or of umbrella windows; see ``histograms_of_series`` and ``histograms_of_windows``.

    Raises
    ------
    SamplingError
        If there is no sample, edges do not increase, numbers of beads differ, or a run has fewer samples than blocks.
    """
    edges = np.asarray(edges, dtype=np.float64)
    if edges.ndim != 1 or len(edges) < 2 or not np.isfinite(edges).all() or (np.diff(edges) <= 0).any():
        raise SamplingError("edges of bins must be at least two finite numbers that increase")
    if not samples:
        raise SamplingError("there is no run; at least one is needed")
    if blocks < FEWEST_UNITS:
        raise SamplingError(f"{blocks} blocks say too little about an error; at least {FEWEST_UNITS} are needed")
    beads = {run.beads for run in samples}
    if len(beads) > 1:
        raise SamplingError(f"runs have {sorted(beads)} beads; one number is needed")
    windows = [run for run in samples if isinstance(run, Window)]
    series = [run for run in samples if isinstance(run, BiasedSeries)]
    if windows and series:
        raise SamplingError("umbrella windows and runs of their own bias were given together; they share no weights")
    # runs that are left out as a whole are not cut
    least = min(run.samples for run in samples)
    by_run = independent and len(series) >= FEWEST_UNITS
    if least < blocks and not by_run:
        raise SamplingError(f"a run of {least} samples cannot be cut into {blocks} blocks; it needs a sample for each")
    if windows:
        return histograms_of_windows(windows, edges, blocks)
    return histograms_of_series(series, edges, blocks, by_run)


def histograms_of_series(
    series: Sequence[BiasedSeries], edges: np.ndarray, blocks: int, leave_out_runs: bool
) -> Histograms:
    """Histograms of runs that each have a bias of their own.

    The weights of a run are known up to a factor, which says nothing about other runs. They are therefore normalised
    to the number of samples of the run, so that no run dominates by its factor, and runs are averaged.

    With at least 8 runs, which have to be independent, one run after another is left out. Otherwise every run is cut
    into contiguous blocks, and the same block of every run is left out: what walkers have in common, as they share
    their bias, is left out with it.
    """
    lengths = np.array([run.samples for run in series])
    weights = [np.exp(run.log_weights - run.log_weights.max()) for run in series]
    occupations = [occupation(run.values, edges) for run in series]

    def parts(units: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Histogram, weight and samples of each unit of each run: (runs, units, …)."""
        cuts = [np.linspace(0, length, units + 1).astype(int) for length in lengths]
        pieces = [list(pairwise(cut)) for cut in cuts]
        runs = list(zip(pieces, occupations, weights, strict=True))
        histograms = [[part[a:b].T @ weight[a:b] for a, b in piece] for piece, part, weight in runs]
        sums = [[weight[a:b].sum() for a, b in piece] for piece, _, weight in runs]
        return np.array(histograms), np.array(sums), np.array([np.diff(cut) for cut in cuts], dtype=np.float64)

    def left_out(units: int) -> LeftOut:
        histograms, sums, samples = parts(units)
        factors = (samples.sum(1, keepdims=True) - samples) / (sums.sum(1, keepdims=True) - sums)
        rest = histograms.sum(1, keepdims=True) - histograms
        return LeftOut((rest * factors[..., None]).sum(0), samples.sum(0) / samples.sum())

    by_run, sums, samples = (array[:, 0] for array in parts(1))
    by_run = by_run * (samples / sums)[:, None]
    whole = by_run.sum(0)
    if leave_out_runs:
        without, without_longer = LeftOut(whole - by_run, samples / samples.sum()), None
    else:
        without, without_longer = left_out(blocks), left_out(blocks // 2)
    normalised = np.log(np.concatenate([w * n / s for w, n, s in zip(weights, samples, sums, strict=True)]))
    return Histograms(whole, without, without_longer, normalised)


def histograms_of_windows(windows: Sequence[Window], edges: np.ndarray, blocks: int) -> Histograms:
    """Histograms of umbrella windows with the weights of MBAR.

    Every window is cut into contiguous blocks, and the same block of every window is left out; the equations of MBAR
    are solved anew each time. Windows are independent of each other, so that it does not matter which of their blocks
    are left out together.
    """
    joined = Multistate(windows)
    parts = np.concatenate([np.arange(window.samples) / window.samples for window in windows])
    occupations = occupation(np.concatenate([window.values for window in windows]), edges)

    def left_out(units: int) -> LeftOut:
        unit_of = (parts * units).astype(int)
        histograms = [occupations.T @ np.exp(joined.log_weights(unit_of != unit)) for unit in range(units)]
        return LeftOut(np.array(histograms), np.bincount(unit_of, minlength=units) / len(unit_of))

    log_weights = joined.log_weights()
    whole = occupations.T @ np.exp(log_weights)
    return Histograms(whole, left_out(blocks), left_out(blocks // 2), log_weights)


def occupation(values: np.ndarray, edges: np.ndarray) -> csr_array:
    """Part of the beads of each sample that is in each bin.

    Parameters
    ----------
    values : ndarray of float64, shape (samples, beads)
    edges : ndarray of float64, shape (bins + 1,)
        The last bin includes its upper edge, the others do not.

    Returns
    -------
    csr_array of float64, shape (samples, bins)
        Rows sum to one where no bead is outside.
    """
    samples, beads = values.shape
    bins = np.searchsorted(edges, values, side="right") - 1
    bins[values == edges[-1]] -= 1
    inside = (bins >= 0) & (bins < len(edges) - 1)
    rows = np.broadcast_to(np.arange(samples)[:, None], bins.shape)[inside]
    entries = np.full(len(rows), 1 / beads)
    return coo_array((entries, (rows, bins[inside])), shape=(samples, len(edges) - 1)).tocsr()


def _spread(values: np.ndarray, left_out: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Standard errors from values without each unit, for units of unequal size.

    Pseudo-values θ_j = h_j θ − (h_j − 1) θ_(j), h_j = n/m_j, variance Σ_j (θ_j − θ_J)²/(h_j − 1)/g (Busing, Meijer, van
    der Leeden, Statistics and Computing 9, 3 (1999)).
    """
    inverse = (1 / shares)[:, None]
    pseudo = inverse * values - (inverse - 1) * left_out
    centre = len(shares) * values - ((1 - 1 / inverse) * left_out).sum(axis=0)
    errors = np.sqrt((np.square(pseudo - centre) / (inverse - 1)).sum(axis=0) / len(shares))
    return np.where(np.isfinite(errors), errors, np.nan)
