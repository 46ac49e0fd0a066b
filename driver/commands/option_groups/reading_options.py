"""Options that say how the labels in files of others are read, as `[data]` of a fit does."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from ....learning.data import Reading

Command = TypeVar("Command", bound=Callable[..., Any])


def parse_table(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """Split ``LABEL=TEXT``, each label once."""
    table: dict[str, str] = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not equals or not name or not text or name in table:
            raise click.BadParameter(f"'{value}'; LABEL=… is needed, each label once")
        table[name] = text
    return table


OPTIONS = (
    click.option(
        "--key",
        "keys",
        multiple=True,
        callback=parse_table,
        metavar="LABEL=NAME",
        help="Under which name a label stands in the files, as energy=REF_energy; may be repeated.",
    ),
    click.option(
        "--unit",
        "units",
        multiple=True,
        callback=parse_table,
        metavar="LABEL=UNIT",
        help="Unit of a label in the files, as dipole=debye or stress=-kbar (the sign turned); may be repeated.",
    ),
    click.option(
        "--order",
        "orders",
        multiple=True,
        callback=parse_table,
        metavar="LABEL=ORDER",
        help="Order of a tensor's numbers, as 'polarizability=xx yy zz xy yz zx'; may be repeated.",
    ),
    click.option("--nan-is-missing", is_flag=True, help="Take a label of NaN for one that is not there."),
    click.option("--charge", type=float, metavar="E", help="Total charge of each frame that does not say its own."),
    click.option(
        "--dipole-origin",
        default="",
        metavar="ORIGIN",
        help="What dipoles of charged frames are about, coordinates or centre_of_mass.",
    ),
    click.option(
        "--dipole-quantum",
        default="",
        metavar="QUANTUM",
        help="What dipoles are known up to, lattice or none; without it, the files tell.",
    ),
    click.option(
        "--species",
        default="",
        metavar="FORMULA",
        help="Elements in files of arrays (.npz) that do not say them, as OHH, repeated for all atoms.",
    ),
)


def reading_options(command: Command) -> Command:
    """Add these options to a command, which hands them to `reading_of`."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def reading_of(keys: dict[str, str], units: dict[str, str], orders: dict[str, str], **others: Any) -> Reading:
    """What the options say.

    Raises
    ------
    DataError
        If a label, a unit or an order is not known.
    """
    from ....learning.data import Reading

    return Reading(keys, units, orders, **others)
