"""How far the conserved quantity of a run drifts, and whether it may."""

from __future__ import annotations

from ...runs.input.nuclei import is_colored
from ...runs.input.run_input import RunInput, System
from ...runs.input.tolerance import allowed_drift
from ...runs.output.properties import read_property_table
from .facts import known
from .properties import property_series
from .verdicts import BAD, verdict_of_drift


def has_work_from_outside(system: System) -> bool:
    """Whether something does work on a system, so that nothing is conserved.

    A bias does, and a field that changes; and thermostats of colored noise, as PIGLET, between whose hot and cold parts
    heat flows all the time, so that what the time step makes of it adds up.
    """
    is_driven = next(system.element.iter("driven_dynamics"), None) is not None
    colored = any(is_colored(one) for one in system.element.iter("thermostat"))
    return bool(known(lambda: system.biases)) or is_driven or colored


def drift_of_run(run: RunInput) -> dict[str, float] | None:
    """Drift of the conserved quantity of a run.

    Parameters
    ----------
    run : RunInput

    Returns
    -------
    dict or None
        ``value`` and ``error`` in meV per atom and ps; None if no file of the run tells it.

    Raises
    ------
    InputError
        If a file of properties cannot be read.
    """
    system = run.systems[0]
    for name in run.property_files:
        table = read_property_table(run.folder / name, known(lambda: system.timestep))
        if table is not None and table.first("conserved") is not None:
            series = property_series(table, known(lambda: len(system.labels)), None, True)
            drift: dict[str, float] | None = next(one["drift"] for one in series if one["name"] == "conserved")
            return drift
    return None


def drift_in_words(run: RunInput) -> str:
    """What is to be said of the drift at the end of a run; empty if it is not known, or nothing was to be conserved.

    Where the input states no tolerance, only a drift that is too large is told.
    """
    system = run.systems[0]
    drift = drift_of_run(run)
    if drift is None or has_work_from_outside(system):
        return ""
    allowed = allowed_drift(run)
    verdict = verdict_of_drift({"drift": drift}, False, allowed)
    if allowed is None and verdict["colour"] != BAD:
        return ""
    return f"conserved quantity: {verdict['sentence'][0].lower()}{verdict['sentence'][1:].removesuffix('.')}"
