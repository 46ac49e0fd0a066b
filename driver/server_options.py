"""Options of the command line that `serve` and `run` share."""

from __future__ import annotations

import math

import click

from ..model import PROPERTIES


def parse_want(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    """Split ``energy,forces`` and refuse unknown names."""
    if value is None:
        return None
    names = tuple(name.strip() for name in value.split(",") if name.strip())
    unknown = [name for name in names if name not in PROPERTIES]
    if unknown or not names:
        raise click.BadParameter(f"'{''.join(unknown[:1])}' is no property; allowed are {','.join(PROPERTIES)}")
    return names


def parse_field(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[float, float, float] | None:
    """Split ``EX,EY,EZ``."""
    if value is None:
        return None
    try:
        x, y, z = (float(component) for component in value.split(","))
    except ValueError:
        raise click.BadParameter(f"'{value}' is no electric field; allowed is EX,EY,EZ in V/Å") from None
    if not all(map(math.isfinite, (x, y, z))):
        raise click.BadParameter(f"'{value}' is not finite; allowed is EX,EY,EZ in V/Å")
    return x, y, z


want_option = click.option(
    "--want", callback=parse_want, metavar="NAMES", help=f"Properties, comma separated, of {', '.join(PROPERTIES)}."
)
threads_option = click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="Threads of each server; by default 1 for serve, and all cores for run.",
)
field_option = click.option(
    "--field",
    "electric_field",
    callback=parse_field,
    metavar="EX,EY,EZ",
    help="Static electric field in V/Å that energy, forces and virial are served in.",
)
