"""The free-energy profile of a biased run that goes on, kept current in files beside i-PI's own."""

from __future__ import annotations

from pathlib import Path

from ...model import BeadwiseError
from ...runs.input.run_input import RunInput
from ...runs.plumed.bias_series import BiasSeries
from ...runs.plumed.biased_runs import BiasedRun, read_biased_runs
from ...sampling import FreeEnergyProfile
from .make import write_and_draw
from .samples import ProfileOptions, profiles_of, samples_of_runs

FEWEST = 2  # samples of a block


class LiveProfile:
    """Reads the extras that i-PI writes of the bias, and draws the profile of them.

    As for spectra, what the files hold beyond the step of the RESTART is passed over.

    Parameters
    ----------
    run : RunInput
        The profile is called as its outputs, ``PREFIX.profile``.
    options : ProfileOptions
    continues : bool
        Whether i-PI is about to go on from the step of the input, so that what its files hold beyond does not count.

    Raises
    ------
    InputError
        If the input does not write what a profile is made of.
    """

    name = "free-energy profile"

    def __init__(self, run: RunInput, options: ProfileOptions, continues: bool = True):
        self._options = options
        self._stem = run.folder / f"{run.prefix or 'i-pi'}.profile"
        self._runs: list[BiasedRun] = read_biased_runs(run)
        self._variable = self._runs[0].variable(options.variable)
        self._series: list[BiasSeries] | None = None
        if continues and self._runs[0].step > 0:  # before i-PI adds to the files
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

    def profiles(self) -> dict[str, FreeEnergyProfile]:
        """Profiles of what has been read, by the name of their curve; none if there are too few samples.

        Raises
        ------
        InputError
            If runs do not go together.
        SamplingError
            If windows do not overlap.
        """
        series = self._series or []
        if not series or min(len(one.steps) for one in series) < FEWEST * self._options.blocks:
            return {}
        samples = samples_of_runs(list(zip(self._runs, series, strict=True)), self._options)
        return profiles_of(samples, self._options)

    @property
    def variable(self) -> str:
        """Name of the collective variable."""
        return self._variable

    @property
    def samples(self) -> int:
        """How many have been read of each run at least."""
        return min((len(one.steps) for one in self._series or ()), default=0)

    def draw(self) -> list[Path]:
        """Write the profile of what has been read as CSV and PNG; the picture, if one was drawn.

        Raises
        ------
        InputError, SamplingError
            As `profiles`.
        """
        profiles = self.profiles()
        if not profiles:
            return []
        _, image = write_and_draw(profiles, self._stem, self._variable)
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
