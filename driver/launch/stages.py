"""How far long work has come: bars on a terminal, and plain lines elsewhere, so that a batch job is not silent."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from threading import Lock, Timer
from types import TracebackType
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

SECONDS_BETWEEN_LINES = 10.0
SHARE_BETWEEN_LINES = 0.05  # of the time that has passed: an hour has some 75 lines, a day 140, a week 180
QUIET = 2.0  # seconds: work that is over by then says nothing where there is no terminal

Thing = TypeVar("Thing")


def new_console(stderr: bool = False, **options: Any) -> Console:
    """Make a console that takes for a terminal only what is one.

    FORCE_COLOR, which notebooks and batch systems set, says that colours are wanted; Rich concludes that lines can be
    drawn anew as well, and a file or a cell would be full of them.
    """
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, force_terminal=None if stream.isatty() else False, **options)


def say(console: Console, line: str) -> None:
    """Print one line as it is."""
    console.print(line, highlight=False, markup=False, soft_wrap=True)


def duration(seconds: float) -> str:
    """Write a time span with the two units that matter: ``8 s``, ``2 min 05 s``, ``3 h 20 min``, ``2 d 4 h``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


class Pace:
    """When the next plain line is due: every ten seconds at first, then rarer, so that hours have some hundred lines.

    Parameters
    ----------
    now : float
        Of a clock in seconds, when the work begins.
    """

    def __init__(self, now: float):
        self._began = self._due = now

    def is_due(self, now: float) -> bool:
        """Whether a line is due; if so, the next one is due a while later."""
        if now < self._due:
            return False
        self.told(now)
        return True

    def told(self, now: float) -> None:
        """A line has been printed."""
        self._due = now + max(SECONDS_BETWEEN_LINES, SHARE_BETWEEN_LINES * (now - self._began))


class Stages:
    """Shows the stages of long work on standard error; it is a `beadwise.progress.Progress`.

    On a terminal there is a bar for each stage, and all vanish at the end.  Elsewhere there is a plain line at the
    start of each stage and then one now and then, as `Pace` says; work of two seconds says nothing.  With
    ``BEADWISE_PROGRESS=none`` in the environment nothing is shown.

    Parameters
    ----------
    console : rich.console.Console, optional
        By default standard error.
    """

    def __init__(self, console: Console | None = None):
        self._console = console or new_console(stderr=True, quiet=os.environ.get("BEADWISE_PROGRESS") == "none")
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._lines = None if self._console.is_terminal else _PlainLines(self._console)

    def __call__(self, label: str, done: int, total: int, detail: str = "") -> None:
        """Show how far a stage is; see `beadwise.progress.Progress`."""
        if self._lines is not None:
            self._lines.tell(label, done, total, detail)
            return
        if self._bars is None:
            columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[text]}"))
            self._bars = Progress(*columns, TimeRemainingColumn(), console=self._console, transient=True)
            self._bars.start()
        text = ", ".join(filter(None, (_share(done, total), detail)))
        if label not in self._tasks:
            self._tasks[label] = self._bars.add_task(label, total=total or None, text=text)
        self._bars.update(self._tasks[label], completed=done, total=total or None, text=text)

    def clear(self) -> None:
        """Remove the bars, before something else is shown."""
        if self._bars is not None:
            self._bars.stop()
        self._bars = None
        self._tasks.clear()

    def counted(self, things: Iterable[Thing], label: str) -> Iterator[Thing]:
        """Pass things on, one after the other, and show how many there were."""
        total = len(things) if isinstance(things, Sequence) else 0
        self(label, 0, total)
        for number, thing in enumerate(things, 1):
            yield thing
            self(label, number, total)

    def __enter__(self) -> Stages:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        self.clear()
        if self._lines is not None:
            self._lines.close()


class _PlainLines:
    """Plain lines about the stage at work."""

    def __init__(self, console: Console):
        self._console = console
        self._lock = Lock()
        self._pace = Pace(time.monotonic())
        self._first = Timer(QUIET, self._begin)  # a stage may take hours before it tells for the second time
        self._first.daemon = True
        self._first.start()
        self._quiet = True
        self._label = ""
        self._state: tuple[Any, ...] = ()
        self._began, self._done_before = 0.0, 0

    def tell(self, label: str, done: int, total: int, detail: str) -> None:
        """Take in how far a stage is, and print a line if one is due."""
        now = time.monotonic()
        with self._lock:
            is_new, self._label = label != self._label, label
            if is_new:
                self._began, self._done_before = now, done
            self._state = (done, total, detail)
            if self._quiet:
                return
            if is_new:
                self._pace.told(now)
                self._print(now)
            elif self._pace.is_due(now):
                self._print(now)

    def close(self) -> None:
        """Say nothing more."""
        self._first.cancel()

    def _begin(self) -> None:
        with self._lock:
            self._quiet = False
            if self._label:
                now = time.monotonic()
                self._pace.told(now)
                self._print(now)

    def _print(self, now: float) -> None:
        done, total, detail = self._state
        fresh, passed = done - self._done_before, now - self._began
        left = f"{duration(passed * (total - done) / fresh)} left" if fresh > 0 and total > done else ""
        say(self._console, f"{self._label}: {', '.join(filter(None, (_share(done, total), detail, left))) or 'begun'}")


def _share(done: int, total: int) -> str:
    """``3/10``, or how many where the total is not known."""
    return f"{done}/{total}" if total else str(done or "")
