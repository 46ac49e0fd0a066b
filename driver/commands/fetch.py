"""``beadwise fetch``: public data onto this machine."""

from __future__ import annotations

from pathlib import Path

import click

from .options import PATH, number


@click.command()
@click.argument("name", required=False)
@click.argument("folder", required=False, type=PATH)
@click.option(
    "--registry",
    type=PATH,
    metavar="FILE.toml",
    help="File of names, addresses and checksums in place of the one that ships.",
)
@number("--patience", unit="S", default=30.0, text="Time in s that the other side may be silent.")
def fetch(name: str | None, folder: Path | None, registry: Path | None, patience: float) -> None:
    """Bring a public set of data onto this machine.

    NAME is a set of the registry; without it all are listed.  Its files are put into FOLDER, by default one called
    after the set, with a note of their origin, licence and citation.  Each must have the size and the SHA-256 that the
    registry says, or nothing is kept.  Files that are there already are checked and not fetched again.
    """
    from ...learning.data.public_sets import REGISTRY, public_set, public_sets

    path = registry or REGISTRY
    if name is None:
        for known in public_sets(path).values():
            size = sum(file.size for file in known.files) / 1e6
            click.echo(f"{known.name}: {known.title} ({len(known.files)} files, {size:.1f} MB)")
        return
    from ...learning.data.download import fetch as fetch_set
    from ..launch.stages import Stages

    data = public_set(name, path)
    folder = folder or Path(data.folder)
    with Stages() as stages:
        paths = fetch_set(data, folder, stages, patience)
    for file, there in zip(data.files, paths, strict=True):
        click.echo(f"{there}: {file.credit().partition(': ')[2]}")
    if data.next:
        click.echo(f"next: {data.next}")
