"""Extended xyz frame by frame, also while it is being written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from ase import Atoms

from ...errors import SeriesError
from ...extended_xyz import FormatError, frame_blocks, frames_of_text


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
    with _reading(path) as file:
        yield from frames_of_text(file, str(path), is_growing=True)


def count_of_frames(path: Path) -> int:
    """Number of frames that :func:`complete_frames` gives, without parsing them.

    Raises
    ------
    SeriesError
        As there.
    """
    with _reading(path) as file:
        return sum(1 for _ in frame_blocks(file, str(path), is_growing=True))


@contextmanager
def _reading(path: Path) -> Iterator[TextIO]:
    """Open a file, of which whatever is wrong is a SeriesError."""
    try:
        with open(path, encoding="utf-8") as file:
            yield file
    except FormatError as error:
        raise SeriesError(str(error)) from error
    except OSError as error:
        raise SeriesError(f"cannot read '{path}': {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SeriesError(f"'{path}' is no text: {error}") from error
