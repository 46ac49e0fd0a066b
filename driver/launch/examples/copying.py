"""Copies of what ships, for users who change them: nothing is written over."""

from __future__ import annotations

import re
import shutil
from importlib.resources import as_file, files
from pathlib import Path

from ....errors import BeadwiseError
from ....suggestions import did_you_mean
from ..shipped_inputs import INPUTS, copy_into, files_of, shipped_inputs
from .changes import Changes

TEXTS = (".toml", ".sh")  # what names other files that are copied with it


class ExampleError(BeadwiseError, ValueError):
    """An example that there is not, or that would take the place of a file."""


def copy_example(name: str, folder: Path | None, threads: int, changes: Changes) -> list[Path]:
    """Copy an input, a recipe, a job script or any other file that ships, with what it needs.

    Parameters
    ----------
    name : str
        Of a shipped input, or of a file.
    folder : Path or None
        Where to; it is made. None for one called after the example.
    threads : int
        Of an evaluation in i-PI's process.
    changes : Changes
        What shall be another in the copy of an input.

    Returns
    -------
    list of Path
        The copies, that of the example first.

    Raises
    ------
    ExampleError
        If there is no such example, or a file is in the way; nothing is copied then.
    InputError
        If the input cannot be changed so.
    """
    bare = name.removesuffix(".xml")
    is_input = bare in shipped_inputs()
    if not is_input:
        changes.refuse_for(Path(name))
    needed = files_of(bare) if is_input else _with_named(name)
    place = Path(bare if is_input else name.partition(".")[0]) if folder is None else folder
    for file in needed:
        if (place / file).exists():
            raise ExampleError(f"'{place / file}' is there already, and nothing was copied; name another FOLDER")
    is_new = not place.exists()
    try:
        place.mkdir(parents=True, exist_ok=True)
        if is_input:
            _copy_input(bare, place, threads, changes)
        else:
            for file in needed:
                with as_file(files(INPUTS) / file) as source:
                    shutil.copy(source, place / file)
    except OSError as error:
        raise ExampleError(f"cannot write to '{place}': {error.strerror or error}") from error
    except BeadwiseError:
        if is_new:
            shutil.rmtree(place)
        raise
    return [place / file for file in needed]


def _copy_input(name: str, place: Path, threads: int, changes: Changes) -> None:
    """Copy an input; if it cannot be changed so, its files go away again."""
    try:
        copy_into(name, place, threads, changes)
    except BeadwiseError:
        for file in files_of(name):
            (place / file).unlink(missing_ok=True)
        raise


def _with_named(name: str) -> list[str]:
    """A file and those that ship, too, and that it names; what these name, as well."""
    known = {entry.name for entry in files(INPUTS).iterdir() if entry.is_file() and not entry.name.startswith("__")}
    if name not in known:
        names = sorted({*shipped_inputs(), *known})
        raise ExampleError(f"no example '{name}'; `beadwise examples` lists them{did_you_mean(name, names)}")
    found, waiting = [], [name]
    while waiting:
        file = waiting.pop(0)
        found.append(file)
        if file.endswith(".xml"):
            named = set(files_of(file.removesuffix(".xml")))
        elif file.endswith(TEXTS):
            named = set(re.findall(r"[\w.]+", (files(INPUTS) / file).read_text(encoding="utf-8"))) & known
        else:
            named = set()
        waiting += sorted(named - {*found, *waiting})
    return found
