"""The command ``beadwise learn``: active learning with i-PI."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType

import click
import numpy as np
from ase.data import chemical_symbols
from rich.console import Console
from rich.progress import Progress

from ...learning.data import iterate_frames
from ...learning.labels.labeller import labeller
from ...learning.loop.configuration import LearnConfiguration, read_learn_configuration
from ...learning.loop.loop import ActiveLearning, locked
from ...learning.loop.state import LearnError, RoundRecord, load_state
from ...learning.pictures.loop_report import LearningReport, rounds_table, write_learning_report
from ...model.evaluators.trust import trust
from ...runs.input.elements import InputError
from ..launch.exploration import Interrupted, IpiExplorer, check_input
from ..launch.plan import RunError
from ..launch.progress import say
from .options import trust_option
from .progress_bars import labelled_bars, progress_bar

REPORT = "report.html"


@click.command()
@click.argument("configuration", type=click.Path(path_type=Path), metavar="CONFIG.toml")
@click.option(
    "--compare",
    "others",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="FOLDER",
    help="Folder of another loop, drawn beside this one in the report; may be repeated.",
)
@trust_option
def learn(configuration: Path, others: tuple[Path, ...]) -> None:
    """Let a model choose what it learns from.

    CONFIG.toml names frames to start with, how to fit, i-PI inputs to explore, a reference that labels, and when to
    stop; paths in it are relative to it.  Each round fits a model with members, runs the inputs with it, keeps what it
    is unsure of, labels a part of that, and goes on.  Started again with the same file, the loop goes on where it was,
    whatever ended it.
    """
    settings = read_learn_configuration(configuration)
    trust([settings.baseline] if settings.baseline else [])  # the user has named it there
    console = Console()
    line = StageLine()
    with locked(settings.folder):
        previous = signal.signal(signal.SIGTERM, _as_keyboard_interrupt)
        try:
            _learn(settings, console, line, others)
        finally:
            line.clear()
            signal.signal(signal.SIGTERM, previous)


def _learn(settings: LearnConfiguration, console: Console, line: StageLine, others: Sequence[Path]) -> None:
    """Run the loop, and make one line of what ends it before its end."""

    def tell(text: str) -> None:
        line.clear()
        say(console, text)

    def after_round(rounds: Sequence[RoundRecord]) -> None:
        console.print(rounds_table(rounds))
        write_report(settings, rounds, "at work", compared)

    compared = compared_rounds(settings.folder, others)
    check_inputs(settings)
    reference = labeller(settings.label, settings.folder / "labels", settings.base)
    reference.check()
    loop = ActiveLearning(
        settings,
        IpiExplorer(settings, console, line.clear),
        reference.label,
        tell,
        after_round,
        line,
    )
    go_on = f"go on with `beadwise learn {settings.path}`"
    try:
        outcome = loop.run()
    except (KeyboardInterrupt, Interrupted):
        line.clear()
        _fail(f"interrupted {loop.stage}; {go_on}")
    except RunError as error:
        _fail(f"{error}; {go_on}")
    else:
        write_report(settings, loop.state.rounds, f"ended: {outcome}", compared)
        tell(f"{outcome}; model in {settings.base / settings.output.model}, report in {settings.folder / REPORT}")


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
    for frame in iterate_frames(files):
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


class StageLine:
    """A bar for the stage at work, which vanishes with it: while i-PI runs, that shows its own."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._advance: Callable[[str, int, int], None] | None = None

    def __call__(self, label: str, done: int, total: int) -> None:
        """Show how far a stage is."""
        if self._progress is None or self._advance is None:
            self._progress = progress_bar()
            self._progress.start()
            self._advance = labelled_bars(self._progress)
        self._advance(label, done, total)
        if done >= total:
            self.clear()

    def clear(self) -> None:
        """Remove the bar."""
        if self._progress is not None:
            self._progress.stop()
        self._progress = self._advance = None


def _as_keyboard_interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _fail(message: str) -> None:
    """End with status 1, as what went wrong was not the input."""
    click.echo(f"Error: {' '.join(message.split())}", err=True)
    sys.exit(1)
