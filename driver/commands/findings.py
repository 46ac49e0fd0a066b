"""Where a command puts what it found: text for people on standard output, numbers for programs in a file or there."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import RenderableType

STANDARD_OUTPUT = Path("-")
NARROWEST = 100  # columns of tables where the output is no terminal


class Findings:
    """What a command prints and what it writes as JSON.

    Parameters
    ----------
    json_file : Path or None
        What ``--json`` was given; with ``-`` the numbers are all that goes to standard output.
    """

    def __init__(self, json_file: Path | None):
        self._json_file = json_file

    def say(self, lines: Iterable[object]) -> None:
        """Print lines."""
        for line in lines:
            if self._json_file != STANDARD_OUTPUT:
                click.echo(line)

    def show(self, *tables: RenderableType) -> None:
        """Print tables of rich."""
        from ..launch.stages import new_console

        if self._json_file == STANDARD_OUTPUT:
            return
        console = new_console(highlight=False)
        if not console.is_terminal:
            console = new_console(width=max(console.width, NARROWEST), highlight=False)
        for table in tables:
            console.print(table)

    def numbers(self, content: Any) -> None:
        """Write the numbers as JSON where they are asked for; see `beadwise.json_text.json_text`.

        Raises
        ------
        click.BadParameter
            If the file cannot be written.
        """
        from ...json_text import json_text
        from ...whole_files import write_text

        if self._json_file is None:
            return
        text = json_text(content)
        if self._json_file == STANDARD_OUTPUT:
            click.echo(text)
            return
        try:
            write_text(self._json_file, text + "\n")
        except OSError as error:
            raise click.BadParameter(f"cannot write '{self._json_file}': {error.strerror}") from error
