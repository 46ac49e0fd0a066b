"""``beadwise learn``: a model that chooses what it learns from."""

from __future__ import annotations

from pathlib import Path

import click

from .options import PATH, track_option, trust_option


@click.command()
@click.argument("configuration", type=PATH, metavar="CONFIG.toml")
@click.option(
    "--compare",
    "others",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="FOLDER",
    help="Folder of another loop, drawn beside this one in the report; may be repeated.",
)
@track_option
@trust_option
def learn(configuration: Path, others: tuple[Path, ...], trackers: tuple[str, ...]) -> None:
    """Let a model choose what it learns from.

    CONFIG.toml names frames to start with, how to fit, i-PI inputs to explore, a reference that labels, and when to
    stop; paths in it are relative to it.  Each round fits a model with members, runs the inputs with it, keeps what it
    is unsure of, labels a part of that, and goes on.  Started again with the same file, the loop goes on where it was,
    whatever ended it.  What happens is told in log.jsonl of the folder, one JSON object per line.
    """
    from ..launch.learn import learn as launch

    launch(configuration, others, trackers)
