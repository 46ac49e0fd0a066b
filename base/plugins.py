"""What other packages add under entry points: found by name, and imported only when it is asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from functools import cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from typing import TypeVar

from .errors import PluginError

Kind = TypeVar("Kind")


@cache
def _selection(path: tuple[str, ...]) -> Callable[..., EntryPoints]:
    """What selects from all entry points on a path, found once, as every package of the environment is looked into."""
    return entry_points().select


def plugins(group: str, ours: Collection[str] = ()) -> dict[str, EntryPoint]:
    """What other packages add to a group, by name; none of it is imported.

    Parameters
    ----------
    group : str
        Of entry points, ``beadwise.commands``.
    ours : collection of str
        Names that are taken: nothing of another package takes the place of one of ours.

    Returns
    -------
    dict of str to EntryPoint
        Where two packages have the same name, that which Python finds first.
    """
    found: dict[str, EntryPoint] = {}
    for point in _selection(tuple(sys.path))(group=group):
        if point.name not in ours:
            found.setdefault(point.name, point)
    return found


def load_plugin(point: EntryPoint, kind: type[Kind], what: str) -> Kind:
    """Import what another package adds.

    Parameters
    ----------
    point : EntryPoint
    kind : type
        What it must be.
    what : str
        What messages call it, ``command``.

    Raises
    ------
    PluginError
        If it cannot be imported, or is something else.
    """
    try:
        found = point.load()
    except Exception as error:  # whatever the other package raises while it is imported
        raise PluginError(f"the {what} '{point.name}' of {point.value} cannot be imported: {error}") from error
    if not isinstance(found, kind):
        raise PluginError(
            f"the {what} '{point.name}' of {point.value} is {type(found).__name__}; it must be {kind.__name__}"
        )
    return found
