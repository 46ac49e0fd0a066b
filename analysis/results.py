"""What all analyses give back: files with one stem, and lines for people."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import BeadwiseError

ENDINGS = (".csv", ".png")
# commands whose results others take, as JSON of these says under "made_by"
LAMBDA_INTEGRATION, MASS_INTEGRATION = "beadwise lambda-integration", "beadwise mass-integration"
PROMOTE, GIBBS = "beadwise promote", "beadwise gibbs"
Shown = Callable[[Sequence[Any]], Iterable[Any]]  # passes things on, one after the other, and shows how many
Writer = Callable[[Path], object]


@dataclass(frozen=True)
class Report:
    """What an analysis found.

    Parameters
    ----------
    lines : tuple of str
        For people.
    numbers : dict of str
        For programs, in what `beadwise.json_text.plain` knows.
    """

    lines: tuple[str, ...]
    numbers: dict[str, Any]


def stem_of(output: Path | None, otherwise: Path) -> Path:
    """Path of the files to write, without the ending.

    Parameters
    ----------
    output : Path or None
        What the user gave, with an ending or without.
    otherwise : Path
        Where nothing was given.
    """
    if output is None:
        return otherwise
    name = output.name
    for ending in ENDINGS:
        name = name.removesuffix(ending)
    return output.with_name(name)


def beside(first: Path, *parts: str) -> Path:
    """Path of files about runs, without the ending: in the folder of the first run, or beside its input.

    Parameters
    ----------
    first : Path
        Folder or input of the first run, or one of its files.
    *parts : str
        Of the name: what was made, then kind, variable or method, so that one result never takes the place of another.
    """
    name = ".".join(re.sub(r"[^\w+-]+", "_", part) for part in parts)
    return first / name if os.path.isdir(first) else first.with_name(f"{first.name.removesuffix('.xml')}.{name}")


def write_files(stem: Path, writers: Mapping[str, Writer]) -> list[Path]:
    """Write the files of an analysis.

    Parameters
    ----------
    stem : Path
        Of the files, without the ending.
    writers : mapping of str to callable
        What writes a file whose path it is given, by the ending of the file.

    Returns
    -------
    list of Path
        In the order of the writers.

    Raises
    ------
    BeadwiseError
        If a file cannot be written.
    """
    files = []
    for ending, write in writers.items():
        path = stem.with_name(stem.name + ending)
        try:
            write(path)
        except OSError as error:
            raise BeadwiseError(f"cannot write '{path}': {error.strerror or error}") from error
        files.append(path)
    return files


def written_to(files: Sequence[Path]) -> str:
    """The line that says where results are."""
    return f"written to {' and '.join(map(str, files))}"


def warned(warnings: Iterable[str]) -> list[str]:
    """Lines that say what speaks against trusting a result."""
    return [f"warning: {warning}" for warning in warnings]
