"""``beadwise inspect``: what a model file says of itself."""

from __future__ import annotations

import json

import click
from rich.console import Console

from ...model.description import describe_model, listing


@click.command()
@click.argument("model")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a listing.")
def inspect(model: str, as_json: bool) -> None:
    """Say what a model file says of itself.

    MODEL is a model file or the name of a shipped model.
    """
    description = describe_model(model)
    if as_json:
        click.echo(json.dumps(description, indent=2, ensure_ascii=False))
    else:
        Console().print(listing(description))
