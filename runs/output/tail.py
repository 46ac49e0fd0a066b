"""What is new at the end of a text file that grows."""

from __future__ import annotations

from pathlib import Path


class Tail:
    """Complete new lines of a growing file, which may not exist yet or be replaced by a new one.

    Parameters
    ----------
    path : Path
        The file.
    start : int, optional
        Position to start from; by default the end, so that what it holds already is not read.
    """

    def __init__(self, path: Path, start: int | None = None):
        self._path = path
        self._inode, size = (path.stat().st_ino, path.stat().st_size) if path.exists() else (0, 0)
        self._position = size if start is None else start
        self._rest = ""

    def new_lines(self) -> list[str]:
        """Lines that were completed since the last call."""
        try:
            with open(self._path, errors="replace") as file:
                self._rewind_if_replaced()
                file.seek(self._position)
                text = self._rest + file.read()
                self._position = file.tell()
        except FileNotFoundError:
            return []
        *lines, self._rest = text.split("\n")
        return lines

    def _rewind_if_replaced(self) -> None:
        status = self._path.stat()
        if status.st_ino != self._inode or status.st_size < self._position:
            self._inode, self._position, self._rest = status.st_ino, 0, ""
