"""What a command says when it cannot go on, and of what it goes on with in doubt."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from ...errors import StructureWarning


def fail(message: str, status: int) -> None:
    """Print an error in one line and exit."""
    from ...reading import printable  # only where something fails

    click.echo(f"Error: {printable(' '.join(message.split()))}", err=True)
    sys.exit(status)


@contextmanager
def warnings_in_one_line() -> Iterator[None]:
    """Print our own warnings as one line on standard error, without the place in the code that they come from."""
    with warnings.catch_warnings():
        ordinary = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any, **options: Any) -> None:
            if issubclass(category, StructureWarning):
                click.echo(f"warning: {' '.join(str(message).split())}", err=True)
            else:
                ordinary(message, category, *place, **options)

        warnings.showwarning = show
        yield
