"""Read the extras that i-PI wrote for every bead: of a finished run, of one that goes on, of one that was killed.

i-PI writes a record for each sample: a header with the step, then the numbers; those of one force component
(``extras_component_raw``) with a row for each bead, of all extras side by side, and no word of how many (several
scalars are one line, extra by extra); those of a bias (``extras_bias``), which PLUMED hands over, one number each.  A
killed i-PI may leave half a record, and the RESTART may lie steps before the last record; the run that continues
appends to the files.  Where records go back in step, the later ones count, and half a record never does.
"""

from __future__ import annotations

import mmap
import os
import re
from pathlib import Path

import numpy as np

from ...errors import SeriesError
from ...reading import reason, whole_number
from .alignment import that_count
from .compressed import uncompressed
from .series import passed_over, series_kinds, series_of_extras

# without "#" inside, or half a header that a killed i-PI left would swallow the one appended to it
HEADER = re.compile(rb"#EXTRAS(?P<kind>_COMPONENT_RAW|_BIAS)?\((?P<names>[^()#\n]*)\)# +Step: +(?P<step>\d+)[^#\n]*\n")
COMPONENT, BIAS = b"_COMPONENT_RAW", b"_BIAS"
CHUNK = 1 << 23  # bytes read at a time, so that memory stays bounded


