"""How far a run has come: read i-PI's outputs as they grow, and show step, rate and time left."""

from __future__ import annotations

import re
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from ...runs.output.properties import property_of_heading
from ...runs.output.tail import Tail
from ...runs.output.words_of_ipi import Warnings
from .stages import Pace, duration, say

STEP_IN_LOG = re.compile(r"Average timings at MD step\s+(\d+)")
FAILED_THREAD = "Exception in thread"
RATE_WINDOW = 30.0


class StepReader:
    """The last step that i-PI reports, in the ``step`` column of its property output or in its log.

    Parameters
    ----------
    log : Path
        What i-PI prints.
    log_start : int
        Where in the log this run begins.
    properties : sequence of Path
        Its property outputs.
    """

    def __init__(self, log: Path, log_start: int, properties: list[Path]):
        self.step: int | None = None
        self.thread_failed = False
        self._log = Tail(log, log_start)
        self._properties = {Tail(path): _step_column(path) for path in properties}
        self._known, self._warnings = Warnings(), list[str]()

    def read(self) -> int | None:
        """Read what is new; the last step that was completed, None before the first."""
        for line in self._log.new_lines():
            self.thread_failed |= line.startswith(FAILED_THREAD)
            if warning := self._known.of_line(line):
                self._warnings.append(warning)
            if found := STEP_IN_LOG.search(line):
                self._reached(found.group(1), 1)
        for tail, column in self._properties.items():
            for line in tail.new_lines():
                if (heading := property_of_heading(line)) and heading.name == "step":
                    self._properties[tail] = column = heading.columns.start
                elif column is not None and not line.startswith("#") and len(words := line.split()) > column:
                    self._reached(words[column])
        return self.step

    def take_warnings(self) -> list[str]:
        """What i-PI has warned of since the last call, in a line each."""
        warnings, self._warnings = self._warnings, []
        return warnings

    def _reached(self, text: str, further: int = 0) -> None:
        with suppress(ValueError, OverflowError):  # a line of another program, or half of one
            self.step = max(int(float(text)) + further, self.step or 0)


def _step_column(path: Path) -> int | None:
    """Column of the step in an output that a restart continues: its header was written by the first run."""
    try:
        with open(path) as file:
            for line in file:
                if not line.startswith("#"):
                    return None
                if (found := property_of_heading(line)) and found.name == "step":
                    return int(found.columns.start)
    except FileNotFoundError:
        pass
    return None


class Rate:
    """Steps per second over the last half minute."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def update(self, step: int, now: float) -> float:
        """Add what has been reached; the rate is 0 until there are two different times."""
        if not self._seen or step != self._seen[-1][1]:
            self._seen.append((now, step))
        while len(self._seen) > 2 and now - self._seen[0][0] > RATE_WINDOW:
            self._seen.popleft()
        (first_time, first_step), (_, last_step) = self._seen[0], self._seen[-1]
        return (last_step - first_step) / (now - first_time) if now > first_time else 0.0


class ProgressDisplay:
    """A progress bar on a terminal, and elsewhere a plain line now and then, as `Pace` says.

    Parameters
    ----------
    console : rich.console.Console
        Where to show it.
    first, last : int
        Step the run starts from, and the one where it ends.
    """

    def __init__(self, console: Console, first: int, last: int):
        self.step = first
        self._console = console
        self._first, self._last = first, last
        self._rate = Rate()
        self._pace = Pace(time.monotonic())
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[text]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("i-PI", total=last - first, text="starting")

    def update(self, step: int | None) -> None:
        """Show the last completed step; None while there is none."""
        if step is None:
            return
        now = time.monotonic()
        self.step = max(step, self.step)
        text = describe(self.step, self._last, self._rate.update(self.step, now))
        self._bar.update(self._task, completed=self.step - self._first, text=text)
        if not self._console.is_terminal and self._pace.is_due(now):
            say(self._console, text)

    def __enter__(self) -> ProgressDisplay:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        self._bar.stop()


def describe(step: int, last: int, rate: float) -> str:
    """One line: step, rate and time left."""
    if rate == 0.0:
        return f"step {step}/{last}"
    return f"step {step}/{last}  {rate:.3g} steps/s  {duration((last - step) / rate)} left"
