"""Reading what others have written: whatever a library says of a content becomes one error of ours, in one line.

A file may hold anything: numbers of a thousand digits, lists within lists without end, bytes that are no text.  The
libraries that read it raise what they stumble over; a reader puts `refusing` around them, and around nothing else.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import BeadwiseError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CONTENT = (
    OSError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, SyntaxError, EOFError,
    RecursionError, MemoryError, StopIteration,
)  # fmt: skip
DEEPEST = 40  # lists and tables within each other: no file of ours has ten
LONGEST_REASON = 200  # characters
LARGEST = 2**63  # whole numbers are below it, as those of NumPy


@contextmanager
def refusing(kind: type[BeadwiseError], what: str) -> Iterator[None]:
    """Turn what libraries raise over a content into one error.

    Parameters
    ----------
    kind : type of BeadwiseError
        What is raised instead; a BeadwiseError passes as it is.
    what : str
        What cannot be done, ``cannot read 'file'``; the reason follows after a colon.
    """
    try:
        yield
    except BeadwiseError:
        raise
    except CONTENT as error:
        raise kind(f"{what}: {reason(error)}") from error


def reason(error: BaseException) -> str:
    """What an error says, in one line that is not too long."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    if isinstance(error, (RecursionError, MemoryError)):
        text = "too deep" if isinstance(error, RecursionError) else "too large"
    if isinstance(error, KeyError):
        text = f"it has no {text}"
    return shown(text) or type(error).__name__


def shown(value: object) -> str:
    """A value for a message: in one line, and cut where it is long."""
    text = printable(" ".join(str(value).split()))
    return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]}… ({len(text)} characters)"


def printable(text: str) -> str:
    """A text whose control characters are written out: a terminal obeys them, and anyone may have put them there."""
    return "".join(letter if letter.isprintable() or letter == "\n" else ascii(letter)[1:-1] for letter in text)


def whole_number(text: str) -> int:
    """Read a whole number that NumPy can hold.

    Raises
    ------
    ValueError
        If it is none, or has too many digits.
    """
    if len(text) > 40:
        raise ValueError(f"a number of {len(text)} digits")
    value = int(text)
    if not -LARGEST <= value < LARGEST:
        raise ValueError(f"{value} is not between -2^63 and 2^63")
    return value


def digest_of(path: Path) -> str:
    """SHA-256 of the content of a file, 64 hexadecimal digits."""
    with open(path, "rb") as file:
        content = hashlib.sha256()
        while piece := file.read(1 << 20):
            content.update(piece)
    return content.hexdigest()


def json_of(text: str | bytes) -> Any:
    """Read JSON that is not too deep for what looks through it afterwards.

    Raises
    ------
    ValueError
        If it is no JSON, or too deep.
    """
    return checked(json.loads(text))


def toml_of(path: Path) -> dict[str, Any]:
    """Read a TOML file; raises whatever `refusing` knows."""
    content = checked(tomllib.loads(path.read_text(encoding="utf-8")))
    assert isinstance(content, dict)
    return content


def checked(content: Any) -> Any:
    """Give back nested lists and dictionaries, unless they are too deep or a whole number is too large for NumPy.

    Raises
    ------
    ValueError
        If they are.
    """
    level: list[Any] = [content]
    for _ in range(DEEPEST):
        for value in level:
            if isinstance(value, int) and not -LARGEST <= value < LARGEST:
                digits = value.bit_length() * 0.30103
                raise ValueError(f"a whole number of {digits:.0f} digits; it must be below 2^63")
        level = [inner for value in level for inner in _inside(value)]
        if not level:
            return content
    raise ValueError(f"lists or tables within each other more than {DEEPEST} deep")


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
