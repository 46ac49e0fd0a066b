"""A whole run: check the input, start i-PI and the servers that it needs, and leave nothing behind."""

from __future__ import annotations

import os
import shlex
from contextlib import ExitStack
from dataclasses import replace

from rich.console import Console

from ...analysis.averages.live import LiveAverages
from ...analysis.nuclei.remarks import remarks_about_nuclei
from ...analysis.profile.live import LiveProfile
from ...analysis.spectrum.conditions import read_run_conditions, refuse_averages
from ...analysis.spectrum.kinds import FROM_SERIES
from ...analysis.spectrum.live import LiveSpectra
from ...analysis.spectrum.live_dielectric import LiveDielectric
from ...properties.quantities import properties
from ...runs.input.elements import InputError
from ...runs.input.force_fields import IN_PROCESS
from ...runs.output.torn_records import cut_torn_records
from ...runs.plumed.force_fields import plumed_force_fields
from ...spectra import SeriesError
from . import processes
from .addresses import make_free, remove_leftover
from .cavities import check_cavities
from .centroid_models import name_of_dynamics, remarks_about_centroids
from .claims import claimed
from .combined_extras import check_combined_extras
from .events import Events
from .forgotten_units import remarks_about_units
from .live_page import LivePage
from .plan import Plan
from .plumed.checks import check_plumed
from .plumed.restart import prepare_restart
from .servers import start_servers
from .stages import say
from .supervision import Supervision

MODES = ("unix", "inet", "shm")


def run(plan: Plan, console: Console) -> None:
    """Run i-PI to its end with the servers it needs.

    Parameters
    ----------
    plan : Plan
        What to run.
    console : rich.console.Console
        Where progress is shown.

    Raises
    ------
    BeadwiseError
        If the input cannot be run, or a structure cannot be evaluated, by a server or in i-PI's process.
    RunError
        If i-PI or a server fails otherwise, or the run is interrupted.
    OutOfTime
        If the time was over before the last step.
    """
    remarks = look_over(plan)
    with processes.stop_requests(plan.walltime) as stop_requests, ExitStack() as stack:
        page = stack.enter_context(LivePage(plan, console))  # ends last: it shows how the run has ended
        claim = stack.enter_context(claimed(plan.input))
        for address in plan.input.sockets:
            make_free(address, lambda line: say(console, line))
            stack.callback(remove_leftover, address)
        # half a record says nothing that i-PI does not write again, and what follows the files goes on from their ends
        remarks += _cut_torn_records(plan)
        results = live_results(plan)
        servers = start_servers(plan, stack, stop_requests)
        # last of all: files are changed only when i-PI is about to go on from there
        remarks += prepare_restart(plumed_force_fields(plan.input), plan.folder)
        if (request := plan.folder / "EXIT").exists():
            request.unlink()
            remarks.append("removed the file EXIT, which would have stopped i-PI at once")
        events = Events(plan)
        events.start()
        for line in remarks:
            say(console, line)
            events.message(line)
        page.start()
        Supervision(plan, console, servers, stop_requests, claim, results, events).run(stack)


def look_over(plan: Plan) -> list[str]:
    """Refuse what cannot run before anything is started, and say what is allowed but hardly meant.

    Parameters
    ----------
    plan : Plan

    Returns
    -------
    list of str
        Lines to show.

    Raises
    ------
    BeadwiseError
        Naming what cannot run.
    """
    _check(plan)
    remarks = [*_remarks_about_folder(plan), *remarks_about_units(plan.input), *check_plumed(plan.input)]
    remarks += [*remarks_about_centroids(plan), *remarks_about_nuclei(plan.input)]
    return remarks + _remarks_about_systems(plan)


def live_results(plan: Plan) -> list[LiveSpectra | LiveDielectric | LiveProfile | LiveAverages]:
    """What is kept current while it runs.

    Raises
    ------
    BeadwiseError
        If the input does not write what it is made of.
    """
    return [*_live_spectra(plan), *_live_profile(plan), *_live_averages(plan)]


def _live_averages(plan: Plan) -> list[LiveAverages]:
    """The averages that are kept current; none if none is wanted."""
    return [LiveAverages(plan.averages, plan.input)] if plan.averages else []


def _remarks_about_folder(plan: Plan) -> list[str]:
    """That i-PI does not write beside its input, where a run that goes on has its files."""
    if plan.input.step == 0 or plan.source.parent.absolute() == plan.folder.absolute():
        return []
    return [
        f"i-PI writes into this folder, not beside '{plan.source}', whose files are not continued; for that: "
        f"{_command_beside(plan)}"
    ]


def _check_place(plan: Plan) -> None:
    """Refuse an input whose structures are beside it, and not where i-PI runs."""
    for element in plan.input.root.iterfind("system/initialize/file"):
        name = (element.text or "").strip()
        if not os.path.isfile(plan.folder / name) and os.path.isfile(plan.folder / plan.source.parent / name):
            raise InputError(
                f"'{name}' is beside '{plan.source}', and i-PI runs in the current folder: {_command_beside(plan)}"
            )


def _command_beside(plan: Plan) -> str:
    return f"{shlex.join(['cd', str(plan.source.parent)])} && {shlex.join(['beadwise', 'run', plan.source.name])}"


