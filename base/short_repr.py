"""What an object shows of itself, as in a notebook: sizes of arrays, and not their numbers."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from textwrap import TextWrapper
from typing import Any

MOST = 6  # of a sequence of numbers or names that is shown whole
LONGEST = 120  # characters of anything else
WIDTH = 100  # characters of a line


def short_repr(own: Any, names: Sequence[str] = ()) -> str:
    """Class and attributes of an object on one line, with arrays by their shapes.

    Parameters
    ----------
    own : object
        A dataclass, or anything else together with `names`.
    names : sequence of str
        Attributes to show; by default the fields of the dataclass that its own ``repr`` would show.

    Returns
    -------
    str
        As ``TensorHead(order=0, offset=array(2), …)``.
    """
    if not names and is_dataclass(own):
        names = [field.name for field in fields(own) if field.repr]
    return f"{type(own).__name__}({', '.join(f'{name}={shortened(getattr(own, name))}' for name in names)})"


def shortened(value: Any) -> str:
    """A value on one line, whatever it holds."""
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape:
        return f"array({' × '.join(map(str, shape))})"
    if isinstance(value, Mapping):
        return f"{{{', '.join(map(str, list(value)[:MOST]))}{', …' if len(value) > MOST else ''}}}"
    if isinstance(value, (tuple, list)):
        is_plain = len(value) <= MOST and all(isinstance(one, (str, int, float)) for one in value)
        return repr(value) if is_plain else f"{type(value).__name__} of {len(value)}"
    text = " ".join(repr(value).split())
    return text if len(text) <= LONGEST else reprlib.repr(value)


def first_line(own: Any) -> str:
    """The first line of what an object shows, for a list of parts."""
    return repr(own).partition("\n")[0]


def with_lines(title: str, lines: Mapping[str, str]) -> str:
    """A title, and below it, indented, each of several items that are not empty."""
    indented = TextWrapper(WIDTH, initial_indent="  ", subsequent_indent="      ", break_on_hyphens=False)
    items = [f"{name}: {text}" for name, text in lines.items() if text]
    return "\n".join([title, *(line for item in items for line in indented.wrap(item))])
