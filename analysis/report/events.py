"""What i-PI printed and what ``beadwise run`` wrote down of itself, as messages; both are read as they grow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ...runs.input.run_input import RunInput
from ...runs.output.tail import Tail
from ...runs.output.words_of_ipi import TRACEBACK, Warnings

TEXTS, TABLES = ("event", "time", "text", "dynamics"), ("models", "versions")
STEP = "Average timings at MD step"
MOST_MESSAGES = 60
MOST_DIGITS = 18  # of a step
TAIL_OF_LOG = 20_000  # characters, in which a traceback is looked for


def events_file(run: RunInput) -> Path:
    """Where `beadwise run` writes down what it does."""
    return run.folder / f"{run.prefix or 'i-pi'}.events.jsonl"


def dynamics_told(run: RunInput) -> str:
    """What `beadwise run` calls the dynamics of a run, where the model and not the input makes it; else empty."""
    events = RunEvents(events_file(run))
    events.read()
    return str(events.start.get("dynamics", ""))


class LogMessages:
    """Warnings and failures in the log of i-PI.

    Parameters
    ----------
    path : Path
        It need not exist.
    """

    def __init__(self, path: Path):
        self.path = path
        self.step: int | None = None
        self.messages: list[dict[str, str]] = []
        self._tail = Tail(path, 0)
        self._known = Warnings()
        self._end = ""

    @property
    def exists(self) -> bool:
        """Whether there is a log."""
        return self.path.is_file()

    def read(self) -> None:
        """Take in what is new."""
        lines = self._tail.new_lines()
        for line in lines:
            if STEP in line:
                words = line.split(STEP)[1].split()
                number = words[0].rstrip(".") if words else ""
                if number.isdecimal() and len(number) <= MOST_DIGITS:
                    self.step = int(number) + 1
            elif warning := self._known.of_line(line):
                text = warning.removeprefix("i-PI warns: ")
                self.messages.append({"level": "warning", "source": "i-PI", "text": text})
        self._end = (self._end + "\n".join([*lines, ""]))[-TAIL_OF_LOG:]

    @property
    def failures(self) -> list[dict[str, str]]:
        """What its last traceback says, if it ended with one."""
        found = TRACEBACK.findall(self._end)
        return [{"level": "failure", "source": "i-PI", "text": str(found[-1]).strip()}] if found else []


class RunEvents:
    """What `beadwise run` writes beside the outputs, in a line of JSON each: how it began, what it said, how it ended.

    Parameters
    ----------
    path : Path
        It need not exist.
    """

    def __init__(self, path: Path):
        self.path = path
        self.start: dict[str, Any] = {}
        self.end: dict[str, Any] = {}
        self.messages: list[dict[str, str]] = []
        self._tail = Tail(path, 0)

    @property
    def exists(self) -> bool:
        """Whether there are any."""
        return bool(self.start)

    def read(self) -> None:
        """Take in what is new; lines that are no event are passed over."""
        for line in self._tail.new_lines():
            try:
                event = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if not isinstance(event, dict):
                continue
            if event.get("event") == "start":
                self.start, self.end, self.messages = _cleaned(event), {}, []
            elif event.get("event") == "end":
                self.end = _cleaned(event)
            elif event.get("event") == "message" and len(self.messages) < MOST_MESSAGES:
                text = str(event.get("text", ""))
                level = "warning" if text.startswith("warning: ") else "note"
                self.messages.append({"level": level, "source": "beadwise", "text": text.removeprefix("warning: ")})


def _cleaned(event: dict[str, Any]) -> dict[str, Any]:
    """An event with text where text is expected, and tables of text by name."""
    texts = {name: str(event[name]) for name in TEXTS if event.get(name)}
    tables = {name: event[name] for name in TABLES if isinstance(event.get(name), dict)}
    return texts | {name: {str(key): str(value) for key, value in table.items()} for name, table in tables.items()}
