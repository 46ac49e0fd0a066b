"""The permittivity of a run that goes on, kept current in files beside i-PI's own."""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np

from ...runs.input.elements import InputError
from ...runs.input.outputs import ExtrasOutput
from ...runs.input.run_input import RunInput
from ...runs.output.bead_series import BeadSeries
from ...runs.output.volumes import VolumeSeries
from ...spectra import NotComputedError, Spectrum
from ...spectra.dielectric import Fluctuations
from ...spectra.dielectric.spectrum import dielectric_spectrum, lags_for
from .conditions import RunConditions
from .dielectric import NO_VOLUMES, needed_of, write_result
from .live_series import Samples, begin, take_in
from .outputs import output_for, output_of_both


class LiveDielectric:
    """Reads the dipoles and polarizabilities that i-PI writes, and keeps a permittivity with its errors.

    It uses every sample, from the first on.  A run that was killed and continued has the table of one without
    interruption, as its spectra have.

    Parameters
    ----------
    run : RunInput
    conditions : RunConditions
    optical_permittivity : float or None
        ε∞; None for that of the polarizabilities.
    continues : bool
        Whether i-PI is about to go on from the step of a RESTART.

    Raises
    ------
    InputError
        If the input does not write what is needed.
    SeriesError
        If files of a run that continues cannot be read.
    """

    name = "permittivity"

    def __init__(
        self,
        run: RunInput,
        conditions: RunConditions,
        optical_permittivity: float | None = None,
        continues: bool = True,
    ):
        self._run, self._conditions, self._optical = run, conditions, optical_permittivity
        self._output: ExtrasOutput = (
            output_of_both(run, conditions)
            if optical_permittivity is None
            else output_for("dielectric", run, conditions)
        )
        if not conditions.has_constant_volume and conditions.volume_file is None:
            raise InputError(f"no permittivity of '{run.path}': {NO_VOLUMES}")
        timestep = conditions.timestep * self._output.stride
        lags = lags_for(run.total_steps * conditions.timestep, timestep)
        volume = conditions.volume if conditions.has_constant_volume else None
        self._fluctuations = Fluctuations(timestep, lags, volume)
        self._series: BeadSeries | None = None
        self._volumes: VolumeSeries | None = None
        self._waiting: Samples = {}
        self._steps = np.zeros(0, dtype=np.int64)
        if continues and run.step > 0:  # before i-PI adds to the files
            self._open(run.step)

    @property
    def samples(self) -> int:
        """Samples that were taken in."""
        return self._fluctuations.samples

    def read(self, seconds: float = math.inf) -> bool:
        """Take in what i-PI has written since the last time; call it only after i-PI has opened its files.

        Parameters
        ----------
        seconds : float
            After which it is enough for once.

        Returns
        -------
        bool
            Whether all was read.

        Raises
        ------
        SeriesError
            If the files hold no usable series.
        """
        series = self._series or self._open(None)

        def take(samples: Samples) -> None:
            needed = needed_of(samples, series.paths[0], self._optical)
            needed["dipole"] = self._continuity.follow(needed["dipole"])
            self._take(needed, series.steps)

        if not take_in(series.read, take, time.monotonic() + seconds):
            return False
        if len(self._steps):
            self._take({}, self._steps[:0])
        return True

    def permittivity(self) -> Spectrum | None:
        """That of what has been read; None if there are too few samples.

        Raises
        ------
        SeriesError
            If ε∞ is not known.
        """
        timestep = self._conditions.timestep
        try:
            spectrum, _ = dielectric_spectrum(
                [self._fluctuations],
                self._conditions.of_samples(self._output.stride),
                optical_permittivity=self._optical,
            )
        except NotComputedError:
            return None
        planned = self._run.total_steps
        steps = self.samples * self._output.stride
        steps = planned if steps + self._output.stride > planned else steps
        return spectrum.so_far(steps * timestep / 1000, planned * timestep / 1000)

    def draw(self) -> list[Path]:
        """Write the permittivity of what has been read as CSV and PNG; the picture, if one was drawn."""
        spectrum = self.permittivity()
        if spectrum is None:
            return []
        stem = self._run.folder / f"{self._run.prefix or 'i-pi'}.dielectric"
        return write_result(stem, spectrum, self._fluctuations.polarizations)[1:]

    def _take(self, samples: Samples, steps: np.ndarray) -> None:
        """Add samples, at constant pressure those whose volume is known."""
        if self._volumes is None:
            if samples:
                self._fluctuations.add(samples)
            return
        if samples and self._waiting:
            samples = {name: np.concatenate([self._waiting[name], values]) for name, values in samples.items()}
        self._waiting = samples or self._waiting
        self._steps = np.concatenate([self._steps, steps])
        self._volumes.read()
        volumes = self._volumes.take(self._steps)
        known = len(volumes)
        if known:
            first = {name: values[:known] for name, values in self._waiting.items()}
            self._fluctuations.add({**first, "volume": volumes})
        self._waiting = {name: values[known:] for name, values in self._waiting.items()}
        self._steps = self._steps[known:]

    def _open(self, last_step: int | None) -> BeadSeries:
        conditions = self._conditions
        self._series, self._continuity = begin(self._run, conditions, self._output, last_step)
        if not conditions.has_constant_volume and conditions.volume_file is not None:
            self._volumes = VolumeSeries(conditions.volume_file, last_step)
        return self._series
