"""Programs that draw a fit or a loop while it goes on, by name: TensorBoard, and those of other packages."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from ...plugins import load_plugin, plugins
from ...suggestions import did_you_mean
from .journal import LogError, Tracker

ENTRY_POINTS = "beadwise.trackers"  # each a callable that makes a `Tracker` of the text after its name
TENSORBOARD = "tensorboard"


def tracker_of(text: str) -> Tracker:
    """Make a tracker.

    Parameters
    ----------
    text : str
        ``NAME:WHERE``, as ``tensorboard:FOLDER``.

    Raises
    ------
    LogError
        If there is none of this name, or what it needs is not installed.
    PluginError
        If that of another package cannot be imported.
    """
    name, _, where = text.partition(":")
    if name == TENSORBOARD:
        if not where:
            raise LogError(f"'{text}' names no folder; allowed is tensorboard:FOLDER")
        return TensorBoard(where)
    others = plugins(ENTRY_POINTS, [TENSORBOARD])
    if name not in others:
        names = [TENSORBOARD, *others]
        raise LogError(f"no tracker '{name}'; allowed are {', '.join(names)}{did_you_mean(name, names)}")
    make: Any = load_plugin(others[name], object, "tracker")
    if not callable(make):
        raise LogError(f"the tracker '{name}' of {others[name].value} is {type(make).__name__}, which cannot be called")
    made: Tracker = make(where)
    return made


class TensorBoard:
    """Numbers of all events as scalars of TensorBoard.

    A scalar is called after its event and its names, ``round/errors/validation/forces``; its step is how many events of
    that kind there were.

    Parameters
    ----------
    folder : str

    Raises
    ------
    LogError
        If TensorBoard is not installed, or the folder cannot be written.
    """

    def __init__(self, folder: str):
        try:
            from tensorboard.compat.proto import event_pb2, summary_pb2
            from tensorboard.summary.writer.event_file_writer import EventFileWriter
        except ModuleNotFoundError as error:
            raise LogError(
                f"tensorboard:{folder} needs {error.name}, which is not installed: pip install 'beadwise[tensorboard]'"
            ) from error
        self._events, self._summaries = event_pb2, summary_pb2
        self._seen: Counter[str] = Counter()
        try:
            self._writer = EventFileWriter(folder)
        except OSError as error:
            raise LogError(f"cannot write to '{folder}': {error.strerror}") from error

    def record(self, entry: dict[str, Any]) -> None:
        """Add the numbers of one event; see `Tracker.record`."""
        event = str(entry["event"])
        self._seen[event] += 1
        values = [
            self._summaries.Summary.Value(tag=f"{event}/{name}", simple_value=value)
            for name, value in _numbers(entry)
            if name != "seconds"
        ]
        summary = self._summaries.Summary(value=values)
        self._writer.add_event(self._events.Event(wall_time=time.time(), step=self._seen[event], summary=summary))
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        self._writer.close()


def _numbers(entry: dict[str, Any], before: str = "") -> Iterator[tuple[str, float]]:
    """All numbers by the names that lead to them."""
    for name, value in entry.items():
        if isinstance(value, dict):
            yield from _numbers(value, f"{before}{name}/")
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield f"{before}{name}", float(value)
