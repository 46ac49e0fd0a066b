"""Files that were packed by gzip, bzip2 or xz, unpacked once for everybody who reads them."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import tempfile
import zlib
from functools import cache
from pathlib import Path
from typing import Any

from ...errors import SeriesError

OPENERS: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
SUFFIXES = frozenset({".gz", ".bz2", ".xz"})


def uncompressed(path: Path) -> Path:
    """Where the content of a file can be read: the file itself, or an unpacked copy that lasts as long as Python.

    Parameters
    ----------
    path : Path
        It need not exist; the first bytes tell whether it is packed.

    Raises
    ------
    SeriesError
        If it cannot be unpacked.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(max(map(len, OPENERS)))
        if not start.startswith(tuple(OPENERS)):
            return path
        status = path.stat()
    except OSError:  # who reads it says why it cannot be read
        return path
    return _unpacked(path.resolve(), status.st_mtime_ns, status.st_size)


def plain_name(path: Path) -> str:
    """Name of a file without the suffix of a program that packed it."""
    return path.name.removesuffix(path.suffix) if path.suffix.lower() in SUFFIXES else path.name


@cache
def _unpacked(path: Path, changed: int, size: int) -> Path:
    copy = Path(tempfile.mkstemp(dir=_folder().name)[1])
    try:
        with open(path, "rb") as file:
            start = file.read(max(map(len, OPENERS)))
        opener = next(opener for magic, opener in OPENERS.items() if start.startswith(magic))
        with opener(path, "rb") as packed, open(copy, "wb") as plain:
            shutil.copyfileobj(packed, plain)
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        copy.unlink(missing_ok=True)
        raise SeriesError(f"'{path}' cannot be unpacked: {error}") from error
    return copy


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="beadwise-")
