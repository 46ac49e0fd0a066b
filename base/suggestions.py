"""What somebody may have meant by a name that does not exist."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """End of a message about an unknown name.

    Parameters
    ----------
    name : str
    names : iterable of str
        Those that exist.

    Returns
    -------
    str
        ``; did you mean 'water' or 'water_short'?``, with the nearest first; empty where none is near.
    """
    nearest = [f"'{one}'" for one in get_close_matches(name, dict.fromkeys(names))]
    return f"; did you mean {' or '.join(nearest)}?" if nearest else ""
