"""The page of a run that goes on, in a process of its own: whatever becomes of it, the run does not notice."""

from __future__ import annotations

import subprocess
import sys
import threading
from types import TracebackType

from rich.console import Console

from . import processes
from .plan import Plan
from .stages import say

PATIENCE = 6.0  # s at the end, for the browser to get what is last


class LivePage:
    """``beadwise watch`` beside a run, if the plan wants it, until the run has ended.

    Parameters
    ----------
    plan : Plan
    console : rich.console.Console
        Where its address is told.
    """

    def __init__(self, plan: Plan, console: Console):
        self._plan, self._console = plan, console
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; why there is none is one line, and no reason to end a run."""
        if not self._plan.live:
            return
        window = [] if self._plan.window is None else ["--window", str(self._plan.window)]
        command = [sys.executable, "-m", "beadwise", "watch", str(self._plan.source), "--folder", ".", *window]
        try:
            self._process = processes.start(
                command, self._plan.folder, {"PYTHONUNBUFFERED": "1"}, subprocess.PIPE, subprocess.STDOUT
            )
        except OSError as error:
            say(self._console, f"no page of the run: {error}")
            return
        threading.Thread(target=self._tell, args=(self._process,), daemon=True).start()

    def _tell(self, process: subprocess.Popen[bytes]) -> None:
        """Tell the address when it is there, or why there is none."""
        assert process.stdout is not None
        said, is_told = "it says nothing", False
        for line in iter(process.stdout.readline, b""):  # to the end, so that it never has to wait for a reader
            said = line.decode(errors="replace").strip() or said
            if not is_told and "http://" in said:
                say(self._console, said.replace("until Ctrl-C", "until the run ends"))
                is_told = True
        if not is_told:
            say(self._console, f"no page of the run: {said.removeprefix('Error: ')}")

    def __enter__(self) -> LivePage:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        if self._process is not None:
            processes.end([self._process], PATIENCE)
