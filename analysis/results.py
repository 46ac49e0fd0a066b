"""What all analyses give back: files with one stem, numbers for programs, and lines for people."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BeadwiseError

ENDINGS = (".csv", ".png")
Shown = Callable[[Sequence[Any]], Iterable[Any]]  # passes things on, one after the other, and shows how many
Writer = Callable[[Path], object]


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


def plain(content: Any) -> Any:
    """Content as JSON has it: dataclasses and arrays by their values, None for numbers that are not finite."""
    if is_dataclass(content) and not isinstance(content, type):
        return {field.name: plain(getattr(content, field.name)) for field in fields(content)}
    if isinstance(content, Mapping):
        return {str(name): plain(value) for name, value in content.items()}
    if isinstance(content, (np.ndarray, np.generic)):
        return plain(content.tolist())
    if isinstance(content, (list, tuple)):
        return [plain(value) for value in content]
    if isinstance(content, Path):
        return str(content)
    return None if isinstance(content, float) and not math.isfinite(content) else content


def json_text(content: Any) -> str:
    """Content as JSON, for people and programs; see `plain`."""
    return json.dumps(plain(content), indent=2, ensure_ascii=False, allow_nan=False)
