"""``beadwise shim``: the path of what i-PI loads."""

from __future__ import annotations

import click


@click.command()
def shim() -> None:
    """Print the path of the file through which i-PI calls beadwise in its own process.

    It is the <pes_path> of <ffdirect> with <pes>custom</pes>, and what `i-pi-driver-py -m custom -P` takes.
    """
    from ..launch.shipped_inputs import SHIM

    click.echo(SHIM)
