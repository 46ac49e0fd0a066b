"""A model out of several: the energy of some, the dipole of another, a committee beside them, in one answer.

The energy is a sum, so are forces and virial.  In a static field E the dipole's part gives what is added: ``−E·μ`` to
the energy, ``Z* E`` to the forces (P. Umari, A. Pasquarello, Phys. Rev. Lett. 89, 157602 (2002)).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from typing import Any

import numpy as np

from ...errors import BeadwiseError
from ...properties.density_of_states import DERIVED_NAMES
from ...properties.quantities import Property, properties
from ...short_repr import first_line, with_lines
from ..electric_field import NO_FIELD, Field, checked_field
from ..errors import PropertyError
from ..response import Evaluator, Response, refuse_unavailable
from ..structures import Batch

ENERGY = "energy"
IN_FIELD = ("energy", "forces", "virial")  # what a field changes
WITHOUT_OWN = {"energy": "dipole", "forces": "born_charges"}  # what tells the change, where a part knows no field


class MixtureError(BeadwiseError, ValueError):
    """Parts that make no model."""


@dataclass(frozen=True)
class Part:
    """One evaluator for one quantity.

    Parameters
    ----------
    evaluator : Evaluator
    factor : float
        What its values, derivatives and members of the quantity are multiplied by to be in eV, Å and e.
    """

    evaluator: Evaluator
    factor: float = 1.0

    def has(self, name: str) -> bool:
        """Whether a property can be asked of it."""
        return name in self.evaluator.properties


@dataclass(frozen=True, repr=False)
class Mixture:
    """Evaluators that each answer for some quantities; each is evaluated once for all that is wanted of it.

    Parameters
    ----------
    parts : mapping of str to sequence of Part
        By quantity.  Energies add up; of every other quantity there is one part.
    committees : mapping of str to Part
        By quantity, whose members are what ``committee_…`` and ``…_uncertainty`` are made of.  Where `parts` has none
        of this quantity, their mean is its value, too.
    electric_field : tuple of float
        In V/Å; the dipole's part, which need not be the one that gives the energy, gives its effect.
    made_from : str
        Name of the file that describes it; empty where it was made otherwise.
    provider : str
        Packages, with versions, that give parts of it.

    Raises
    ------
    MixtureError
        If a part lacks its quantity, several parts give one that does not add up, or there is no species that all know.
    """

    parts: Mapping[str, Sequence[Part]]
    committees: Mapping[str, Part] = field(default_factory=dict)
    electric_field: Field = NO_FIELD
    made_from: str = ""
    provider: str = ""

    def __post_init__(self) -> None:
        if not self.parts and not self.committees:
            raise MixtureError("a model without parts; at least one quantity needs a model")
        for quantity, parts in self.parts.items():
            if quantity != ENERGY and len(parts) != 1:
                raise MixtureError(f"{len(parts)} models for the {quantity}; only energies add up, so give one")
        every = [*((name, one) for name, parts in self.parts.items() for one in parts), *self.committees.items()]
        for quantity, part in every:
            if not part.has(quantity):
                raise MixtureError(
                    f"the part for the {quantity} is {first_line(part.evaluator)}, which has no {quantity}; "
                    f"it has {list(part.evaluator.properties)}"
                )
        for quantity, part in self.committees.items():
            if not part.has(f"committee_{quantity}"):
                raise MixtureError(f"the committee for the {quantity} is {first_line(part.evaluator)}, without members")
        self._common_species()

    def __repr__(self) -> str:
        lines = {name: ", ".join(first_line(one.evaluator) for one in parts) for name, parts in self.parts.items()}
        lines |= {f"committee of the {name}": first_line(one.evaluator) for name, one in self.committees.items()}
        lines["electric field"] = f"{list(self.electric_field)} V/Å" if any(self.electric_field) else ""
        called = f" '{self.made_from}'" if self.made_from else ""
        return with_lines(f"Mixture{called}", lines | {"properties": ", ".join(self.properties)})

    @property
    def evaluators(self) -> tuple[Evaluator, ...]:
        """Every part once."""
        found: list[Evaluator] = []
        for part in (*(one for parts in self.parts.values() for one in parts), *self.committees.values()):
            if not any(part.evaluator is known for known in found):
                found.append(part.evaluator)
        return tuple(found)

    @property
    def species(self) -> tuple[int, ...]:
        """Atomic numbers that all parts can evaluate, ascending; empty if any can be."""
        return self._common_species()

    @property
    def properties(self) -> tuple[str, ...]:
        """Properties that can be asked for."""
        return tuple(name for name, one in properties().items() if self._terms(one) and self._lasts_in_field(name))

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The ``repeating_unit``, the molecule that parts are for, if those that name one name the same."""
        described = [getattr(one, "metadata", None) for one in self.evaluators]
        units = {own["repeating_unit"] for own in described if isinstance(own, Mapping) and own.get("repeating_unit")}
        return {"repeating_unit": units.pop()} if len(units) == 1 else {}

    def in_field(self, electric_field: Sequence[float]) -> Mixture:
        """The same in a static electric field in V/Å, which acts on the dipole's part.

        Raises
        ------
        PropertyError
            If the field is not three finite numbers, or there is no dipole, or one without derivatives.
        """
        own = checked_field(electric_field, self.properties)
        if any(own) and self._field_part() is None:
            raise PropertyError(
                f"electric field is {list(own)} V/Å, but the dipole's part has neither born_charges nor an energy in a "
                f"field; it has {list(self._terms(properties()['dipole'])[0][0].evaluator.properties)}"
            )
        return replace(self, electric_field=own)

    def evaluate(self, batch: Batch, want: Sequence[str]) -> Response:
        """Answer the wanted properties for every bead.

        Parameters
        ----------
        batch : Batch
        want : sequence of str
            Names out of `properties`.

        Raises
        ------
        PropertyError
            If a wanted property is not available.
        StructureError
            If a part cannot answer for a structure.
        """
        refuse_unavailable(want, self.properties, "this model of several parts")
        terms = {name: self._terms(properties()[name]) for name in dict.fromkeys(want)}
        changed = [name for name in want if any(self.electric_field) and properties()[name].of in IN_FIELD]
        changed = [name for name in changed if properties()[name].kind != "uncertainty"]  # the same for all members
        shared = {properties()[name].of for name in changed}
        asked: dict[int, list[str]] = {}
        for part, name in (*(term for own in terms.values() for term in own), *self._terms_of_field(shared)):
            asked.setdefault(id(part.evaluator), []).append(name)
        driven = self._answers_in_field(terms, changed)
        answers = {
            id(one): (self._driven if one is driven else one).evaluate(batch, tuple(dict.fromkeys(asked[id(one)])))
            for one in self.evaluators
            if id(one) in asked
        }
        arrays = {name: _combined(name, own, answers) for name, own in terms.items()}
        if driven is not None:
            return Response(**arrays)
        added = self._added_by_field(batch, shared, answers) if shared else {}
        for name in changed:
            own = added[properties()[name].of]
            arrays[name] = arrays[name] + (own[:, None] if properties()[name].kind == "members" else own)
        return Response(**arrays)

    def _terms(self, one: Property) -> list[tuple[Part, str]]:
        """Which property of which parts a property is made of; empty where it cannot be had."""
        every = [Part(own) for own in self.evaluators]
        if one.quantity is None:  # positions of molecules are those of any part, an alarm is that of all
            known = [(part, one.name) for part in every if part.has(one.name)]
            return known if one.name == "envelope_distance" else known[:1]
        quantity = one.quantity.name
        committee, parts = self.committees.get(quantity), self.parts.get(quantity, ())
        if committee is not None and (one.kind in ("members", "uncertainty") or not parts):
            return [(committee, one.name)] if committee.has(one.name) else []
        if one.of in DERIVED_NAMES and (len(parts) != 1 or parts[0].factor != 1):
            return []  # it is no multiple of a curve, and no sum
        if one.kind in ("members", "uncertainty"):
            return self._terms_of_members(one, parts)
        return [(part, one.name) for part in parts] if parts and all(part.has(one.name) for part in parts) else []

    @staticmethod
    def _terms_of_members(one: Property, parts: Sequence[Part]) -> list[tuple[Part, str]]:
        """Members of the one part that has some; what the others add is the same for all of them."""
        with_members = [part for part in parts if part.has(one.name)]
        others = [part for part in parts if not part.has(one.name)]
        if len(with_members) != 1 or not all(part.has(one.of) for part in others):
            return []
        own = [(with_members[0], one.name)]
        return own if one.kind == "uncertainty" else own + [(part, one.of) for part in others]

    def _lasts_in_field(self, name: str) -> bool:
        """Whether a property can still be had in the field: a virial only where the part knows its own."""
        if not any(self.electric_field) or properties()[name].of != "virial":
            return True
        found = self._field_part()
        return found is not None and found[1]

    def _field_part(self) -> tuple[Part, bool] | None:
        """The dipole's part, and whether it knows its energy in a field; None where it knows no derivatives."""
        terms = self._terms(properties()["dipole"])
        if not terms:
            return None
        part = terms[0][0]
        if hasattr(part.evaluator, "in_field") and all(map(part.has, IN_FIELD)):
            return part, True
        return (part, False) if part.has("born_charges") else None

    @cached_property
    def _driven(self) -> Evaluator:
        """The dipole's part in the field, made once: its kernel and its lists of neighbours last."""
        found = self._field_part()
        assert found is not None and found[1]
        field = found[0].factor * np.array(self.electric_field)
        return found[0].evaluator.in_field(field.tolist())  # type: ignore[attr-defined, no-any-return]

    def _answers_in_field(
        self, terms: Mapping[str, list[tuple[Part, str]]], changed: Sequence[str]
    ) -> Evaluator | None:
        """The dipole's part if it gives all that the field changes, as it is: one evaluation is enough then."""
        found = self._field_part() if changed else None
        if found is None or not found[1]:
            return None
        own = found[0].evaluator
        for name in changed:
            factors = [part.factor for part, one in terms[name] if part.evaluator is own and one == name]
            if factors != [1.0] or properties()[name].kind == "members":
                return None
        return own

    def _terms_of_field(self, names: set[str]) -> list[tuple[Part, str]]:
        """What the dipole's part is asked for in the same evaluation, so that the effect of the field is known."""
        found = self._field_part() if names else None
        if found is None:
            return []
        part, has_own = found
        return [(part, name if has_own else WITHOUT_OWN[name]) for name in names]

    def _added_by_field(self, batch: Batch, names: set[str], answers: Mapping[int, Response]) -> dict[str, np.ndarray]:
        """What the field adds to energy, forces and virial."""
        found = self._field_part()
        assert found is not None
        part, has_own = found
        plain = answers[id(part.evaluator)]
        if has_own:
            driven = self._driven.evaluate(batch, tuple(names))
            return {name: driven[name] - plain[name] for name in names}
        field = part.factor * np.array(self.electric_field)
        signs = {"energy": -1.0, "forces": 1.0}
        return {name: signs[name] * (plain[WITHOUT_OWN[name]] @ field) for name in names}

    def _common_species(self) -> tuple[int, ...]:
        restricted = [set(one.species) for one in self.evaluators if len(one.species)]
        common = sorted(set.intersection(*restricted)) if restricted else []
        if restricted and not common:
            known = [sorted(own) for own in restricted]
            raise MixtureError(f"parts know the species {known}, none of them in common; at least one must be")
        return tuple(common)


def _combined(name: str, terms: Sequence[tuple[Part, str]], answers: Mapping[int, Response]) -> np.ndarray:
    """A property from those of the parts."""
    values = [_of_part(part, own, name, answers[id(part.evaluator)]) for part, own in terms]
    return reduce(np.maximum if name == "envelope_distance" else np.add, values)


def _of_part(part: Part, own: str, name: str, answer: Response) -> np.ndarray:
    """A property of one part in our units, with an axis for members where others have one."""
    value = answer[own] if part.factor == 1 else part.factor * answer[own]
    return value[:, None] if properties()[name].kind == "members" and own != name else value
