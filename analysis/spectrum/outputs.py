"""Which outputs of a run a spectrum is made of, and their files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ...runs.input.elements import InputError
from ...runs.input.outputs import ExtrasOutput
from ...runs.input.run_input import RunInput
from ...runs.output.series import series_of_extras
from ...runs.output.velocities import OF_BEAD, OF_CENTROID
from ...runs.source import find_run, is_run
from ...spectra.recording import RECORDERS, can_record
from .conditions import RunConditions, read_run_conditions
from .kinds import FROM_SERIES

OTHERS = "the files of their extras or velocities"  # what spectra are made of beside runs


def usable_outputs(kind: str, run: RunInput, conditions: RunConditions) -> list[ExtrasOutput]:
    """Outputs with what a spectrum needs of every bead."""
    names = series_of_extras()
    return [
        output
        for output in run.extras_outputs
        if can_record(_flux_of(kind), {names[key] for key in output.extras if key in names})
        and output.holds_all(conditions.beads)
    ]


def output_for(kind: str, run: RunInput, conditions: RunConditions) -> ExtrasOutput:
    """The output with what a spectrum needs of every bead: the one written most often, if possible with members.

    Parameters
    ----------
    kind : str
        ``ir``, ``raman``, ``sfg`` or ``dielectric``.
    run : RunInput
    conditions : RunConditions

    Raises
    ------
    InputError
        If there is none.
    """
    if _flux_of(kind) not in FROM_SERIES:
        raise InputError(f"'{kind}' is no kind of spectrum; allowed are {', '.join(FROM_SERIES)}")
    recorder = RECORDERS[_flux_of(kind)]
    usable = usable_outputs(kind, run, conditions)
    if not usable:
        raise InputError(
            f"the spectrum '{kind}' is made of {' and '.join(recorder.needs)} of every bead, which '{run.path}' does "
            f"not write; add <trajectory filename='moments' stride='2' extra_type='{','.join(recorder.needs)}'> extras "
            "</trajectory>"
        )
    members = set(recorder.members)
    return min(
        usable, key=lambda output: (output.stride, -len(members & set(map(series_of_extras().get, output.extras))))
    )


def output_of_both(run: RunInput, conditions: RunConditions) -> ExtrasOutput:
    """The output with dipole and polarizability of every bead that is written most often.

    Raises
    ------
    InputError
        If there is none.
    """
    names = series_of_extras()
    both = [
        output
        for output in usable_outputs("dielectric", run, conditions)
        if can_record("raman", {names[key] for key in output.extras if key in names})
    ]
    if not both:
        raise InputError(
            f"a permittivity is made of dipole and polarizability of every bead, which '{run.path}' does not write "
            "into the same files; add <trajectory filename='moments' stride='2' extra_type='dipole,polarizability'> "
            "extras </trajectory>, or give --optical-permittivity, 1 for fixed charges"
        )
    return min(both, key=lambda output: output.stride)


def files_of_runs(
    kind: str, paths: Sequence[Path], optical_is_given: bool = False
) -> tuple[list[Path], dict[Path, RunInput]]:
    """Files that a spectrum is made of, where runs stand among them for what they wrote.

    Parameters
    ----------
    kind : str
    paths : sequence of Path
        Folders of runs, i-PI inputs and RESTARTs, and files as they are.
    optical_is_given : bool
        Whether ε∞ is given, so that a permittivity needs no polarizabilities.

    Returns
    -------
    files : list of Path
    runs : dict of Path to RunInput
        The run that wrote a file, by the name of the file without the number of its bead.

    Raises
    ------
    InputError
        If a run does not write what is needed, or has not written it yet.
    """
    files: list[Path] = []
    runs: dict[Path, RunInput] = {}
    for path in paths:
        if not is_run(path):
            files.append(path)
            continue
        run = find_run(path, OTHERS)
        if len(run.systems) > 1:
            raise InputError(
                f"'{run.path}' has {len(run.systems)} systems, each with spectra of its own; name the files of one"
            )
        run.only_system()
        conditions = read_run_conditions(run)
        if kind == "dos":
            name, written = _velocities(run, conditions)
        else:
            name, written = _extras(_output_of(kind, run, conditions, optical_is_given), run, conditions)
        if missing := [one for one in written if not os.path.isfile(one)]:
            raise InputError(f"'{run.path}' writes '{missing[0]}', which is not there; a run that has begun is needed")
        files += written
        runs[name] = run
    return files, runs


def _flux_of(kind: str) -> str:
    """The kind of spectrum that is made of the same series."""
    return "ir" if kind == "dielectric" else kind


def _extras(output: ExtrasOutput, run: RunInput, conditions: RunConditions) -> tuple[Path, list[Path]]:
    return run.folder / output.name, [run.folder / name for name in output.files(conditions.beads)]


def _output_of(kind: str, run: RunInput, conditions: RunConditions, optical_is_given: bool) -> ExtrasOutput:
    """The output that a spectrum is made of; that of a permittivity has polarizabilities, too, where it needs them."""
    if kind == "dielectric" and not optical_is_given:
        with suppress(InputError):
            return output_of_both(run, conditions)
    return output_for(kind, run, conditions)


def _velocities(run: RunInput, conditions: RunConditions) -> tuple[Path, list[Path]]:
    """The velocities of the centroid, or of the one bead that there is; those that are written most often."""
    found: list[tuple[int, Path]] = []
    for output in run.only_system().trajectory_outputs:
        if output.form != "xyz":
            continue
        if output.keyword == OF_CENTROID:
            found.append((output.written.stride, run.folder / f"{output.written.name}.xyz"))
        elif output.keyword == OF_BEAD and conditions.beads == 1:
            found.append((output.written.stride, run.folder / f"{output.written.files(1)[0]}.xyz"))
    if not found:
        raise InputError(
            f"a density of states is made of velocities of the centroid, which '{run.path}' does not write as xyz; add "
            f"<trajectory filename='velocities' stride='2' format='xyz'> {OF_CENTROID} </trajectory>"
        )
    file = min(found)[1]
    return file, [file]
