"""Spectra of a run that goes on, kept current in files beside i-PI's own."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...model import BeadwiseError
from ...runs.input.outputs import ExtrasOutput
from ...runs.input.run_input import RunInput
from ...runs.output.bead_series import BeadSeries
from ...spectra import NotComputedError, Spectrum, Window, usual_length
from ...spectra.checks.continuity import Continuity
from ...spectra.experiment import marks
from ...spectra.recording import FluxRecorder, make_recorder, spectrum_of
from ...spectra.sum_frequency import Slab
from .conditions import RunConditions, read_run_conditions, refuse_averages
from .live_series import begin, take_in
from .outputs import output_for, usable_outputs


@dataclass
class Recording:
    """One output of extras, and what is made of it."""

    output: ExtrasOutput
    series: BeadSeries
    recorders: dict[str, FluxRecorder]
    dipole: Continuity

    def read(self) -> dict[str, np.ndarray]:
        """The next samples; empty if there are none."""
        samples = self.series.read()
        return samples | {name: self.dipole.follow(samples[name]) for name in ("dipole",) if name in samples}

    def add(self, samples: dict[str, np.ndarray]) -> None:
        """Record samples."""
        for recorder in self.recorders.values():
            recorder.add(samples)


class LiveSpectra:
    """Reads the extras that i-PI writes, and draws spectra of them.

    The spectrum of a run that was killed and continued is that of the run without interruption: what the files hold
    beyond the step of the RESTART is passed over, as i-PI is going to write it again.

    Parameters
    ----------
    kinds : sequence of str
        Out of ``ir``, ``raman`` and ``sfg``.
    run : RunInput
    conditions : RunConditions
    window : float or None
        Length of the window in fs; None for `beadwise.spectra.usual_length`.
    continues : bool
        Whether i-PI is about to go on from the step of a RESTART; not where what it writes is only looked at.
    optical : float or None
        Optical permittivity ε∞; None for that of the polarizabilities.

    Raises
    ------
    InputError
        If the input does not write what a spectrum is made of.
    SeriesError
        If the cell of a slab does not have its normal along z, or files of a run that continues cannot be read.
    """

    name = "spectra"

    def __init__(
        self,
        kinds: Sequence[str],
        run: RunInput,
        conditions: RunConditions,
        window: float | None = None,
        continues: bool = True,
        optical: float | None = None,
    ):
        self._run = run
        self._optical = optical
        self._conditions = conditions
        self._outputs = {kind: output_for(kind, run, conditions) for kind in kinds}
        self._window = Window("hann", window or usual_length(run.total_steps * conditions.timestep))
        self._may_shorten = window is None
        self._slab = Slab(conditions.cell) if "sfg" in kinds else None
        self._recordings: list[Recording] | None = None
        if continues and run.step > 0:  # before i-PI adds to the files
            self._open(run.step)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of spectra."""
        return tuple(self._outputs)

    def file(self, kind: str, suffix: str) -> Path:
        """Where the spectrum of one kind is kept."""
        return self._run.folder / f"{self._run.prefix or 'i-pi'}.{kind}{suffix}"

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
        if self._recordings is None:
            self._open(None)
        enough = time.monotonic() + seconds
        return all(take_in(one.read, one.add, enough) for one in self._recordings or ())

    @property
    def samples(self) -> dict[str, int]:
        """How many fluxes there are of each kind so far."""
        recorders = [one.recorders for one in self._recordings or ()]
        return {kind: recorder.samples for own in recorders for kind, recorder in own.items()}

    def spectra(self) -> dict[str, Spectrum]:
        """Spectra of what has been read, by kind; those of which there are too few samples are left out.

        They are preliminary until the run has ended, see `beadwise.spectra.Spectrum.preliminary`.
        """
        made = {}
        for recording in self._recordings or ():
            conditions = self._conditions.of_samples(recording.output.stride)
            for kind, recorder in recording.recorders.items():
                with suppress(NotComputedError):
                    spectrum = spectrum_of(
                        [recorder], conditions, self._window_for(recorder), optical_permittivity=self._optical
                    )
                    made[kind] = spectrum.so_far(*self._progress(recorder, recording.output.stride))
        return made

    def marks(self, kind: str) -> tuple[float, ...]:
        """Positions of experiment in cm⁻¹."""
        return tuple(marks(kind, set(self._conditions.symbols)))

    def draw(self) -> list[Path]:
        """Write the spectra of what has been read as CSV and PNG; the pictures that were drawn."""
        drawn, spectra = [], self.spectra()
        if not spectra:
            return []
        from ...spectra.plot import plot_spectra  # takes a second to import, while i-PI is running already

        for kind, spectrum in spectra.items():
            spectrum.write(self.file(kind, ".csv"))
            image = self.file(kind, ".png")
            plot_spectra({"": spectrum}, image, marks(kind, set(self._conditions.symbols)))
            drawn.append(image)
        return drawn

    def _progress(self, recorder: FluxRecorder, stride: int) -> tuple[float, float]:
        """How much is recorded and how much is planned, in ps; of the last samples some make no flux."""
        timestep, planned = self._conditions.timestep / 1000, self._run.total_steps
        steps = (recorder.samples + 1) * stride
        return timestep * (planned if steps + 2 * stride > planned else steps), timestep * planned

    def _window_for(self, recorder: FluxRecorder) -> Window:
        """A window that suits what there is so far: the spectrum sharpens as the run goes on."""
        if not self._may_shorten:
            return self._window
        return replace(self._window, length=usual_length(recorder.samples * recorder.timestep))

    def _open(self, last_step: int | None) -> None:
        self._recordings = []
        for output in dict.fromkeys(self._outputs.values()):
            timestep = self._conditions.timestep * output.stride
            kinds = [kind for kind, own in self._outputs.items() if own == output]
            recorders = {kind: make_recorder(kind, timestep, self._window, self._slab) for kind in kinds}
            series, continuity = begin(self._run, self._conditions, output, last_step)
            self._recordings.append(Recording(output, series, recorders, continuity))


def possible_kinds(kinds: Sequence[str], run: RunInput) -> tuple[str, ...]:
    """Those kinds of spectra for which an i-PI input writes what is needed; none if it is not understood."""
    if not kinds:
        return ()
    try:
        conditions = read_run_conditions(run)
        for kind in kinds:
            refuse_averages(run, run.systems[0], kind)
        return tuple(kind for kind in kinds if usable_outputs(kind, run, conditions))
    except BeadwiseError:
        return ()
