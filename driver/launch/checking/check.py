"""``beadwise run --check``: whether all is there that a run needs, and what it would do."""

from __future__ import annotations

from rich.console import Console

from ....properties.quantities import ALWAYS_SENT
from ....runs.input.run_input import RunInput, System
from .. import processes
from ..plan import Plan
from ..run import live_results, look_over
from ..stages import duration, say
from .first_answer import first_answer


def check(plan: Plan, console: Console) -> None:
    """Do all that a run does before i-PI starts, let each server answer once, and say what would run.

    Nothing is written, and what runs in the folder goes on.

    Parameters
    ----------
    plan : Plan
        What would be run.
    console : rich.console.Console

    Raises
    ------
    BeadwiseError
        If it cannot run.
    RunError
        If a server fails for another reason, or there was a signal.
    OutOfTime
        If the time is over.
    """
    for line in look_over(plan):
        say(console, line)
    results = live_results(plan)
    for line in _what_would_run(plan.input):
        say(console, line)
    with processes.stop_requests(plan.walltime) as stop_requests:
        for address in plan.input.sockets:
            model = f"<ffsocket> '{address.name}': {plan.model_of(address)}"
            wanted = ", ".join(plan.want or address.want)
            answer = first_answer(plan, address, stop_requests)
            if answer is None:
                say(console, f"{model}, {wanted}; not asked, as the input does not name a file with its positions")
                continue
            for line in answer.warnings:
                say(console, line)
            energies = f"; energy {answer.energy:.6f} eV, largest force {answer.largest_force:.3f} eV/Å"
            says = energies if set(ALWAYS_SENT) <= set(plan.want or address.want) else ""
            say(console, f"{model} answers for {answer.atoms} atoms with {wanted}{says}; {answer.seconds:.3f} s")
    for tag in dict.fromkeys(other.tag for other in plan.input.others):
        names = ", ".join(other.name for other in plan.input.others if other.tag == tag)
        say(console, f"<{tag}>, in i-PI's own process and not asked here: {names}")
    for result in results:
        say(console, f"kept current: {result.name}")
    say(console, "the check is done, and i-PI was not started")


def _what_would_run(run: RunInput) -> list[str]:
    """Steps, and what each system is; the same of many is said once."""
    first = f"from step {run.step} " if run.step else ""
    told: dict[str, int] = {}
    for system in run.systems:
        text = _description(system)
        told[text] = told.get(text, 0) + 1
    systems = [text if count == 1 else f"{count} systems of {text}" for text, count in told.items()]
    limit = "" if run.time_limit is None else f", or {duration(run.time_limit)}"
    return [f"{first}to step {run.total_steps}{limit}: {system}" for system in systems]


def _description(system: System) -> str:
    atoms, beads = len(system.labels), system.beads
    size = f"{atoms} atom{'s' * (atoms > 1)}, {beads} bead{'s' * (beads > 1)}"
    if system.dynamics is None:
        return size
    return f"{size}, {system.name_of_dynamics} at {system.temperature:g} K, {system.timestep:g} fs a step"
