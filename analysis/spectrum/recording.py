"""From the samples in files to what a spectrum is made of: the recorder of a trajectory, and its conditions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from ...runs.output.series_files import Source
from ...spectra import Conditions, SeriesError, Window
from ...spectra.checks.repeats import Repeats
from ...spectra.recording import MEMBERS_OF, RECORDERS, FluxRecorder, make_recorder
from ...spectra.sum_frequency import Slab
from .checked_series import CheckedSeries
from .conditions import RunConditions
from .series_conditions import NOTHING_GIVEN, Given, is_of_born_charges


def record(
    kind: str,
    source: Source,
    window: Window,
    run: RunConditions | None = None,
    given: Given = NOTHING_GIVEN,
    distances: Mapping[str, float] | None = None,
    skip: float | None = 0.0,
    repeats: Repeats | None = None,
    remarks: list[str] | None = None,
    with_optional: bool = True,
) -> tuple[FluxRecorder, Conditions]:
    """Record one trajectory.

    Parameters
    ----------
    kind : str
        ``ir``, ``raman`` or ``sfg``.
    source : Source
        What :func:`beadwise.runs.output.series_files.find_sources` found.
    window : Window
        The correlation functions reach as far as it does.
    run : RunConditions, optional
        What the input of the run says.
    given : Given
        It counts more than `run`.
    distances : mapping of str to float, optional
        ``inner``, ``outer`` and ``near`` of a slab, in Å, for ``sfg``.
    skip : float or None
        Time at the beginning that is left out, in ps; None for a tenth of the trajectory.
    repeats : Repeats, optional
        Those of all trajectories that belong together.
    remarks : list of str, optional
        Gets what a user should know of how the file was read.
    with_optional : bool
        Whether to take in what a recorder can do without, as polarizabilities for ε∞, which may be given.

    Returns
    -------
    recorder : FluxRecorder
    conditions : Conditions

    Raises
    ------
    SeriesError
        If the samples are not those that the kind needs, too few, not of all beads, no continuous series, or if
        conditions are missing.
    """
    series = CheckedSeries(source, run, given, skip, repeats)
    recorder: FluxRecorder | None = None
    # a unit that is given is that of what is needed, so that nothing is known of the rest
    optional = RECORDERS[kind].optional if with_optional and given.unit is None and kind in RECORDERS else {}
    for samples in series.pieces(lambda samples: _needed(kind, samples, source, optional), optional):
        if recorder is None:
            slab = Slab(run.cell, **(distances or {})) if run is not None and kind == "sfg" else None
            recorder = make_recorder(_recorder_kind(kind, samples), series.conditions.timestep, window, slab)
        recorder.add(samples)
    if recorder is None or recorder.samples == 0:
        raise SeriesError(f"'{source.path}' holds too few samples; at least three are needed")
    if remarks is not None:
        remarks += series.remarks
    return recorder, series.conditions


def _recorder_kind(kind: str, samples: Mapping[str, np.ndarray]) -> str:
    """Name of the recorder: an infrared spectrum is also made of Born charges, where there is no dipole."""
    return "ir_from_born_charges" if kind == "ir" and is_of_born_charges(samples) else kind


def _needed(
    kind: str, samples: Mapping[str, np.ndarray], source: Source, optional: Collection[str]
) -> dict[str, np.ndarray]:
    """What a recorder takes of samples: all that it needs, the members of committees that there are, and the rest."""
    recorder = RECORDERS.get(_recorder_kind(kind, samples))
    if recorder is None:
        raise SeriesError(f"'{kind}' is no kind of spectrum; allowed are {', '.join(RECORDERS)}")
    missing = [name for name in recorder.needs if name not in samples and MEMBERS_OF.get(name) not in samples]
    if missing:
        raise SeriesError(f"'{source.path}' holds no {missing[0]}; it holds {', '.join(samples)}")
    needed = {name: samples[name] for name in (*recorder.needs, *recorder.members) if name in samples}
    if len({len(values) for values in needed.values()}) > 1:
        lengths = ", ".join(f"{len(values)} of {name}" for name, values in needed.items())
        raise SeriesError(f"'{source.path}' holds {lengths}; as many samples of each are needed")
    return needed | {name: samples[name] for name in optional if name in samples and name in recorder.optional}


def check_alike(recorders: Sequence[FluxRecorder]) -> None:
    """Raise SeriesError if trajectories are not recorded in the same way, as from dipoles and from Born charges."""
    needs = list(dict.fromkeys(" and ".join(recorder.needs) for recorder in recorders))
    if len(needs) > 1:
        raise SeriesError(f"some trajectories hold {needs[0]} and others {needs[1]}; they must be the same")
