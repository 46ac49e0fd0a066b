"""Samples of a run that goes on, as i-PI writes them."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from ...runs.input.outputs import ExtrasOutput
from ...runs.input.run_input import RunInput
from ...runs.output.bead_series import BeadSeries
from ...spectra.checks.continuity import Continuity
from .conditions import RunConditions

Samples = dict[str, np.ndarray]


def begin(
    run: RunInput, conditions: RunConditions, output: ExtrasOutput, last_step: int | None
) -> tuple[BeadSeries, Continuity]:
    """Open one output of extras of all beads.

    Parameters
    ----------
    run : RunInput
    conditions : RunConditions
    output : ExtrasOutput
    last_step : int or None
        Of a run that continues: what the files hold beyond it is passed over.

    Returns
    -------
    series : BeadSeries
    continuity : Continuity
        That of its dipole, by quanta of polarization of a mean over the beads.

    Raises
    ------
    SeriesError
        If files of a run that continues cannot be read.
    """
    paths = [run.folder / name for name in output.files(conditions.beads)]
    return BeadSeries(paths, last_step), Continuity(f"dipole of '{paths[0]}'", [conditions.cell / conditions.beads])


def take_in(read: Callable[[], Samples], take: Callable[[Samples], None], enough: float) -> bool:
    """Pass on samples until there are none, or the time is `enough`; whether all were read.

    Parameters
    ----------
    read : callable
        Gives the next samples; empty if there are none.
    take : callable
        Takes them.
    enough : float
        Of ``time.monotonic()``, in s; some samples are taken in any case.
    """
    while samples := read():
        take(samples)
        if time.monotonic() > enough:
            return False
    return True
