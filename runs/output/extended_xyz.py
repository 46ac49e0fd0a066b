"""Extended xyz frame by frame, also while it is being written."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from itertools import islice
from pathlib import Path

import ase.io
from ase import Atoms

from ...errors import SeriesError


def complete_frames(path: Path) -> Iterator[Atoms]:
    """Frames of an extended xyz file; one at its end that is not yet whole is left out.

    Parameters
    ----------
    path : Path

    Raises
    ------
    SeriesError
        If the file cannot be read as text, or a whole frame is none.
    """
    try:
        with open(path, encoding="utf-8") as file:
            number = 0
            while lines := _lines_of_frame(file, path, number):
                yield _frame(lines, path, number)
                number += 1
    except OSError as error:
        raise SeriesError(f"cannot read '{path}': {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SeriesError(f"'{path}' is no text: {error}") from error


def _lines_of_frame(file: Iterator[str], path: Path, number: int) -> list[str]:
    """Lines of the next frame; none if it is not whole."""
    first = next(file, "")
    if not first.endswith("\n") or not first.strip():
        return []
    try:
        atoms = int(first)
    except ValueError:
        raise SeriesError(
            f"frame {number} of '{path}' begins with '{first.strip()[:60]}'; a number of atoms is needed"
        ) from None
    lines = [first, *islice(file, max(atoms, 0) + 1)]
    # a line without its end may be a number without its last digits
    return lines if len(lines) == atoms + 2 and lines[-1].endswith("\n") else []


def _frame(lines: list[str], path: Path, number: int) -> Atoms:
    try:
        frame = ase.io.read(StringIO("".join(lines)), format="extxyz")
    except Exception as error:  # ASE's readers raise whatever their parsing stumbles over
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise SeriesError(f"frame {number} of '{path}' cannot be read: {reason}") from error
    assert isinstance(frame, Atoms)
    return frame
