"""The dashboard in a terminal until the run is over, and plain lines where there is no terminal."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from rich.console import Console
from rich.live import Live

from ..launch.stages import Pace, say
from .terminal import Dashboard, plain_line
from .watched_run import WatchedRun

LONGEST_WAIT = 1.0  # s between looks at the size of the terminal
QUIET = "none"


def watch_in_terminal(
    watched: WatchedRun, console: Console, sleep: Callable[[float], None] = time.sleep, once: bool = False
) -> None:
    """Show a run until it is over; the last that was seen of it stays on the terminal.

    Parameters
    ----------
    watched : WatchedRun
    console : rich.console.Console
    sleep : callable
        Waits for so many seconds.
    once : bool
        Whether one look is enough.
    """
    if not console.is_terminal:
        _tell_in_lines(watched, console, sleep, once)
        return
    with console.status("reading the files of the run"):  # of a long run that takes a while
        wait = watched.look()
    if not (once or watched.pulse.state.is_over):
        live = Live(_dashboard(watched), console=console, screen=True, auto_refresh=False)
        try:
            live.start(refresh=True)
            while not watched.pulse.state.is_over:
                due = time.monotonic() + wait
                while (left := due - time.monotonic()) > 0:
                    sleep(min(left, LONGEST_WAIT))
                    live.refresh()  # in the size that the terminal has now
                wait = watched.look()
                live.update(_dashboard(watched), refresh=True)
        finally:
            live.stop()  # also where Ctrl-C comes while it starts
    console.print(_dashboard(watched))


def _dashboard(watched: WatchedRun) -> Dashboard:
    return Dashboard(watched.content, watched.pulse)


def _tell_in_lines(watched: WatchedRun, console: Console, sleep: Callable[[float], None], once: bool) -> None:
    pace = Pace(time.monotonic())
    is_quiet = os.environ.get("BEADWISE_PROGRESS") == QUIET
    wait, is_last = watched.look(), False
    while not is_last:
        is_last = once or watched.pulse.state.is_over
        if is_last or (pace.is_due(time.monotonic()) and not is_quiet):
            say(console, plain_line(watched.content, watched.pulse))
        if not is_last:
            sleep(wait)
            wait = watched.look()
