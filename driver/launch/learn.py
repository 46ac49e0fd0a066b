"""Active learning with i-PI: what ``beadwise learn`` does."""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any

import click
import numpy as np
from ase.data import chemical_symbols
from rich.console import Console

from ...learning.data import iterate_frames
from ...learning.labels.labeller import labeller
from ...learning.logs.journal import LOG, Journal, JsonLines, journal
from ...learning.logs.trackers import tracker_of
from ...learning.loop.configuration import LearnConfiguration, read_learn_configuration
from ...learning.loop.loop import ActiveLearning, locked
from ...learning.loop.state import LearnError, RoundRecord, load_state
from ...learning.pictures.loop_report import LearningReport, rounds_table, write_learning_report
from ...model.evaluators.trust import trust
from ...runs.input.elements import InputError
from .exploration import Interrupted, IpiExplorer, check_input
from .plan import RunError
from .stages import Stages, new_console, say

REPORT = "report.html"


def learn(configuration: Path, others: Sequence[Path], trackers: Sequence[str] = ()) -> None:
    """Run a loop to its end, or on from where it was.

    Parameters
    ----------
    configuration : Path
        Its TOML file.
    others : sequence of Path
        Folders of other loops, drawn beside this one in the report.
    trackers : sequence of str
        What is told of passes and rounds beside the log; see `beadwise.learning.logs.trackers`.

    Raises
    ------
    BeadwiseError
        If something that was given cannot be used.
    """
    settings = read_learn_configuration(configuration)
    trust([settings.baseline] if settings.baseline else [])  # the user has named it there
    with locked(settings.folder), Stages() as stages, ExitStack() as stack:
        log = JsonLines(settings.folder / LOG, continues=True)
        told = stack.enter_context(journal(log, *map(tracker_of, trackers)))
        previous = signal.signal(signal.SIGTERM, _as_keyboard_interrupt)
        try:
            _learn(settings, new_console(), stages, others, told)
        finally:
            signal.signal(signal.SIGTERM, previous)


def _learn(
    settings: LearnConfiguration, console: Console, stages: Stages, others: Sequence[Path], told: Journal
) -> None:
    """Run the loop, and make one line of what ends it before its end."""

    def tell(text: str) -> None:
        stages.clear()
        say(console, text)

    def after_round(rounds: Sequence[RoundRecord]) -> None:
        console.print(rounds_table(rounds))
        told.tell("round", **_of_round(rounds[-1]))
        write_report(settings, rounds, "at work", compared)

    compared = compared_rounds(settings.folder, others)
    check_inputs(settings)
    reference = labeller(settings.label, settings.folder / "labels", settings.base)
    reference.check()
    loop = ActiveLearning(
        settings,
        IpiExplorer(settings, console, stages.clear),
        reference.label,
        tell,
        after_round,
        stages,
        told,
    )
    go_on = f"go on with `beadwise learn {settings.path}`"
    try:
        outcome = loop.run()
    except (KeyboardInterrupt, Interrupted):
        stages.clear()
        _fail(f"interrupted {loop.stage}; {go_on}")
    except RunError as error:
        _fail(f"{error}; {go_on}")
    else:
        write_report(settings, loop.state.rounds, f"ended: {outcome}", compared)
        tell(f"{outcome}; model in {settings.base / settings.output.model}, report in {settings.folder / REPORT}")


def _of_round(record: RoundRecord) -> dict[str, Any]:
    """What is told of a round: all of its record that is a number or a text."""
    content = record.as_dict()
    explored = {one.pop("name"): one for one in content.pop("explorations")}
    counts = {name: len(content[name]) for name in content if isinstance(content[name], list)}
    return {name: own for name, own in content.items() if name not in counts} | {"counts": counts, "explored": explored}


def check_inputs(settings: LearnConfiguration) -> None:
    """Refuse inputs that cannot be explored, before anything is fitted.

    Raises
    ------
    InputError
        Naming what is wrong with the first of them.
    """
    atoms_of = {name: check_input(settings.base / name) for name in settings.explore.inputs}
    files = [settings.base / file for file in settings.start.frames]
    known: set[int] = set()
    for frame in iterate_frames(files, settings.start.reading):
        known.update(frame.atoms.numbers.tolist())
        for name, numbers in atoms_of.items():
            if settings.explore.start == "known" and not np.array_equal(frame.atoms.numbers, numbers):
                raise InputError(
                    f"start = 'known' in [explore], but {frame.name} has not the atoms of '{name}' in its order; "
                    "allowed is start = 'input', or start frames with the same atoms"
                )
    for name, numbers in atoms_of.items():
        if unknown := sorted(set(numbers.tolist()) - known):
            elements, allowed = (", ".join(chemical_symbols[own] for own in some) for some in (unknown, sorted(known)))
            raise InputError(f"'{name}' has {elements}, which no start frame has; these have {allowed}")


def write_report(
    settings: LearnConfiguration,
    rounds: Sequence[RoundRecord],
    state: str,
    compared: Mapping[str, Sequence[RoundRecord]] | None = None,
) -> None:
    """Write the report of a loop, with the rounds of others beside, by their names.

    Raises
    ------
    DataError
        If it cannot be written.
    """
    explore = settings.explore
    report = LearningReport(
        rounds,
        title=f"Active learning, {settings.path.stem}",
        state=state,
        thresholds={"flag": explore.flag, "stop": explore.stop},
        envelope_thresholds={"envelope_flag": explore.envelope_flag, "envelope_stop": explore.envelope_stop},
        name=settings.folder.name,
        others=compared or {},
    )
    write_learning_report(report, settings.folder / REPORT)


def compared_rounds(own: Path, others: Sequence[Path]) -> dict[str, list[RoundRecord]]:
    """Rounds of other loops, by names that differ from each other and from that of our own folder.

    Raises
    ------
    LearnError
        If the folder of one has no state that can be read.
    """
    found: dict[str, list[RoundRecord]] = {}
    for folder in others:
        state = load_state(folder)
        if state is None:
            raise LearnError(f"'{folder}' is not the folder of a loop: it has no state.json")
        # folders of loops are often called alike, and those around them tell which they are
        parts = folder.resolve().parts
        tails = ["/".join(parts[-length:]) for length in range(1, len(parts) + 1)]
        found[next((name for name in tails if name not in (own.name, *found)), str(folder))] = state.rounds
    return found


def _as_keyboard_interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _fail(message: str) -> None:
    """End with status 1, as what went wrong was not the input."""
    click.echo(f"Error: {' '.join(message.split())}", err=True)
    sys.exit(1)
