"""What a run writes down of itself beside i-PI's outputs, so that a report tells it later: a line of JSON each."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...analysis.report.events import events_file
from ...analysis.report.versions import versions_here
from .centroid_models import name_of_dynamics
from .plan import Plan


class Events:
    """Writes the file; a disk that is full, or a folder that is not to be written, is told of elsewhere.

    Parameters
    ----------
    plan : Plan
        A run that starts anew begins a new file.
    """

    def __init__(self, plan: Plan):
        self.path: Path = events_file(plan.input)
        self._plan = plan
        self._told: set[str] = set()
        self._has_ended = False

    def start(self) -> None:
        """The run begins."""
        if self._plan.input.step == 0:
            with suppress(OSError):
                self.path.unlink(missing_ok=True)
        models = {address.name: self._plan.model_of(address) for address in self._plan.input.sockets}
        self._write(
            "start",
            step=self._plan.input.step,
            models=models,
            options=list(self._plan.options),
            dynamics=name_of_dynamics(self._plan) or "",
            versions=versions_here(),
        )

    def message(self, line: str) -> None:
        """A remark or a warning, once."""
        if line not in self._told:
            self._told.add(line)
            self._write("message", text=line)

    def end(self, text: str = "") -> None:
        """The run has ended, and why it did before its last step; only the first word counts."""
        if not self._has_ended:
            self._has_ended = True
            self._write("end", text=" ".join(text.split()))

    def _write(self, event: str, **content: Any) -> None:
        now = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
        line = json.dumps({"event": event, "time": now, **content}, ensure_ascii=False)
        with suppress(OSError), open(self.path, "a", encoding="utf-8") as file:
            file.write(line + "\n")
