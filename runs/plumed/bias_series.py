"""What i-PI writes of a bias, the extras of all beads, read as the files grow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...errors import SeriesError
from ..input.elements import InputError
from ..output.alignment import AlignedBeads
from ..output.records import BeadFile
from .biased_runs import Bias, BiasedRun


class BiasSeries:
    """The extras of all beads of a biased run, read as i-PI writes them.

    Parameters
    ----------
    run : BiasedRun
    last_step : int, optional
        What the files hold already beyond this step does not count.
    """

    def __init__(self, run: BiasedRun, last_step: int | None = None):
        self._files = [BeadFile(path, last_step) for path in run.files]
        self._aligned = AlignedBeads(len(self._files))
        self._names = run.output.extras
        self._rows: list[np.ndarray] = []
        self._steps: list[np.ndarray] = []

    def read(self) -> None:
        """Take in what has been written since the last time.

        Raises
        ------
        InputError
            If the files of the beads do not belong together.
        SeriesError
            If a file cannot be read, or holds something else than numbers.
        """
        for bead, file in enumerate(self._files):
            while True:
                steps, rows = file.read()
                if not len(steps):
                    break
                if file.names != self._names:
                    raise InputError(
                        f"'{file.path}' holds {', '.join(file.names)}; its input writes {', '.join(self._names)}"
                    )
                self._aligned.add(bead, steps, rows)
        steps, samples = self._aligned.take()
        if self._aligned.unlike is not None:
            raise InputError(
                f"'{self._files[self._aligned.unlike].path}' and '{self._files[0].path}' do not hold the same steps; "
                "the files of all beads of one run are needed"
            )
        if len(steps):
            self._steps.append(steps)
            self._rows.append(np.stack(samples, axis=1))

    @property
    def steps(self) -> np.ndarray:
        """Step of each sample, shape (samples,), int64."""
        return np.concatenate(self._steps) if self._steps else np.zeros(0, dtype=np.int64)

    def column(self, name: str) -> np.ndarray:
        """One of the extras, shape (samples, beads that are written), in PLUMED's units."""
        place = self._names.index(name)
        if not self._rows:
            return np.zeros((0, len(self._files)))
        return np.concatenate([rows[:, :, place] for rows in self._rows])


def read_bias_series(run: BiasedRun) -> BiasSeries:
    """What a run has written of its bias.

    Parameters
    ----------
    run : BiasedRun

    Raises
    ------
    InputError
        If files cannot be read, or do not belong together.
    """
    series = BiasSeries(run)
    try:
        series.read()
    except SeriesError as error:
        raise InputError(str(error)) from error
    return series


def counted_biases(run: BiasedRun, labels: Sequence[str]) -> list[Bias]:
    """Biases of a run that count: those of the labels that are wanted, or all if none is.

    Raises
    ------
    InputError
        If the run has no bias of a label.
    """
    known = {bias.action.label for bias in run.biases}
    unknown = [label for label in labels if label not in known]
    if unknown:
        raise InputError(f"'{run.source}' has no bias '{unknown[0]}'; it has {', '.join(sorted(known))}")
    return [bias for bias in run.biases if not labels or bias.action.label in labels]


def reduced_energy(bias: Bias, run: BiasedRun, series: BiasSeries) -> np.ndarray:
    """β V of a bias at every sample, shape (samples,); it is that of the centroid in the file of every bead."""
    return series.column(bias.extra)[:, 0] * (bias.energy_unit / run.thermal_energy)
