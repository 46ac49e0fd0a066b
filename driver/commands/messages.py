"""What a command says when it cannot go on."""

from __future__ import annotations

import sys

import click


def fail(message: str, status: int) -> None:
    """Print an error in one line and exit."""
    click.echo(f"Error: {' '.join(message.split())}", err=True)
    sys.exit(status)
