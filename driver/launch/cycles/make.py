"""Whole cycles of crystals, each from where it was left: what ``beadwise free-energy --run`` does before it adds up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from ....analysis.crystals.cycle_identity import check_apart, model_of
from ....analysis.crystals.cycle_runs import collect, make_harmonic, planned_runs
from ....analysis.crystals.cycle_settings import CycleFile, read_cycle
from ....model.crystals.reference import CrystalError
from ....model.evaluators.trust import runs_code, trust
from ..stages import Stages
from .many_runs import do_all


def run_cycles(paths: Sequence[Path], stages: Stages, say: Callable[[Iterable[str]], object]) -> None:
    """Make what is missing of crystals: harmonic crystal, runs, results.

    Parameters
    ----------
    paths : sequence of Path
        Files of crystals.
    stages : Stages
        What shows how far it is.
    say : callable
        Takes lines of what was found.

    Raises
    ------
    BeadwiseError
        If something that was given cannot be used.
    RunError
        If a run fails, or there was a signal.
    """
    cycles = [read_cycle(path) for path in paths]
    for cycle in cycles:
        if cycle.run is None:
            raise CrystalError(f"'{cycle.path}' has no [run], which says how what is missing is made")
    check_apart(cycles)
    for cycle in cycles:
        _run_cycle(cycle, stages, say)


def _run_cycle(cycle: CycleFile, stages: Stages, say: Callable[[Iterable[str]], object]) -> None:
    assert cycle.run is not None
    model = model_of(cycle)
    named = [model, *(step.name for key, step in cycle.steps.items() if key == "reference")]
    trust([name for name in named if runs_code(name)])  # the user has named them there

    def found(what: str, lines: Iterable[str]) -> None:
        stages.clear()
        say([f"{cycle.name}, {what}:", *(f"  {line}" for line in lines)])

    if lines := make_harmonic(cycle, stages):
        found("harmonic", lines)
    runs = {key: planned_runs(cycle, key) for key in cycle.steps}
    missing = [key for key in runs if not cycle.file(key).is_file()]
    do_all([run for key in missing for run in runs[key]], cycle.run, stages)
    for key in missing:
        found(key, collect(cycle, key, runs[key], stages))
