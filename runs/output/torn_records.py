"""Half records at the ends of i-PI's outputs, which a kill or a full disk leaves: cut before a run goes on.

i-PI appends to its files.  The first record after half a one would be joined to it, and both would be lost.  The half
record itself is written again, as what a run is continued from is never ahead of its outputs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from ..input.run_input import RunInput

FIRST_LOOK = 1 << 20  # bytes at the end of a file
ENOUGH = 3  # records to be seen, of which the last may be half and the first may have lost its begin
SUFFIXES = {"ase": "extxyz"}
OF_BEAD = r"(?:_\d+)?"  # what i-PI adds to the name for each bead


def cut_torn_records(run: RunInput) -> list[Path]:
    """Cut half records off the ends of all outputs of a run.

    Parameters
    ----------
    run : RunInput
        What it is continued from.

    Returns
    -------
    list of Path
        Files that had one.

    Raises
    ------
    OSError
        If a file cannot be read or written.
    """
    return [path for path, form in _outputs(run) if _cut(path, form)]


def _outputs(run: RunInput) -> Iterator[tuple[Path, str]]:
    """All files that are there, and what a record is in each: a ``line``, or what ``extras`` or ``xyz`` make of it."""
    for system in run.systems:
        wanted = [(re.escape(one.name), "line") for one in system.properties_outputs]
        extras = (*system.extras_outputs, *system.bias_outputs)
        wanted += [(f"{re.escape(one.name)}{OF_BEAD}", "extras") for one in extras]
        for one in system.trajectory_outputs:
            form = "xyz" if one.form in ("xyz", "ase") else "line"
            suffix = re.escape(SUFFIXES.get(one.form, one.form))
            wanted.append((rf"{re.escape(one.written.name)}{OF_BEAD}\.{suffix}", form))
        for pattern, form in wanted:
            yield from ((path, form) for path in _matching(run.folder, pattern))


def _matching(folder: Path, pattern: str) -> list[Path]:
    """Files whose whole name is that of an output: what others made of it, as a picture beside it, is not i-PI's."""
    parent, name = os.path.split(pattern)  # a name may lead into another folder
    place = folder / re.sub(r"\\(.)", r"\1", parent)
    if not os.path.isdir(place):
        return []
    return [place / one for one in sorted(os.listdir(place)) if re.fullmatch(name, one)]


def _cut(path: Path, form: str) -> bool:
    """Cut half a record off the end of a file; whether there was one."""
    look = FIRST_LOOK
    with open(path, "rb+") as file:
        size = file.seek(0, os.SEEK_END)
        while True:
            begin = max(0, size - look)
            file.seek(begin)
            text = file.read()
            lines = text.split(b"\n")
            if begin == 0 or len(_begins(lines, form)) > ENOUGH:
                break
            look *= 4
        whole = _whole(lines, form)
        if whole is None or whole == len(text):
            return False
        file.truncate(begin + whole)
        return True


def _begins(lines: list[bytes], form: str) -> list[int]:
    """Where records begin, among lines of which the first may be half."""
    if form == "line":
        return list(range(len(lines)))
    if form == "extras":
        return [number for number, line in enumerate(lines) if line.lstrip().startswith(b"#")]
    return [number for number, line in enumerate(lines) if line.strip().isdigit()]


def _whole(lines: list[bytes], form: str) -> int | None:
    """Bytes up to the end of the last whole record; None if that cannot be told."""
    complete = lines[:-1]  # behind the last line break there is nothing, or half a line
    begins = _begins(complete, form)
    if form != "line" and begins:
        last = begins[-1]
        if form == "xyz":
            rows = int(complete[last]) + 2
        elif len(begins) > 1:
            rows = last - begins[-2]
        else:
            return None
        if len(complete) - last < rows:
            complete = complete[:last]
    return sum(len(line) + 1 for line in complete)
