"""Which file tells what a run was: the input or RESTART that a user means by a path, or that wrote a file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from .input.atoms import is_xml
from .input.elements import InputError
from .input.run_input import RunInput

RESTART = "RESTART"


def find_run(path: Path, also: str = "") -> RunInput:
    """The i-PI input of a run: a file, or in a folder its RESTART, or else its only input.

    Parameters
    ----------
    path : Path
    also : str
        What the command takes beside runs, for its messages.

    Raises
    ------
    InputError
        If there is none, or there are several.
    """
    allowed = f"allowed are folders of runs, i-PI inputs and RESTARTs{also and f', and {also}'}"
    if not os.path.isdir(path):
        if not os.path.exists(path):
            raise InputError(f"'{path}' does not exist; {allowed}")
        if os.path.getsize(path) == 0:
            raise InputError(f"'{path}' is empty; {allowed}")
        if not is_xml(path):
            raise InputError(f"'{path}' is no run; {allowed}")
        return RunInput.read(path)
    if os.path.isfile(path / RESTART):
        return RunInput.read(path / RESTART)
    inputs = [run for file in sorted(path.glob("*.xml")) if (run := _read_or_none(file)) is not None]
    if len(inputs) != 1:
        names = ", ".join(run.path.name for run in inputs) or "none"
        raise InputError(f"'{path}' has no {RESTART} and not one i-PI input but {names}; name the file that was run")
    return inputs[0]


def is_run(path: Path) -> bool:
    """Whether a path stands for a run: a folder, or an i-PI input or RESTART."""
    return os.path.isdir(path) or (os.path.isfile(path) and is_xml(path))


class RunsOfFiles:
    """The runs that wrote files; each i-PI input is parsed once, however many files there are.

    Parameters
    ----------
    source : Path, optional
        i-PI input or RESTART of all files; by default it is looked for beside each of them.
    known : mapping of Path to RunInput, optional
        Files whose run is known already.
    """

    def __init__(self, source: Path | None = None, known: Mapping[Path, RunInput] | None = None):
        self._source = source
        self._known = known or {}
        self._read: dict[Path, RunInput | None] = {}

    def run_of(self, path: Path) -> RunInput | None:
        """The run that wrote a file: an input, or RESTART, in its folder whose prefix the file has; None if none has.

        Raises
        ------
        InputError
            If the input that was named cannot be read.
        """
        if self._source is not None:
            if self._source not in self._read:
                self._read[self._source] = RunInput.read(self._source)
            return self._read[self._source]
        if path in self._known:
            return self._known[path]
        for candidate in [*sorted(path.parent.glob("*.xml")), path.parent / RESTART]:
            if candidate not in self._read:
                self._read[candidate] = _read_or_none(candidate)
            run = self._read[candidate]
            if run is not None and path.name.startswith(tuple(filter(None, run.prefixes))):
                return run
        return None


def _read_or_none(path: Path) -> RunInput | None:
    try:
        return RunInput.read(path)
    except InputError:
        return None
