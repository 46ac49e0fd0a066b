"""Options of what a copy of a shipped input is changed in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from ..options import POSITIVE, parse_finite
from .given_options import OptionOfCopy

Command = TypeVar("Command", bound=Callable[..., Any])

OPTIONS = (
    click.option(
        "--steps",
        cls=OptionOfCopy,
        type=click.IntRange(min=1),
        metavar="N",
        help="Steps of a shipped input  [default: its own].",
    ),
    click.option(
        "--beads",
        cls=OptionOfCopy,
        type=click.IntRange(min=1),
        metavar="N",
        help="Beads of a shipped input  [default: its own].",
    ),
    click.option(
        "--temperature",
        cls=OptionOfCopy,
        type=POSITIVE,
        callback=parse_finite,
        metavar="K",
        help="Temperature of a shipped input in K, also where PLUMED is told it  [default: its own].",
    ),
)


def copy_options(command: Command) -> Command:
    """Add these options to a command, which makes `Changes` of them."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command