class BeadFile:
    """The extras of one bead, or the means over all beads of a force component, read as the file grows.

    Parameters
    ----------
    path : Path
        It need not exist yet.
    last_step : int, optional
        What the file holds already beyond this step does not count: a run is about to continue from there.

    Raises
    ------
    SeriesError
        If it cannot be read.
    """

    def __init__(self, path: Path, last_step: int | None = None):
        self.path = path
        self.names: tuple[str, ...] = ()
        self.beads = 1  # known after the first record
        self._by_extra = False  # i-PI puts scalars of several beads into one line, extra by extra
        self._position = 0
        self._rest = b""
        self._numbers = 0
        self._headers = 0
        self._counts = records_that_count(path, last_step)

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """Read the next records, some at a time; none if there is nothing new.

        Returns
        -------
        steps : ndarray of int64, shape (records,)
        rows : ndarray of float64, shape (records, numbers)
            Means over the beads of a record.
        """
        while True:
            text = self._next_chunk()
            steps, rows = self._parse(self._rest + text)
            if len(steps) or len(text) < CHUNK:
                return steps, rows

    def _next_chunk(self) -> bytes:
        try:
            with open(uncompressed(self.path), "rb") as file:
                file.seek(self._position)
                text = file.read(CHUNK)
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise SeriesError(f"cannot read '{self.path}': {error.strerror}") from error
        self._position += len(text)
        return text

    def _parse(self, text: bytes) -> tuple[np.ndarray, np.ndarray]:
        """Complete records of a text; an incomplete one at its end is kept for the next time."""
        headers = list(HEADER.finditer(text))
        if not headers:
            self._rest = text
            return np.zeros(0, dtype=np.int64), np.zeros((0, self._numbers // self.beads))
        ends = [*(header.start() for header in headers[1:]), len(text)]
        bodies = [_whole_lines(text[header.end() : end]) for header, end in zip(headers, ends, strict=True)]
        count = [self._does_count(self._headers + index) for index in range(len(headers))]
        if not self._numbers:
            followed = [body for body, counts in zip(bodies[:-1], count, strict=False) if counts]
            self._learn_format(headers[0], followed)
        if self._is_complete(bodies[-1]):
            self._rest = text[headers[-1].end() + len(bodies[-1]) :]
        else:
            self._rest = text[headers[-1].start() :]
            headers.pop(), bodies.pop(), count.pop()
        self._headers += len(headers)
        records = zip(headers, bodies, count, strict=True)
        kept = [(header, body) for header, body, counts in records if counts and self._is_complete(body)]
        steps = np.array([step_of(header["step"], self.path) for header, _ in kept], dtype=np.int64)
        return steps, self._rows([body for _, body in kept])

    def _does_count(self, header: int) -> bool:
        return header >= len(self._counts) or bool(self._counts[header])

    def _learn_format(self, header: re.Match[bytes], bodies: list[bytes]) -> None:
        """Learn how many numbers make a record, from records that are followed by another one.

        Only what follows tells that a record is whole: it may have rows for any number of beads, and other drivers than
        ours may write it in several lines.
        """
        self.names = tuple(name.strip() for name in header["names"].decode(errors="replace").split(","))
        if header["kind"] == BIAS:
            self._numbers = len(self.names)
            return
        check_names(self.names)
        size = _size_of_the_cell(self.names)
        if size and header["kind"] != COMPONENT:
            self._numbers = size
            return
        first = next((body for body in bodies if body), b"")
        self._numbers = len(first.split())
        if self._numbers and header["kind"] == COMPONENT:
            lines = first.count(b"\n")
            self.beads, left = divmod(self._numbers, size or self._numbers // lines)
            self._by_extra = lines == 1 and self.beads > 1 and size == len(self.names)
            if left or not self.beads:
                raise SeriesError(
                    f"'{self.path}' holds a record of {self._numbers} numbers in {lines} lines; "
                    f"rows of {', '.join(self.names)}, one for each bead, are needed"
                )

    def _is_complete(self, body: bytes) -> bool:
        return 0 < self._numbers <= len(body.split())

    def _rows(self, bodies: list[bytes]) -> np.ndarray:
        words = b" ".join(bodies).split()
        try:
            numbers = np.array(words, dtype=np.float64)
            size = self._numbers // self.beads
            if self._by_extra:
                return numbers.reshape(len(bodies), size, self.beads).mean(axis=2)
            return numbers.reshape(len(bodies), self.beads, size).mean(axis=1)
        except ValueError:
            raise SeriesError(f"'{self.path}' holds a record that is not {self._numbers} numbers") from None


def _whole_lines(body: bytes) -> bytes:
    """What follows a header, without half a line that a killed i-PI left or that i-PI has not finished."""
    return body[: body.rfind(b"\n") + 1]


def records_that_count(path: Path, last_step: int | None = None) -> np.ndarray:
    """Tell which of the records in a file are not superseded by later ones.

    Parameters
    ----------
    path : Path
        It need not exist.
    last_step : int, optional
        Records beyond it are about to be superseded.

    Returns
    -------
    ndarray of bool, shape (headers,)

    Raises
    ------
    SeriesError
        If it cannot be read.
    """
    try:
        path = uncompressed(path)
        if not os.path.exists(path) or not path.stat().st_size:
            return np.zeros(0, dtype=bool)
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            words = [header["step"] for header in HEADER.finditer(text)]
    except OSError as error:
        raise SeriesError(f"cannot read '{path}': {error.strerror}") from error
    return that_count(np.array([step_of(word, path) for word in words], dtype=np.float64), last_step)


def step_of(word: bytes, path: Path) -> int:
    """The step in a header.

    Raises
    ------
    SeriesError
        If it has more digits than a step can have.
    """
    try:
        return whole_number(word.decode())
    except ValueError as error:
        raise SeriesError(f"'{path}' has a step that is no step: {reason(error)}") from error


def check_names(names: tuple[str, ...]) -> None:
    """Raise SeriesError if extras are not among those that make series, or two of them are the same series."""
    known = series_of_extras()
    series = [known[name] for name in names if name in known]
    unknown = [name for name in names if name not in known and name not in passed_over()]
    if unknown or not series:
        wrong = unknown[0] if unknown else ", ".join(names)
        made = "unknown" if unknown else "no series"
        raise SeriesError(f"extras '{wrong}' are {made}; allowed are {', '.join(known)}")
    twice = next((name for name in series if series.count(name) > 1), None)
    if twice is not None:
        alike = " and ".join(name for name in names if known.get(name) == twice)
        raise SeriesError(f"extras hold {alike}, which are the same; give one of them")
    counted = sorted({kind.counted for name in series if (kind := series_kinds()[name]).repeated})
    if len(counted) > 1:
        both = " and ".join(counted)
        raise SeriesError(
            f"extras '{', '.join(names)}' hold both {both}, and do not say how many of each; "
            f"a <trajectory> of its own is needed for the {counted[0]}"
        )


def _size_of_the_cell(names: tuple[str, ...]) -> int:
    """How many numbers make a row, of extras for which that is known beforehand; otherwise 0."""
    sizes = [_fixed_size(name) for name in names]
    return sum(sizes) if all(sizes) else 0


def _fixed_size(name: str) -> int:
    """Numbers of an extra of i-PI's name that are the same in every row; 0 where it depends on how many there are."""
    if name in passed_over():
        return passed_over()[name]
    kind = series_kinds()[series_of_extras()[name]]
    return 0 if kind.repeated else kind.size


def columns_of(names: tuple[str, ...], numbers: int, also_passed_over: bool = False) -> dict[str, slice]:
    """Columns of each kind of extras in a row; how many molecules or members there are follows from its length.

    Parameters
    ----------
    names : tuple of str
        As i-PI writes them.
    numbers : int
        In a row.
    also_passed_over : bool
        Whether those that are no series are wanted, too.

    Returns
    -------
    dict of str to slice
        By i-PI's name; otherwise without those that are no series, such as ``envelope_distance``.

    Raises
    ------
    SeriesError
        If a name is unknown, or the numbers do not fit.
    """
    check_names(names)
    known = series_of_extras()
    fixed = [_fixed_size(name) for name in names]
    repeated = [0 if size else series_kinds()[known[name]].size for name, size in zip(names, fixed, strict=True)]
    count, left = divmod(numbers - sum(fixed), sum(repeated)) if any(repeated) else (0, numbers - sum(fixed))
    if left or (any(repeated) and count < 1):
        raise SeriesError(f"{numbers} numbers in a row are no {', '.join(names)}")
    sizes = [own + count * each for own, each in zip(fixed, repeated, strict=True)]
    ends = np.cumsum(sizes).tolist()
    columns = {name: slice(end - size, end) for name, size, end in zip(names, sizes, ends, strict=True)}
    return {name: columns[name] for name in names if also_passed_over or name in known}
