"""The bias of PLUMED in runs of a committee: weights that take it away, and samples of a collective variable."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...runs.input.elements import InputError
from ...runs.input.run_input import RunInput
from ...runs.plumed.bias_series import BiasSeries, counted_biases, reduced_energy
from ...runs.plumed.biased_runs import BiasedRun, read_biased_runs
from ...sampling import BiasedSeries, Window
from ..profile.samples import ProfileOptions, edges_of, samples_of_runs, wrapped
from ..profile.samples import Samples as ProfileSamples
from .runs import CommitteeRun


class BiasAtSteps(BiasSeries):
    """The extras of a bias at some of the steps where they were written.

    Parameters
    ----------
    run : BiasedRun

    Raises
    ------
    InputError
        If the files of the beads do not belong together.
    SeriesError
        If a file cannot be read, or holds something else than numbers.
    """

    def __init__(self, run: BiasedRun):
        super().__init__(run)
        self._kept: np.ndarray | None = None
        self.read()

    def keep(self, steps: np.ndarray) -> None:
        """Leave out all but these steps, each of which the files hold."""
        self._kept = np.searchsorted(super().steps, steps)

    @property
    def steps(self) -> np.ndarray:
        """Step of each sample, shape (samples,), int64."""
        return super().steps if self._kept is None else super().steps[self._kept]

    def column(self, name: str) -> np.ndarray:
        """One of the extras, shape (samples, beads that are written), in PLUMED's units."""
        return super().column(name) if self._kept is None else super().column(name)[self._kept]


def read_biases(source: RunInput, runs: Sequence[CommitteeRun]) -> list[tuple[BiasedRun, BiasAtSteps] | None]:
    """The biases of all systems of a run; None for those that have none.

    Parameters
    ----------
    source : RunInput
    runs : sequence of CommitteeRun
        The systems of `source`.

    Raises
    ------
    InputError
        If the energy of a bias is not written, or some systems are biased and others not.
    SeriesError
        If a file cannot be read.
    """
    if not any(run.is_biased for run in runs):
        return [None] * len(runs)
    biased = read_biased_runs(source)
    if len(biased) != len(runs):
        raise InputError(f"{len(biased)} of {len(runs)} systems of '{source.path}' are biased; all or none may be")
    return [(run, BiasAtSteps(run)) for run in biased]


def log_weights(run: BiasedRun, series: BiasSeries, labels: Sequence[str]) -> np.ndarray:
    """β V of the biases that count, at every sample, shape (samples,).

    Raises
    ------
    InputError
        If the run has no bias of a label.
    """
    total = np.zeros(len(series.steps))
    for bias in counted_biases(run, labels):
        total += reduced_energy(bias, run, series)
    return total


def check_no_windows(biased: Sequence[BiasedRun]) -> None:
    """Refuse umbrella windows: few of the samples of each belong to the unbiased ensemble."""
    if len(biased) > 1 and not all(run.is_deposited for run in biased) and any(run.restraints for run in biased):
        raise InputError(
            f"{len(biased)} runs with restraints are umbrella windows, of which --profile is made, and no averages"
        )


def samples_for_profile(
    runs: Sequence[tuple[BiasedRun, BiasAtSteps]], options: ProfileOptions
) -> tuple[list[BiasedSeries] | list[Window], np.ndarray, list[ProfileSamples]]:
    """Samples of runs or umbrella windows, with values of a periodic variable in the period of the range.

    Parameters
    ----------
    runs : sequence of (BiasedRun, BiasAtSteps)
        Of one number of beads and one temperature, at the steps that count.
    options : ProfileOptions
        With `skip` 0.

    Returns
    -------
    samples : list of BiasedSeries or of Window
        In the order of the runs.
    edges : ndarray of float64, shape (bins + 1,)
    described : list of Samples
        What they are called, and what must be said of them.

    Raises
    ------
    InputError
        If a variable or bias is not written, runs do not go together, or the range cannot be used.
    """
    described = samples_of_runs(runs, options)
    period = described[0].period
    length = None if period is None else period[1] - period[0]
    edges = edges_of(described, options, {}, length)
    inside = [wrapped(one.values, edges[0], length) for one in described]
    pairs = list(zip(described, inside, strict=True))
    if described[0].restraints:
        windows = [Window(values, np.stack(one.restraints), one.log_weights) for one, values in pairs]
        return windows, edges, described
    return [BiasedSeries(values, one.log_weights) for one, values in pairs], edges, described
