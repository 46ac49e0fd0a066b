"""Files that appear whole or not at all: written beside their place, and put there at once.

A reader, or a program that watches a folder, never sees half a file, and whoever is killed leaves the file that was
there before.
"""

from __future__ import annotations

import csv
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

LONGEST_BEGINNING = 200  # bytes of a hidden name before what tells it from others; a name has at most 255
STREAMS = ("/dev", "/dev/fd", "/proc/self/fd")  # links in these folders lead to what others write to as well


@contextmanager
def whole_file(path: str | Path, durable: bool = False) -> Iterator[Path]:
    """Give a neighbour to write to, which takes the place of a file once all is written.

    Parameters
    ----------
    path : str or Path
        The file; where it is a link, what it points to. What is there and is no plain file, as ``/dev/stdout``, is
        written to as it is.
    durable : bool
        Whether the file must be there also if the machine stops right after.

    Yields
    ------
    Path
        A hidden file in the same folder, which goes away if anything fails.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    given = Path(path)
    if str(given.parent) in STREAMS or (given.exists() and not given.is_file()):
        yield given
        return
    target = Path(os.path.realpath(given))
    unfinished = _new_file(target)
    try:
        yield unfinished
        if durable:
            with open(unfinished, "rb+") as file:
                os.fsync(file.fileno())
        unfinished.replace(target)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise


def _new_file(target: Path) -> Path:
    """Make an empty neighbour of a file, with a name that nobody can guess: others may write to the same folder.

    What is there under that name, a link to a file of somebody else above all, is never opened.
    """
    beginning = os.fsencode(f".{target.name}")[:LONGEST_BEGINNING].decode(errors="ignore")
    while True:
        path = target.with_name(f"{beginning}.{secrets.token_hex(8)}")
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            return path


def write_text(path: str | Path, text: str, durable: bool = False) -> None:
    """Write a text as UTF-8; see `whole_file`."""
    write_bytes(path, text.encode(), durable)


def write_bytes(path: str | Path, content: bytes, durable: bool = False) -> None:
    """Write bytes; see `whole_file`."""
    with whole_file(path, durable) as unfinished:
        unfinished.write_bytes(content)


def write_table(path: str | Path, notes: Iterable[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write comma-separated values.

    Parameters
    ----------
    path : str or Path
        See `whole_file`.
    notes : iterable of str
        What must be said, each in a line of its own that begins with ``#``, before the rows.
    rows : iterable of sequence
        The header first.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    with whole_file(path) as unfinished, open(unfinished, "w", newline="", encoding="utf-8") as file:
        file.writelines(f"# {note}\n" for note in notes)
        csv.writer(file).writerows(rows)
