"""The free-energy profile of a biased run that goes on, kept current in files beside i-PI's own."""

from __future__ import annotations

from pathlib import Path

from ...analysis.profile.make import write_and_draw
from ...analysis.profile.samples import ProfileOptions, profiles_of, samples_of_runs
from ...model import BeadwiseError
from ...runs.input.run_input import RunInput
from ...runs.plumed.bias_series import BiasSeries
from ...runs.plumed.biased_runs import BiasedRun, read_biased_runs

FEWEST = 2  # samples of a block


class LiveProfile:
    """Reads the extras that i-PI writes of the bias, and draws the profile of them.

    As for spectra, what the files hold beyond the step of the RESTART is passed over.

    Parameters
    ----------
    run : RunInput
        The profile is called as its outputs, ``PREFIX.profile``.
    options : ProfileOptions

    Raises
    ------
    InputError
        If the input does not write what a profile is made of.
    """

    name = "free-energy profile"

    def __init__(self, run: RunInput, options: ProfileOptions):
        self._options = options
        self._stem = run.folder / f"{run.prefix or 'i-pi'}.profile"
        self._runs: list[BiasedRun] = read_biased_runs(run)
        self._variable = self._runs[0].variable(options.variable)
        self._series: list[BiasSeries] | None = None
        if self._runs[0].step > 0:  # before i-PI adds to the files
            self._open(self._runs[0].step)

    def read(self) -> None:
        """Take in what i-PI has written since the last time; call it only after i-PI has opened its files.

        Raises
        ------
        InputError
            If the files do not belong together.
        SeriesError
            If they hold no usable series.
        """
        for series in self._series or self._open(None):
            series.read()

    def draw(self) -> list[Path]:
        """Write the profile of what has been read as CSV and PNG; the picture, if one was drawn.

        Raises
        ------
        InputError
            If runs do not go together.
        SamplingError
            If windows do not overlap.
        """
        series = self._series or []
        if not series or min(len(one.steps) for one in series) < FEWEST * self._options.blocks:
            return []
        samples = samples_of_runs(list(zip(self._runs, series, strict=True)), self._options)
        _, image = write_and_draw(profiles_of(samples, self._options), self._stem, self._variable)
        return [image]

    def _open(self, last_step: int | None) -> list[BiasSeries]:
        self._series = [BiasSeries(run, last_step) for run in self._runs]
        return self._series


def has_profile(run: RunInput) -> bool:
    """Whether an i-PI input writes what a free-energy profile is made of."""
    try:
        return bool([one.variable() for one in read_biased_runs(run)])
    except BeadwiseError:
        return False
