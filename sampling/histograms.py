"""Weighted histograms, averaged over beads, of all samples and without one block of them after another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy

from .biased_series import BiasedSeries
from .errors import SamplingError
from .jackknife import FEWEST_UNITS, Histograms, LeftOut
from .multistate import Multistate, Window
from .weighted_sums import sums_of_runs


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
    return sums_of_runs(
        [np.ones((run.samples, 1)) for run in series],
        [occupation(run.values, edges) for run in series],
        [run.log_weights for run in series],
        blocks,
        leave_out_runs,
    )


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


def occupation(values: np.ndarray, edges: np.ndarray) -> scipy.sparse.csr_array:
    """Part of the beads of each sample that is in each bin.

    Parameters
    ----------
    values : ndarray of float64, shape (samples, beads)
    edges : ndarray of float64, shape (bins + 1,)
        The last bin includes its upper edge, the others do not.

    Returns
    -------
    scipy.sparse.csr_array of float64, shape (samples, bins)
        Rows sum to one where no bead is outside.
    """
    samples, beads = values.shape
    bins = np.searchsorted(edges, values, side="right") - 1
    bins[values == edges[-1]] -= 1
    inside = (bins >= 0) & (bins < len(edges) - 1)
    rows = np.broadcast_to(np.arange(samples)[:, None], bins.shape)[inside]
    entries = np.full(len(rows), 1 / beads)
    return scipy.sparse.coo_array((entries, (rows, bins[inside])), shape=(samples, len(edges) - 1)).tocsr()
