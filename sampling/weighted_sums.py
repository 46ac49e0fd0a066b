"""Weighted sums of products over the samples of runs: of all samples, and without one part of them after another.

Averages, covariances and histograms are functions of such sums, so that errors of all of them come from one jackknife.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from .errors import SamplingError
from .jackknife import FEWEST_UNITS, Histograms, LeftOut


def sums_of_runs(
    factors: Sequence[np.ndarray],
    columns: Sequence[Any],
    log_weights: Sequence[np.ndarray],
    blocks: int,
    independent: bool = True,
    comparable: bool = False,
) -> Histograms:
    """Σ w c_j f_i over samples, for all columns j and factors i.

    The weights of a run are known up to a factor, which says nothing about other runs. They are therefore normalised to
    the number of samples of the run, as in profiles, unless they are comparable.

    With at least 8 runs, which have to be independent, one run after another is left out. Otherwise every run is cut
    into contiguous blocks, and the same block of every run is left out.

    Parameters
    ----------
    factors : sequence of ndarray of float64, shape (samples, factors)
        f_i of each run.
    columns : sequence of ndarray or csr_array of float64, shape (samples, columns)
        c_j of each run.
    log_weights : sequence of ndarray of float64, shape (samples,)
        ln w of each run.
    blocks : int
    independent : bool
        Whether the runs are; walkers that deposit into one bias are not, and are cut into blocks however many.
    comparable : bool
        Whether the weights of all runs have the same factor, as those of MBAR.

    Returns
    -------
    Histograms
        Of the shape (columns · factors,), column by column.

    Raises
    ------
    SamplingError
        If there are too few blocks, or a run has fewer samples than blocks.
    """
    leave_out_runs = independent and not comparable and len(factors) >= FEWEST_UNITS
    lengths = np.array([len(one) for one in factors])
    if blocks < FEWEST_UNITS:
        raise SamplingError(f"{blocks} blocks say too little about an error; at least {FEWEST_UNITS} are needed")
    if lengths.min() < blocks and not leave_out_runs:
        raise SamplingError(f"a run of {lengths.min()} samples cannot be cut into {blocks} blocks")
    weights = normalised_weights(log_weights, comparable)
    weighted = [one * weight[:, None] for one, weight in zip(factors, weights, strict=True)]

    def parts(units: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Sums, weight and number of samples of each unit of each run: (runs, units, …)."""
        cuts = [list(pairwise(np.linspace(0, length, units + 1).astype(int))) for length in lengths]
        runs = list(zip(cuts, columns, weighted, weights, strict=True))
        sums = [[(column[a:b].T @ factor[a:b]).ravel() for a, b in cut] for cut, column, factor, _ in runs]
        totals = [[weight[a:b].sum() for a, b in cut] for cut, _, _, weight in runs]
        return np.array(sums), np.array(totals), np.array([[b - a for a, b in cut] for cut in cuts], dtype=np.float64)

    def left_out(units: int) -> LeftOut:
        sums, totals, samples = parts(units)
        rest = sums.sum(1, keepdims=True) - sums
        if not comparable:
            left = totals.sum(1, keepdims=True) - totals
            rest = rest * ((samples.sum(1, keepdims=True) - samples) / left)[..., None]
        return LeftOut(rest.sum(0), samples.sum(0) / samples.sum())

    by_run = parts(1)[0][:, 0]
    whole = by_run.sum(0)
    logarithms = np.log(np.concatenate(weights))
    if leave_out_runs:
        return Histograms(whole, LeftOut(whole - by_run, lengths / lengths.sum()), None, logarithms)
    return Histograms(whole, left_out(blocks), left_out(blocks // 2), logarithms)


def normalised_weights(log_weights: Sequence[np.ndarray], comparable: bool = False) -> list[np.ndarray]:
    """Weights of runs whose mean is one: over each run, or over all of them if they are comparable.

    Parameters
    ----------
    log_weights : sequence of ndarray of float64, shape (samples,)
    comparable : bool

    Returns
    -------
    list of ndarray of float64, shape (samples,)
    """
    highest = max(one.max() for one in log_weights)
    weights = [np.exp(one - (highest if comparable else one.max())) for one in log_weights]
    mean = np.concatenate(weights).mean()
    return [one / (mean if comparable else one.mean()) for one in weights]
