"""What happens in a fit or a loop, event by event: as lines of JSON, and for programs that draw it while it goes on."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Protocol

from ...errors import BeadwiseError
from ...json_text import plain

LOG = "log.jsonl"


class LogError(BeadwiseError):
    """A log that cannot be written, or a tracker that there is not."""


class Tracker(Protocol):
    """What takes in events."""

    def record(self, entry: dict[str, Any]) -> None:
        """Take in one event.

        Parameters
        ----------
        entry : dict
            ``event``, ``time`` (UTC), ``seconds`` since the beginning, and what else there is to tell: numbers, text,
            and dicts of them.  What is not finite is None.
        """

    def close(self) -> None:
        """Write what is still held."""


class Journal:
    """Tells what happens to all trackers.

    Parameters
    ----------
    *trackers : Tracker
    """

    def __init__(self, *trackers: Tracker):
        self._trackers = trackers
        self._began = time.monotonic()

    def tell(self, event: str, **values: Any) -> None:
        """Tell of an event.

        Parameters
        ----------
        event : str
            ``begin``, ``head``, ``pass``, ``errors``, ``round``, ``end``.
        **values
            What there is to tell.

        Raises
        ------
        LogError
            If a log cannot be written.
        """
        entry = {
            "event": event,
            "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - self._began, 3),
            **plain(values),
        }
        for tracker in self._trackers:
            tracker.record(entry)

    def close(self) -> None:
        """Close all trackers."""
        for tracker in self._trackers:
            tracker.close()


class JsonLines:
    """A file with one JSON object in each line, whole after every event.

    Parameters
    ----------
    path : Path
    continues : bool
        Whether events are added to those that are there.

    Raises
    ------
    LogError
        If it cannot be written.
    """

    def __init__(self, path: Path, continues: bool = False):
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(path, "a" if continues else "w", encoding="utf-8")
        except OSError as error:
            raise LogError(f"cannot write the log '{path}': {error.strerror}") from error

    def record(self, entry: dict[str, Any]) -> None:
        """Add one line; see `Tracker.record`."""
        try:
            self._file.write(json.dumps(entry, ensure_ascii=False) + "\n")
            self._file.flush()
        except OSError as error:
            raise LogError(f"cannot write the log '{self._path}': {error.strerror}") from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@contextmanager
def journal(*trackers: Tracker) -> Iterator[Journal]:
    """Make a journal, closed at the end whatever happens."""
    made = Journal(*trackers)
    try:
        yield made
    finally:
        made.close()
