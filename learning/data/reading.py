"""How files of others are read: which entry is which label, in which unit and order, and what counts as missing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ...properties.unit_names import UnitError, in_own_units
from ...quantity import Unit
from ...suggestions import did_you_mean
from .label import VIRIAL, DataError, labels

WEIGHT, CHARGE, GROUP = "weight", "charge", "group"
# under which names they are looked for if nobody says so
USUAL = {WEIGHT: ("weight", "config_weight"), CHARGE: ("charge", "total_charge"), GROUP: ("config_type",)}
POSITIONS = "positions"
ORIGINS = ("coordinates", "centre_of_mass")
NO_QUANTUM, LATTICE = "none", "lattice"  # what dipoles are known up to
AXES = "xyz"


@dataclass(frozen=True)
class Reading:
    """What is said of the labels in files.

    Parameters
    ----------
    keys : mapping of str to str
        Name in the file by label, by ``virial``, or by ``weight``, ``charge`` and ``group``.
    units : mapping of str to str
        Name of the unit by label, by ``virial``, or by ``positions``, which stands for the cell as well; as
        `beadwise.properties.unit_names.in_own_units` takes it.  A minus in front turns the sign.
    orders : mapping of str to str
        Order of the numbers of a tensor by label, as ``xx yy zz xy yz zx`` for six or all nine in their order.
    nan_is_missing : bool
        Whether a label of NaN is one that is not there; it is refused otherwise.
    weights : mapping of str to float
        By group: what the rows of its frames count, besides their own weight.
    charge : float, optional
        Total charge in e of every frame that does not say its own.
    dipole_origin : str
        What dipoles of charged frames are about: ``coordinates``, their origin, or ``centre_of_mass``; empty if it is
        not known.
    dipole_quantum : str
        ``lattice``, if dipoles are known up to whole numbers of e times each lattice vector, ``none``, if they stand on
        one branch; empty if the files tell: by an entry ``dipole_quantum``, three vectors in the unit of the dipole, or
        by Born charges of a periodic frame.
    species : str
        Elements of the atoms in files of arrays that do not say them, as ``OHH``, repeated for all atoms.

    Raises
    ------
    DataError
        If a name, a unit or an order is not known.
    """

    keys: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    orders: Mapping[str, str] = field(default_factory=dict)
    nan_is_missing: bool = False
    weights: Mapping[str, float] = field(default_factory=dict)
    charge: float | None = None
    dipole_origin: str = ""
    dipole_quantum: str = ""
    species: str = ""

    def __post_init__(self) -> None:
        allowed = {"keys": names_of_keys(), "units": names_of_units(), "orders": names_of_orders()}
        for what, names in allowed.items():
            for name, value in getattr(self, what).items():
                if name not in names:
                    raise DataError(
                        f"{name} = {value!r} in {what}; allowed are {', '.join(names)}{did_you_mean(name, names)}"
                    )
                if not isinstance(value, str) or not value.strip():
                    raise DataError(f"{name} = {value!r} in {what}; text is needed")
        for group, weight in self.weights.items():
            if not is_weight(weight):
                raise DataError(f"{group} = {weight!r} in weights; a finite number that is not negative is needed")
        if self.charge is not None and not is_number(self.charge):
            raise DataError(f"charge = {self.charge!r}; a finite number in e is needed")
        if self.dipole_origin not in ("", *ORIGINS):
            raise DataError(f"dipole_origin = '{self.dipole_origin}'; allowed are {' and '.join(ORIGINS)}")
        if self.dipole_quantum not in ("", LATTICE, NO_QUANTUM):
            raise DataError(f"dipole_quantum = '{self.dipole_quantum}'; allowed are {LATTICE} and {NO_QUANTUM}")
        assert self.factors is not None and self.places is not None  # refuse what cannot be understood at once

    @cached_property
    def factors(self) -> Mapping[str, float]:
        """What numbers of a file are multiplied by, by label; 1 where nothing is said."""
        return {name: _factor(name, text) for name, text in self.units.items()}

    @cached_property
    def places(self) -> Mapping[str, np.ndarray]:
        """Where each of nine components stands among the numbers of a file, by label."""
        return {name: _places(name, text) for name, text in self.orders.items()}

    def described(self, label: str, key: str) -> str:
        """A label of a file as it was read, for people."""
        said = f"{label} from '{key}'" if key != label else label
        source = VIRIAL if label == "stress" and key in (self.keys.get(VIRIAL), None) else label
        return said + (f" in {self.units[source]}" if source in self.units else "")


def names_of_keys() -> list[str]:
    """What may stand under another name in files: labels, a virial, and what is said of a frame."""
    return [*labels(), VIRIAL, *USUAL]


def names_of_units() -> list[str]:
    """What may have a unit of its own in files: labels, a virial, and positions with the cell."""
    return [*labels(), VIRIAL, POSITIONS]


def names_of_orders() -> list[str]:
    """Tensors, whose numbers may have an order of their own in files."""
    return [*(name for name, label in labels().items() if label.shape == (3, 3)), VIRIAL]


def is_number(value: Any) -> bool:
    """Whether it is one finite number."""
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool) and math.isfinite(value)


def is_weight(value: Any) -> bool:
    """Whether it is one finite number that is not negative."""
    return is_number(value) and value >= 0


def _factor(name: str, text: str) -> float:
    text = text.strip()
    own = {VIRIAL: Unit(energy=1), POSITIONS: Unit(length=1)}.get(name) or labels()[name].unit
    sign = -1.0 if text.startswith("-") else 1.0
    if sign < 0 and name == POSITIONS:
        raise DataError(f"positions = '{text}' in units; a length is not negative")
    try:
        return sign * in_own_units(text.removeprefix("-").strip(), own)
    except UnitError as error:
        raise DataError(f"{name} = '{text}' in units: {error}") from error


def _places(name: str, text: str) -> np.ndarray:
    """Places in the file of the components xx, xy, … zz; a symmetric tensor has six."""
    words = text.split()
    places = {word: place for place, word in enumerate(words)}
    if len(places) == len(words) == 6:
        places |= {word[::-1]: place for word, place in places.items()}
    try:
        return np.array([places[a + b] for a in AXES for b in AXES])
    except KeyError:
        raise DataError(
            f"{name} = '{text}' in orders; nine components as xx xy xz yx yy yz zx zy zz, or six as xx yy zz yz xz xy, "
            "are needed, each once"
        ) from None
