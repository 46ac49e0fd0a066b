"""Progress of long work, as bars on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from ...learning.data import Frame
from ...learning.fitting.head_fit import parts


def progress_bar() -> Progress:
    """Make a bar on standard error that vanishes at the end; nothing is shown where that is no terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def labelled_bars(progress: Progress) -> Callable[[str, int, int], None]:
    """Make a function that is called with a label, what is done and the total, and keeps a bar for each label."""
    tasks: dict[str, TaskID] = {}

    def advance(label: str, done: int, total: int) -> None:
        if label not in tasks:
            tasks[label] = progress.add_task(label.replace("_", " ") if label in parts() else label, total=total)
        progress.update(tasks[label], completed=done, total=total)

    return advance


def counted(progress: Progress, description: str, frames: Iterable[Frame]) -> Iterator[Frame]:
    """Pass frames on and show how many there were."""
    task = progress.add_task(description, total=None)
    for frame in frames:
        yield frame
        progress.advance(task)
    progress.remove_task(task)
