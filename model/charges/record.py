"""How a model's charges follow from its heads: what its file says of it, under ``charges`` among the metadata."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import numpy as np
from ase.data import atomic_numbers, chemical_symbols

from ...reading import shown
from ..errors import ModelFileError

CHARGES = "charges"
PLAIN, TRANSFERS, EQUILIBRATION = "plain", "transfers", "equilibration"
KINDS = (PLAIN, TRANSFERS, EQUILIBRATION)
LATENT = {PLAIN: "partial_charges", TRANSFERS: "electronegativity", EQUILIBRATION: "electronegativity"}
NO_ENERGY, COULOMB_ENERGY, WHOLE_ENERGY = "none", "coulomb", "equilibration"
ENERGIES = (NO_ENERGY, COULOMB_ENERGY, WHOLE_ENERGY)
VACUUM, GIVEN = "vacuum", "given"
CELL, MOLECULES = "cell", "molecules"
TABLES = ("widths", "hardness", "formal")


@dataclass(frozen=True)
class ChargeForm:
    """How charges follow from what the head says of each atom, and which energy they have.

    Parameters
    ----------
    kind : str
        ``plain``, ``transfers`` or ``equilibration``.
    energy : str
        ``none``; ``coulomb``, the energy of Gaussian charges with each other and with themselves; ``equilibration``,
        the whole energy whose minimum the charges are.
    widths : mapping of str to float
        σ of each species in Å.
    hardness : mapping of str to float
        J of each species in eV/e², of equilibration.
    formal : mapping of str to float
        Charge of each species in e before any transfer.
    reach : float
        In Å, of transfers.
    groups : str
        What has a total charge of its own, of plain charges: the ``cell``, or neutral ``molecules``.
    boundary : str
        ``vacuum``, where all training was without images, and a cell is that of the program alone; or ``given``.
    totals : tuple of float
        Total charges of the training in e, ascending.
    """

    kind: str
    energy: str = COULOMB_ENERGY
    widths: Mapping[str, float] = field(default_factory=dict)
    hardness: Mapping[str, float] = field(default_factory=dict)
    formal: Mapping[str, float] = field(default_factory=dict)
    reach: float = 3.0
    groups: str = CELL
    boundary: str = GIVEN
    totals: tuple[float, ...] = (0.0,)

    def __post_init__(self) -> None:
        words: dict[str, tuple[str, ...]] = {"kind": KINDS, "energy": ENERGIES}
        words |= {"groups": (CELL, MOLECULES), "boundary": (VACUUM, GIVEN)}
        for name, allowed in words.items():
            if getattr(self, name) not in allowed:
                raise _wrong(f"{name} = {shown(getattr(self, name))}", f"allowed are {', '.join(allowed)}")
        if self.energy == WHOLE_ENERGY and self.kind != EQUILIBRATION:
            raise _wrong(f"energy = 'equilibration' of {self.kind} charges", "allowed are none and coulomb")
        if self.groups == MOLECULES and self.kind != PLAIN:
            raise _wrong(f"groups = 'molecules' of {self.kind} charges", "allowed is cell")
        if not _is_number(self.reach) or not 0 < self.reach < 100:
            raise _wrong(f"reach = {shown(self.reach)}", "a length in Å, above 0 and below 100, is needed")
        for name in TABLES:
            _check_table(name, getattr(self, name))

    @property
    def latent(self) -> str:
        """Name of the quantity whose head the charges are made of."""
        return LATENT[self.kind]

    @property
    def has_energy(self) -> bool:
        """Whether charges act on each other."""
        return self.energy != NO_ENERGY

    @property
    def needs_sums(self) -> bool:
        """Whether there is anything to be summed over all pairs."""
        return self.has_energy or self.kind == EQUILIBRATION

    def of_atoms(self, name: str, numbers: np.ndarray) -> np.ndarray:
        """One table for atoms, shape (atoms,); 0 where a formal charge is not said.

        Raises
        ------
        ModelFileError
            If it has no number for a species.
        """
        table = getattr(self, name)
        symbols = [chemical_symbols[number] for number in numbers.tolist()]
        missing = sorted({symbol for symbol in symbols if symbol not in table})
        if missing and name != "formal":
            raise _wrong(f"{name} has no {missing[0]}", "a number for each species is needed")
        return np.array([table.get(symbol, 0.0) for symbol in symbols])

    def record(self) -> dict[str, Any]:
        """For the metadata of a model."""
        found: dict[str, Any] = {"kind": self.kind, "energy": self.energy, "boundary": self.boundary}
        found |= {name: dict(getattr(self, name)) for name in TABLES if getattr(self, name)}
        if self.kind == TRANSFERS:
            found["reach"] = self.reach
        if self.groups != CELL:
            found["groups"] = self.groups
        return found | {"totals": list(self.totals)}

    @classmethod
    def of(cls, metadata: object) -> ChargeForm | None:
        """What the metadata of a model say; None if it has no charges.

        Raises
        ------
        ModelFileError
            If what they say cannot be.
        """
        if not isinstance(metadata, Mapping) or CHARGES not in metadata:
            return None
        said = metadata[CHARGES]
        known = [*cls.__dataclass_fields__]
        if not isinstance(said, Mapping) or "kind" not in said or not said.keys() <= set(known):
            raise _wrong(f"it is {shown(said)}", f"a table with a kind is needed, of {', '.join(known)}")
        totals = said.get("totals", [0.0])
        if not isinstance(totals, Sequence) or not totals or not all(map(_is_number, totals)):
            raise _wrong(f"totals = {shown(totals)}", "finite numbers in e are needed")
        return cls(**{**said, "totals": tuple(float(own) for own in totals)})


def has_charges(metadata: object) -> bool:
    """Whether a model has charges beside its heads, so that its energy is not the whole."""
    return isinstance(metadata, Mapping) and CHARGES in metadata


def _check_table(name: str, table: object) -> None:
    lowest = {"widths": "above 0", "hardness": "from 0", "formal": "finite"}[name]
    if not isinstance(table, Mapping) or not all(key in atomic_numbers for key in table):
        raise _wrong(f"{name} = {shown(table)}", "a number for each element is needed, as {'C': 0.7}")
    for key, own in table.items():
        if not _is_number(own) or (name == "widths" and own <= 0) or (name == "hardness" and own < 0):
            raise _wrong(f"{name} of {key} is {shown(own)}", f"a number {lowest} is needed")


def _is_number(given: object) -> bool:
    return isinstance(given, (int, float)) and not isinstance(given, bool) and isfinite(given)


def _wrong(what: str, allowed: str) -> ModelFileError:
    return ModelFileError(f"{CHARGES} of a model: {what}; {allowed}")
