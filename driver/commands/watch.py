"""``beadwise watch``: a run while it goes on, in a browser or in a terminal."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import click

from .options import PATH, number, window_option

NICENESS, OF_SESSION = 10, 5  # whoever calculates comes first, but a page shall be there within seconds


@click.command()
@click.argument("source", metavar="[RUN]", type=PATH, default=Path("."))
@click.option(
    "--folder", type=PATH, metavar="FOLDER", help="Folder where i-PI runs and writes  [default: that of RUN]."
)
@click.option("--terminal", is_flag=True, help="Show a dashboard in this terminal in place of a page.")
@click.option("--once", is_flag=True, help="Show the dashboard once, and end.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="N",
    default=0,
    help="Port of the page  [default: one that is free].",
)
@number("--interval", unit="S", kind=click.FloatRange(min=0.5), default=2.0, text="Seconds between looks, at least.")
@window_option
def watch(
    source: Path, folder: Path | None, terminal: bool, once: bool, port: int, interval: float, window: float | None
) -> None:
    """Watch a run while it goes on, in a browser or in a terminal.

    Energies, temperature, drift and uncertainties are there, and spectra that sharpen as the run goes on.

    RUN is the folder of a run, its input or its RESTART; by default the current folder.  All is read from the files
    that i-PI writes, so that a run of any i-PI can be watched, also one on a cluster through a folder that both share.
    The page is served to this machine alone, at an address that holds a secret; it ends with Ctrl-C.  The dashboard
    of --terminal ends with the run; without a terminal there is a line now and then.
    """
    _step_back()
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy: what is watched needs the processors
    from rich.console import Console

    from ...runs.input.run_input import RunInput
    from ...runs.source import find_run
    from ..watch.watched_run import WatchedRun

    console = Console()
    run = find_run(source)
    watched = WatchedRun(run if folder is None else RunInput.read(run.path, folder), interval, window)
    with suppress(KeyboardInterrupt):
        if terminal or once:
            from ..watch.in_terminal import watch_in_terminal

            watch_in_terminal(watched, console, once=once)
        else:
            from ..watch.page import serve_page

            serve_page(watched, console, port, interval)


def _step_back() -> None:
    """Let whoever calculates come first."""
    with suppress(OSError):
        os.nice(NICENESS)
        # Linux shares out processors among sessions first; one that is this process alone can step back as a whole
        if os.getsid(0) == os.getpid():
            Path("/proc/self/autogroup").write_text(str(OF_SESSION), encoding="ascii")
