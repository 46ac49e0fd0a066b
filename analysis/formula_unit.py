"""The smallest formula of the atoms of a crystal or a liquid, which results are told for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import reduce
from math import gcd


def formula_unit(labels: Sequence[str]) -> tuple[str, int]:
    """The smallest formula that the atoms are a multiple of, ``H2O``, and how many of them there are."""
    counts = Counter(labels)
    units = reduce(gcd, counts.values())
    return "".join(
        f"{label}{count // units if count > units else ''}" for label, count in sorted(counts.items())
    ), units
