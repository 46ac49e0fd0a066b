"""The page of a run that is watched: that of its report, which follows the run."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from typing import Any

from rich.console import Console

from ...analysis.report.page import run_page, update_of
from ...json_text import compact_json
from ..launch.stages import say
from .server import Content, LoopbackServer, Pages, ServerError
from .watched_run import WatchedRun

UPDATE = "update.json"
UNWATCHED = 60.0  # s without a request, after which nobody looks any more
IDLE = 0.2  # s between two looks whether somebody does
LAST = 3.0  # s at the end, for somebody to ask once more
FIRST = 20.0  # s that the first page waits for the files to be read


class LivePage:
    """What is served of a run; it is made again when the run has something new, and somebody asks.

    Parameters
    ----------
    watched : WatchedRun
    seconds : float
        Between two requests of a page for what is new.
    """

    def __init__(self, watched: WatchedRun, seconds: float = 2.0):
        self._watched, self._seconds = watched, seconds
        self._lock = threading.Lock()
        self._made: dict[str, tuple[int, Content]] = {}
        self._asked = -UNWATCHED
        self._content: dict[str, Any] = {}
        self._version = 0
        self._has_content, self.asked = threading.Event(), threading.Event()

    @property
    def pages(self) -> Pages:
        """For a server."""
        return Pages({"": lambda: self._send("", self._page), UPDATE: lambda: self._send(UPDATE, self._update)})

    @property
    def is_wanted(self) -> bool:
        """Whether somebody has asked for something lately."""
        return time.monotonic() - self._asked < UNWATCHED

    def show(self) -> None:
        """Show what the run has come to by its last look."""
        with self._lock:
            self._content, self._version = self._watched.content, self._watched.version
        self._has_content.set()

    def _send(self, name: str, make: Callable[[dict[str, Any]], Content]) -> Content:
        self._asked = time.monotonic()
        if not self._has_content.wait(FIRST):
            raise ServerError("the files of the run are still being read; the page comes when that is done")
        with self._lock:  # one thread makes what all of them send
            version, content = self._made.get(name, (0, None))
            if content is None or version != self._version:
                content = make(self._content)
                self._made[name] = self._version, content
            self.asked.set()
            return content

    def _page(self, content: dict[str, Any]) -> Content:
        return Content("text/html; charset=utf-8", run_page(content, UPDATE, self._seconds).encode())

    def _update(self, content: dict[str, Any]) -> Content:
        return Content("application/json", compact_json(update_of(content)).encode())


def serve_page(watched: WatchedRun, console: Console, port: int = 0, seconds: float = 2.0) -> None:
    """Serve the page of a run on loopback, until it is interrupted, or told by SIGTERM that the run has ended.

    Parameters
    ----------
    watched : WatchedRun
    console : rich.console.Console
        Where the address is told.
    port : int
        0 for one that is free.
    seconds : float
        Between two looks of the page.

    Raises
    ------
    ServerError
        If the port cannot be listened at.
    """
    page = LivePage(watched, seconds)
    server = LoopbackServer(page.pages, port)
    ends = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: ends.set())  # of a run that has just ended
    threading.Thread(target=server.serve_forever, args=(IDLE,), daemon=True).start()
    say(console, f"the page of the run is {server.url} (this machine only, until Ctrl-C)")
    due = 0.0
    try:
        while not ends.wait(IDLE):
            if page.is_wanted and time.monotonic() >= due:
                due = time.monotonic() + watched.look()
                page.show()
        if page.is_wanted:  # what was last is shown, too, if somebody still looks
            watched.look()
            page.show()
            page.asked.clear()
            page.asked.wait(max(LAST, 2 * seconds))
            time.sleep(IDLE)  # until it is sent
    finally:
        server.shutdown()
        server.server_close()
