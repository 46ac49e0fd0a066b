"""Several evaluators that answer together: their mean, and the values of each, whose spread tells how sure they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce

import numpy as np

from ..errors import BeadwiseError
from ..properties.quantities import properties
from ..short_repr import first_line, with_lines
from .members import spread
from .response import Evaluator, Response, refuse_unavailable
from .structures import Batch

FEWEST_MEMBERS = 2  # one has no spread


class CommitteeError(BeadwiseError, ValueError):
    """Evaluators that make no committee."""


class Committee:
    """The mean of several evaluators, and on demand what each of them says.

    Parameters
    ----------
    members : sequence of Evaluator
        At least two; the values of each come in this order.

    Raises
    ------
    CommitteeError
        If there are fewer, there is no species that all members know, or their densities of states have other axes.
    """

    def __init__(self, members: Sequence[Evaluator]):
        self.members = tuple(members)
        if len(self.members) < FEWEST_MEMBERS:
            raise CommitteeError(f"a committee of {len(self.members)}; at least {FEWEST_MEMBERS} members are needed")
        self._species = _common_species([member.species for member in self.members])
        _refuse_other_axes(self.members)

    def __repr__(self) -> str:
        members = {f"member {index}": first_line(member) for index, member in enumerate(self.members)}
        return with_lines(f"Committee of {len(self.members)}", members | {"properties": ", ".join(self.properties)})

    @property
    def species(self) -> tuple[int, ...]:
        """Atomic numbers that all members can evaluate, ascending; empty if any can be."""
        return self._species

    @property
    def properties(self) -> tuple[str, ...]:
        """Properties that all members have, and the ``committee_`` forms of those that have one."""
        common = set(properties()).intersection(*(member.properties for member in self.members))
        # a member may be a committee itself; what its own members say is not told
        return tuple(name for name in properties() if ordinary(name) in common)

    @property
    def metadata(self) -> dict[str, str]:
        """The ``repeating_unit``, the molecule that a model is for, if all members name the same."""
        named = {_repeating_unit(member) for member in self.members}
        unit = named.pop()
        return {} if named or unit is None else {"repeating_unit": unit}

    def in_field(self, electric_field: Sequence[float]) -> Committee:
        """The same committee in a static electric field in V/Å, which acts on each member's own dipole.

        Raises
        ------
        CommitteeError
            If a member cannot be put into a field.
        PropertyError
            If the field is not three finite numbers, or a member has no dipole.
        """
        methods = [getattr(member, "in_field", None) for member in self.members]
        if None in methods:
            raise CommitteeError(
                f"member {methods.index(None)} of the committee cannot be put into the electric field "
                f"{list(electric_field)} V/Å: it has no method in_field, which all members need"
            )
        return Committee([method(electric_field) for method in methods if method is not None])

    def evaluate(self, batch: Batch, want: Sequence[str]) -> Response:
        """Answer the wanted properties for every bead; each member is evaluated once, whatever is wanted.

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
            If a member cannot evaluate a structure.
        CommitteeError
            If members answer with different numbers of values.
        """
        refuse_unavailable(want, self.properties, "this committee")
        wanted_of_members = tuple(dict.fromkeys(map(ordinary, want)))
        responses = [member.evaluate(batch, wanted_of_members) for member in self.members]
        arrays = {}
        for name in want:
            values = [response[ordinary(name)] for response in responses]
            _refuse_other_shapes(ordinary(name), values)
            arrays[name] = _joined(name, values)
        return Response(**arrays)


def _refuse_other_shapes(name: str, values: Sequence[np.ndarray]) -> None:
    """Refuse values that have no mean, as levels of Hamiltonians with other orbitals."""
    counts = {own.shape[1:]: None for own in values}
    if len(counts) > 1:
        said = " and ".join(str(int(np.prod(shape))) for shape in counts)
        raise CommitteeError(f"members of a committee answer {name} with {said} numbers; as many of all are needed")


def _joined(name: str, values: Sequence[np.ndarray]) -> np.ndarray:
    """What is made of the members' values, (beads, …) each."""
    kind = properties()[name].kind
    if kind == "members":
        return np.stack(values, axis=1)
    if kind == "uncertainty":
        return spread(ordinary(name), np.stack(values, axis=1))
    return reduce(np.maximum, values) if name == "envelope_distance" else _mean(values)


def ordinary(name: str) -> str:
    """Name of a property of one member: ``energy`` for both ``committee_energy`` and ``energy``."""
    return properties()[name].of


def _mean(values: Sequence[np.ndarray]) -> np.ndarray:
    """Mean over members without stacking them: derivatives of all members together are long."""
    return reduce(np.add, values) / len(values)


def _common_species(species: Iterable[Sequence[int]]) -> tuple[int, ...]:
    """Species that all members know, where one without a list knows any."""
    restricted = [tuple(known) for known in species if len(known)]
    if not restricted:
        return ()
    common = set(restricted[0]).intersection(*restricted)
    if not common:
        raise CommitteeError(
            f"members of a committee know the species {restricted}, none of them in common; at least one must be"
        )
    return tuple(sorted(common))


def _refuse_other_axes(members: Iterable[Evaluator]) -> None:
    """Refuse curves whose mean over members has no axis."""
    every = [curves for member in members if (curves := getattr(member, "curves", None)) is not None]
    axes = {(curves.first, curves.step, curves.points): None for curves in every}
    if len(axes) > 1:
        said = " and ".join(f"{points} from {first:g} eV in steps of {step:g} eV" for first, step, points in axes)
        raise CommitteeError(f"members of a committee have densities of states at energies {said}; one axis is needed")


def _repeating_unit(member: Evaluator) -> str | None:
    metadata = getattr(member, "metadata", None)
    return metadata.get("repeating_unit") if isinstance(metadata, dict) else None
