"""``beadwise schema``: what a configuration may say, for editors and other programs."""

from __future__ import annotations

import json

import click


@click.command()
@click.argument("command", type=click.Choice(["fit", "learn"]), metavar="COMMAND")
def schema(command: str) -> None:
    """Print the JSON Schema of the configurations of a command.

    COMMAND is fit or learn.  Editors that know the schema complete keys, explain them, and mark what is wrong: write it
    to a file, and name that in the first line of the configuration, as "#:schema ./fit.schema.json".  It has the
    sections of all quantities that are installed here.
    """
    from ...learning.fitting.configuration import fit_schema
    from ...learning.loop.configuration import learn_schema
    from ...schema import for_editors

    own = {"fit": fit_schema, "learn": learn_schema}[command]()
    click.echo(json.dumps(for_editors(own, f"beadwise {command}"), indent=2, ensure_ascii=False))
