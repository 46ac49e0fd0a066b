"""How long a run may take: the option ``--walltime``."""

from __future__ import annotations

import re

import click

FORM = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)min)?(?:(\d+(?:\.\d+)?)s)?")
UNITS = (3600.0, 60.0, 1.0)
SHORTEST = 10.0  # s
SHARE, LEAST, MOST = 0.1, 3.0, 60.0  # of the time that i-PI gets to end, and s


def parse_walltime(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    """Seconds of ``1h30min``; refuses what has no unit, as batch systems disagree on what that would be."""
    if value is None:
        return None
    found = FORM.fullmatch(value.strip())
    if found is None or not any(found.groups()):
        raise click.BadParameter(
            f"'{value}' is no time; allowed are hours, minutes and seconds: 3h, 90min, 1h30min, 600s"
        )
    seconds = sum(float(number) * unit for number, unit in zip(found.groups(), UNITS, strict=True) if number)
    if seconds < SHORTEST:
        raise click.BadParameter(f"'{value}' is too short to start and stop i-PI; at least {SHORTEST:g}s are needed")
    return seconds


def time_to_stop(walltime: float) -> float:
    """When i-PI has to be stopped so that all has ended in time: RESTART is written, and pictures are drawn once more.

    Parameters
    ----------
    walltime : float
        In s, as what is returned.
    """
    return walltime - min(max(SHARE * walltime, LEAST), MOST)


walltime_option = click.option(
    "--walltime",
    callback=parse_walltime,
    metavar="TIME",
    help="Stop in time to have ended after TIME, as 3h, 90min, 1h30min or 600s: RESTART is written, the last line says "
    "how to go on, and the exit status is 3.",
)