def _cut_torn_records(plan: Plan) -> list[str]:
    """Cut half records off files that i-PI is going to append to; what to tell of it."""
    if plan.input.step == 0:
        return []
    try:
        cut = cut_torn_records(plan.input)
    except OSError as error:
        raise InputError(f"cannot write '{error.filename}': {error.strerror}; i-PI needs to write there") from error
    names = ", ".join(path.name for path in cut)
    return [f"cut half a record off the end of {names}; i-PI writes it again"] if cut else []


def _live_spectra(plan: Plan) -> list[LiveSpectra | LiveDielectric]:
    """The spectra that are kept current, and the permittivity; none if none is wanted."""
    if not plan.spectra:
        return []
    conditions = read_run_conditions(plan.input)
    for kind in plan.spectra:
        refuse_averages(plan.input, plan.input.systems[0], kind)
    kinds = [kind for kind in plan.spectra if kind in FROM_SERIES]
    made: list[LiveSpectra | LiveDielectric] = []
    # what a run before has written down of itself is not that of this one
    dynamics = name_of_dynamics(plan) or plan.input.systems[0].name_of_dynamics
    conditions = replace(conditions, dynamics=dynamics)
    try:
        if kinds:
            made.append(LiveSpectra(kinds, plan.input, conditions, plan.window, optical=plan.optical_permittivity))
        if len(kinds) < len(plan.spectra):
            made.append(LiveDielectric(plan.input, conditions, plan.optical_permittivity))
        return made
    except SeriesError as error:
        raise InputError(f"no spectra of this run: {error}") from error


def _remarks_about_systems(plan: Plan) -> list[str]:
    """Of which systems there are spectra, where there are several."""
    count = len(plan.input.systems)
    if not plan.spectra or count < 2:
        return []
    return [
        f"spectra are those of the first of {count} systems; `beadwise spectrum {plan.spectra[0]}` with the files of "
        "another makes those of that"
    ]


def _live_profile(plan: Plan) -> list[LiveProfile]:
    """The free-energy profile that is kept current; none if none is wanted."""
    return [] if plan.profile is None else [LiveProfile(plan.input, plan.profile)]


def _check(plan: Plan) -> None:
    """Refuse what cannot run before anything is started."""
    _check_place(plan)
    simulation = plan.input.checked()
    _check_other_force_fields(plan)
    for address in simulation.sockets:
        if address.mode not in MODES:
            raise InputError(f"<ffsocket> has the mode '{address.mode}'; allowed are {', '.join(MODES)}")
    if simulation.step >= simulation.total_steps:
        raise InputError(
            f"'{plan.source}' is at step {simulation.step} of {simulation.total_steps}; raise <total_steps> to go on"
        )
    acting = [address.name for address in simulation.sockets if not address.properties_only]
    if plan.electric_field is not None and len(acting) > 1:
        raise InputError(
            f"--field {list(plan.electric_field)} V/Å with the <ffsocket> {', '.join(acting)} of '{plan.source}': each "
            "would add it; allowed is one whose forces count, or `beadwise serve --field` by hand for those that shall"
        )
    unknown = set(plan.models) - {""} - {address.name for address in simulation.sockets}
    if unknown:
        names = ", ".join(address.name for address in simulation.sockets)
        raise InputError(f"'{unknown.pop()}' is no <ffsocket> of '{plan.source}'; it has {names}")
    check_cavities(simulation)
    check_combined_extras(simulation, _sent_extras(plan))


def _sent_extras(plan: Plan) -> dict[str, set[str]]:
    """Keys in the extras that the servers of each force field will answer with."""
    return {
        address.name: {one.key for name, one in properties().items() if one.key and name in (plan.want or address.want)}
        for address in plan.input.sockets
    }


def _check_other_force_fields(plan: Plan) -> None:
    """Refuse what comes through other doors than sockets and cannot be run."""
    simulation = plan.input
    if not simulation.sockets and not simulation.others:
        allowed = ", ".join(f"<{tag}>" for tag in sorted(IN_PROCESS))
        raise InputError(f"'{plan.source}' holds no force field for a run; allowed are <ffsocket> and {allowed}")
    for force_field in simulation.others:
        if force_field.tag == "ffmpi":
            raise InputError(
                f"<ffmpi> '{force_field.name}' of '{plan.source}' needs i-PI and its servers in one MPI job: `mpiexec "
                f"-n 1 beadwise ipi {plan.source} : -n N beadwise serve MODEL --mpi --structure {plan.source}`"
            )
        file = force_field.python_file
        if file is not None and not (plan.folder / file).is_file():
            raise InputError(
                f"<pes_path> of <ffdirect> '{force_field.name}' is '{file}', which is no file; `beadwise shim` prints "
                "the path that is needed for beadwise"
            )
    if plan.server_options and not simulation.sockets:
        raise InputError(
            f"{plan.server_options[0]} is for servers, and '{plan.source}' has no <ffsocket>; what <ffdirect> "
            "evaluates is given in its <parameters>: {model: MODEL, want: dipole+polarizability, field: 0 0 0.1}"
        )
