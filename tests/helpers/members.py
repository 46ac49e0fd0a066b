"""Springs that disagree a little, as the members of a committee do: what ``members:NAME`` of the command line is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from beadwise.model import Batch, Response
from springs import Springs


class Member(Springs):
    """Springs `stiffness` times as strong, from which a constant energy in eV is taken, and other charges."""

    def __init__(self, stiffness: float, shift: float, charge: float):
        self.factors = {name: stiffness for name in ("energy", "forces", "virial")}
        self.factors |= {name: charge for name in ("dipole", "polarizability", "born_charges")}
        self.shift = shift
        self.wants: list[tuple[str, ...]] = []

    def evaluate(self, batch: Batch, want: Sequence[str]) -> Response:
        self.wants.append(tuple(want))
        response = super().evaluate(batch, want)
        arrays = {name: self.factors.get(name, 1.0) * response[name] for name in want}
        if "energy" in arrays:
            arrays["energy"] = arrays["energy"] - self.shift
        return Response(**{name: np.array(values) for name, values in arrays.items()})


FOUR = {
    "first": (0.96, 0.3, 0.9),
    "second": (1.0, 0.1, 1.0),
    "third": (1.03, -0.2, 1.05),
    "fourth": (1.05, 0.0, 1.2),
}


def first() -> Member:
    return Member(*FOUR["first"])


def second() -> Member:
    return Member(*FOUR["second"])


def third() -> Member:
    return Member(*FOUR["third"])


def fourth() -> Member:
    return Member(*FOUR["fourth"])


def baseline() -> Member:
    return Member(0.7, 0.5, 0.5)


def four() -> list[Member]:
    return [Member(*settings) for settings in FOUR.values()]
