"""Which extras of i-PI make series, how many numbers they have in a row, and what shape these get."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from ...properties.quantities import Property, properties, table_of_registry
from ...quantity import OPEN

SERIES = (  # kinds of properties
    "value", "molecular", "screened", "position", "members", "switch", "orbitals", "electronic",
)  # fmt: skip
PLURALS = {
    "atom": "atoms", "molecule": "molecules", "orbital": "orbitals", "orbital pair": "pairs of orbitals",
    "function": "functions", "members": "members",
}  # fmt: skip
OF_FFCOMMITTEE = "committee_"  # what an <ffcommittee> puts before every key that it does not make itself


@dataclass(frozen=True)
class SeriesKind:
    """One series of numbers among the extras.

    Parameters
    ----------
    name : str
        Of the property.
    key : str
        In the extras that beadwise sends.
    repeated : str
        What there is one of for each ``atom``, ``molecule``, ``orbital`` or one of the ``members``, or ``values`` where
        each model has its own number; empty for the cell.  Of members and atoms, or members and such values, one member
        after the other, how many of both is written nowhere.
    sample : tuple of int
        Shape of one of them.
    """

    name: str
    key: str
    repeated: str
    sample: tuple[int, ...]

    @property
    def size(self) -> int:
        """Numbers of one of them."""
        return prod(self.sample)

    @property
    def counted(self) -> str:
        """What there is a number of, for people; empty for the cell.  Series of the same have as many."""
        if self.repeated == "values":
            return f"values of {self.key}"
        if self.repeated == "members" and properties()[self.name].per != "cell":
            return f"members of {PLURALS[properties()[self.name].per]}"
        return PLURALS[self.repeated] if self.repeated else ""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a record; −1 stands for how many there are."""
        return (-1, *self.sample) if self.repeated else self.sample


def _kind(one: Property) -> SeriesKind | None:
    """The series that a property makes; None if it makes none."""
    is_of_forces = one.of in ("forces", "virial")  # rows of matrices, which i-PI does not write beside others
    if not one.key or is_of_forces or one.kind not in SERIES:
        return None
    if one.shape == (OPEN,):
        return SeriesKind(one.name, one.key, "values", ())
    repeated = "members" if one.kind == "members" else "" if one.per == "cell" else one.per
    return SeriesKind(one.name, one.key, repeated, one.shape)


@table_of_registry
def series_kinds() -> Mapping[str, SeriesKind]:
    """All series by the name of their property."""
    return {kind.name: kind for one in properties().values() if (kind := _kind(one)) is not None}


@table_of_registry
def series_of_extras() -> Mapping[str, str]:
    """Name of the series by i-PI's name of the extra; so i-PI's committee_dipole, of an <ffcommittee>, is the mean."""
    own = {kind.key: name for name, kind in series_kinds().items()}
    return own | {OF_FFCOMMITTEE + key: name for key, name in own.items() if not key.startswith(OF_FFCOMMITTEE)}


@table_of_registry
def passed_over() -> Mapping[str, int]:
    """Extras of the cell that make no series but may stand beside them, and how many numbers each has."""
    alarms = {
        one.key: prod(one.shape)
        for one in properties().values()
        if one.kind in ("uncertainty", "alarm") and one.per == "cell" and one.key and one.shape != (OPEN,)
    }
    return {"committee_uncertainty": 1, **alarms, **{OF_FFCOMMITTEE + name: size for name, size in alarms.items()}}
