"""Frames as sets: their species, and a part that is set aside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

import numpy as np

from .frame import Frame
from .label import DataError

Item = TypeVar("Item")


def species_of(frames: Iterable[Frame]) -> tuple[int, ...]:
    """Atomic numbers that occur in any of the frames, ascending."""
    return tuple(sorted({int(number) for frame in frames for number in frame.atoms.numbers}))


def split(items: Sequence[Item], fraction: float, seed: int = 0) -> tuple[list[Item], list[Item]]:
    """Set aside a random part, the same for the same seed.

    Parameters
    ----------
    items : sequence
        Frames, or anything else.
    fraction : float
        Of the items to set aside, from 0 to less than 1; rounded to a whole number of them.
    seed : int
        Of the random choice.

    Returns
    -------
    remaining, aside : list
        Each in the order of ``items``.

    Raises
    ------
    DataError
        If the fraction is not allowed, or would leave nothing.
    """
    if not 0 <= fraction < 1:
        raise DataError(f"fraction to set aside is {fraction}; allowed is 0 to less than 1")
    count = round(fraction * len(items))
    if count == len(items):
        raise DataError(f"setting aside {fraction} of {len(items)} frames leaves none")
    chosen = set(np.random.default_rng(seed).permutation(len(items))[:count].tolist())
    remaining = [item for place, item in enumerate(items) if place not in chosen]
    return remaining, [item for place, item in enumerate(items) if place in chosen]
