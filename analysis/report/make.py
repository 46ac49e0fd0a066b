"""The report of a run as a file: what ``beadwise report`` does, and ``beadwise run`` at its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ...errors import BeadwiseError
from ...runs.input.elements import InputError
from ...runs.input.run_input import RunInput
from ...runs.source import RESTART, find_run
from ...whole_files import write_text
from ..averages.live import LiveAverages
from ..profile.live import LiveProfile
from ..results import Report, written_to
from ..spectrum.live import LiveSpectra
from ..spectrum.live_dielectric import LiveDielectric
from .content import RunContent
from .facts import known
from .page import MARK, WORDS, run_page

MOST_BYTES = 5e7  # of files that are read as a whole at the end of a run
LENGTH_OF_HEAD = 4000  # characters, in which the mark of our pages stands


def report_file(run: RunInput) -> Path:
    """Where the report of a run stands unless it is told otherwise."""
    return run.folder / f"{run.prefix or 'i-pi'}.report.html"


def content_of(path: Path) -> RunContent:
    """What a folder of a run, its input or its RESTART holds; the only input in place of a RESTART that is no XML.

    Raises
    ------
    InputError
        If there is no run.
    """
    try:
        return RunContent(find_run(path))
    except InputError as error:
        inputs = sorted(path.glob("*.xml")) if path.is_dir() and (path / RESTART).is_file() else []
        found = [run for file in inputs if (run := known(partial(RunInput.read, file))) is not None]
        if len(found) != 1:
            raise
        return RunContent(found[0], remark=str(error))


def make(source: Path, output: Path | None = None) -> Report:
    """Write the report of a run.

    Parameters
    ----------
    source : Path
        Folder of a run, its input or its RESTART.
    output : Path, optional
        By default `report_file`.

    Raises
    ------
    BeadwiseError
        If there is no run, or the file cannot be written, or is there and no report.
    """
    reader = content_of(source)
    content = reader.read()
    path = output or report_file(reader.run)
    write_report(content, path)
    width = max(len(WORDS[one["colour"]]) for one in content["verdicts"])
    lines = [f"{WORDS[one['colour']]:<{width}}  {one['label']}: {one['sentence']}" for one in content["verdicts"]]
    return Report((*lines, written_to([path])), content)


def report_of_end(run: RunInput, readers: Sequence[LiveSpectra | LiveDielectric | LiveProfile | LiveAverages]) -> Path:
    """Write the report of a run that has just ended; quick, so that large files are left to ``beadwise report``.

    Parameters
    ----------
    run : RunInput
        As it was started.
    readers : sequence of LiveSpectra, LiveDielectric, LiveProfile and LiveAverages
        What was kept current.

    Returns
    -------
    Path
        Of the page.

    Raises
    ------
    BeadwiseError
        If it cannot be written.
    """
    path = report_file(run)
    write_report(RunContent(run, readers=readers, most_bytes=MOST_BYTES).read(), path)
    return path


def write_report(content: Mapping[str, Any], path: Path) -> None:
    """Write the page of a run; it is replaced at once, and never takes the place of what is no page of ours.

    Raises
    ------
    BeadwiseError
        If it cannot be written.
    """
    try:
        if path.is_file():
            with open(path, encoding="utf-8", errors="replace") as file:
                if (head := file.read(LENGTH_OF_HEAD)) and MARK not in head:
                    raise BeadwiseError(f"'{path}' is there and no report of beadwise; name another file as --output")
        write_text(path, run_page(content))
    except OSError as error:
        raise BeadwiseError(f"cannot write '{path}': {error.strerror or error}") from error
