"""``beadwise inspect``: what a model file says of itself."""

from __future__ import annotations

from pathlib import Path

import click

from .findings import Findings
from .options import json_option, trust_option


@click.command()
@click.argument("model")
@json_option
@trust_option
def inspect(model: str, json_file: Path | None) -> None:
    """Say what a model file says of itself.

    MODEL is a model file, a mixture, a file of another package as mace:FILE, or the name of a shipped model.
    """
    from ...model.description import describe_model, listing

    findings = Findings(json_file)
    description = describe_model(model)
    findings.show(listing(description))
    findings.numbers(description)
