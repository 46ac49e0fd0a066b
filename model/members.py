"""Members of a committee that share one density: what each adds to the model's heads, evaluated in the same pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from ..errors import BeadwiseError
from ..properties import density_of_states
from ..properties.quantities import heads, properties, quantities
from ..pyx.tensor_head import DensityShape, TensorHead
from ..short_repr import short_repr
from .checks import check_head
from .electric_field import NO_FIELD, Field
from .errors import ModelFileError
from .outputs import Layout, symmetric

if TYPE_CHECKING:
    from .model import Model

FEWEST = 2  # one has no spread


class MemberError(BeadwiseError, ValueError):
    """A member that a model does not have."""


@dataclass(frozen=True, repr=False)
class Members:
    """How the members of a committee differ from the model, which is their mean.

    A member is the model with α times a deviation added to the weights of its linear heads; a network is shared.  So
    all of them read one density, and their energies, dipoles and polarizabilities cost little (shallow ensembles:
    Kellner, Ceriotti, Mach. Learn.: Sci. Technol. 5, 035006 (2024)).  α is the calibration of Imbalzano, Zhuang, Kapil,
    Rossi, Engel, Grasselli, Ceriotti, J. Chem. Phys. 154, 074102 (2021).

    Parameters
    ----------
    deviations : mapping of str to tuple of TensorHead
        By the name of the head, one for each member; they add up to zero.
    factors : mapping of str to float
        α by property, of `calibrated_names`; 1 where there is none.  Energies, forces and virials of a member are those
        of one potential and have the α of the energy; that of the forces only scales their uncertainty.

    Raises
    ------
    ModelFileError
        If there are fewer than two members, heads have different numbers of them, or a factor is not above 0.
    """

    deviations: Mapping[str, tuple[TensorHead, ...]]
    factors: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        counts = {name: len(own) for name, own in self.deviations.items()}
        if len(set(counts.values())) != 1 or min(counts.values()) < FEWEST:
            raise ModelFileError(f"members of a model: {counts} by head; the same number is needed, at least {FEWEST}")
        for name, factor in self.factors.items():
            if name not in calibrated_names() or not 0 < factor < np.inf:
                raise ModelFileError(
                    f"calibration {name} = {factor} of the members of a model; allowed are finite numbers above 0 for "
                    f"{list(calibrated_names())}"
                )

    __repr__ = short_repr

    @property
    def count(self) -> int:
        """Number of members."""
        return len(next(iter(self.deviations.values())))

    def factor(self, name: str) -> float:
        """α of one property."""
        return float(self.factors.get(name, 1.0))

    @property
    def quantities(self) -> tuple[str, ...]:
        """Quantities that members differ in: those of whose heads all have deviations."""
        return tuple(
            name for name, own in quantities().items() if all(head.name in self.deviations for head in own.heads)
        )

    @property
    def uncalibrated(self) -> tuple[str, ...]:
        """What members differ in, out of `calibrated_names`, without an α."""
        present = {heads()[name][0].name for name in self.deviations}
        own = {"forces": "energy"}
        return tuple(name for name in calibrated_names() if own.get(name, name) in present and name not in self.factors)

    def output_factors(self, layout: Layout) -> np.ndarray:
        """α of every output of a member, shape (outputs,)."""
        return np.concatenate([np.full(own.components, self.factor(name)) for name, own in layout.quantities.items()])

    def check(self, heads: Mapping[str, TensorHead], shape: DensityShape) -> None:
        """Raise ModelFileError if the deviations are not those of a model with these heads."""
        unknown = [name for name in self.deviations if name not in heads]
        if unknown:
            raise ModelFileError(f"members of a model have a head '{unknown[0]}'; the model has {list(heads)}")
        for name, own in self.deviations.items():
            for deviation in own:
                check_head(name, deviation, shape)

    @property
    def properties(self) -> tuple[str, ...]:
        """Properties of the members, and of the committee."""
        shared = set(self.quantities)
        if "energy" in shared:
            shared |= {"forces", "virial"}
        if density_of_states.QUANTITY.name in shared:
            shared |= set(density_of_states.OF_CURVES)
        return tuple(name for name, one in properties().items() if one.kind in OF_MEMBERS and one.of in shared)


OF_MEMBERS = ("members", "uncertainty")


def calibrated_names() -> tuple[str, ...]:
    """What has a calibration of its own: energy, forces and every other quantity."""
    return ("energy", "forces", *(name for name in quantities() if name != "energy"))


def ordinary_of(want: Sequence[str]) -> tuple[str, ...]:
    """Ordinary properties whose members are wanted, or the spread of them."""
    every = [properties()[name] for name in want]
    return tuple(dict.fromkeys(one.of for one in every if one.kind in OF_MEMBERS))


def member_heads(layout: Layout, want: Sequence[str], members: int, is_in_field: bool) -> list[bool]:
    """Which heads' values are wanted: those of the model, then those of every member's deviation."""
    of_members = ordinary_of(want)
    shared = layout.wanted_heads((*want, *of_members), is_in_field)
    return shared + layout.wanted_heads(of_members, is_in_field) * members


def member_rows(layout: Layout, want: Sequence[str], members: Members, electric_field: Field = NO_FIELD) -> np.ndarray:
    """Combinations of the outputs of model and deviations whose gradients are wanted.

    Returns
    -------
    ndarray of float64, shape (gradients, outputs * (1 + members))
        First those that the model alone would have, then the energy of every member, if forces or virials of members
        are wanted.
    """
    shared = layout.gradient_rows(want, electric_field)
    rows = np.pad(shared, ((0, 0), (0, layout.outputs * members.count)))
    if not {"forces", "virial"} & set(ordinary_of(want)):
        return rows
    energy = layout.gradient_rows(("forces",), electric_field)[0]
    own = np.zeros((members.count, 1 + members.count, layout.outputs))
    own[:, 0] = energy
    own[np.arange(members.count), 1 + np.arange(members.count)] = members.output_factors(layout) * energy
    return np.concatenate([rows, own.reshape(members.count, -1)])


def member_outputs(layout: Layout, outputs: np.ndarray, members: Members) -> np.ndarray:
    """Outputs of every member, shape (beads, members, …, outputs), from those of model and deviations (beads, …)."""
    deviations = outputs[..., layout.outputs :].reshape(*outputs.shape[:-1], members.count, layout.outputs)
    deviations = np.moveaxis(deviations, -2, 1)
    return outputs[:, None, ..., : layout.outputs] + members.output_factors(layout) * deviations


def committee_properties(
    members: Members,
    want: Sequence[str],
    sums: Sequence[np.ndarray],
    electric_field: Field,
    value: Callable[[str], np.ndarray],
) -> dict[str, np.ndarray]:
    """What the members say, and how far they are apart.

    Parameters
    ----------
    members : Members
    want : sequence of str
        Properties; those that are not of a committee are passed over.
    sums : sequence of ndarray of float64
        Gradients and strain derivatives, those of `member_rows`.
    electric_field : tuple of float
        In V/Å.
    value : callable
        ``value(name)`` gives a quantity of all members, (beads, members, …).

    Returns
    -------
    dict of str to ndarray of float64
    """
    gradients, strains = sums
    of_members = slice(gradients.shape[1] - members.count, None)  # read only where they were asked for

    @cache
    def values(name: str) -> np.ndarray:
        if name == "forces":
            return -gradients[:, of_members]
        if name == "virial":
            virials = -strains[:, of_members]
            return virials if electric_field != NO_FIELD else symmetric(virials)
        return value(name)

    arrays: dict[str, np.ndarray] = {}
    for name in want:
        one = properties()[name]
        if one.kind == "members":
            arrays[name] = values(one.of)
        elif one.kind == "uncertainty":
            factor = members.factor("forces") / members.factor("energy") if one.of == "forces" else 1.0
            arrays[name] = factor * spread(one.of, values(one.of))
    return arrays


def spread(name: str, values: np.ndarray) -> np.ndarray:
    """How far members are apart in a property: the standard deviation (ddof 1) of each sample.

    Of a vector or tensor it is the root mean square over its components; values on an axis of their own have one each.

    Parameters
    ----------
    name : str
        Property of one member.
    values : ndarray of float64, shape (beads, members, …)

    Returns
    -------
    ndarray of float64, shape (beads, …)
    """
    one = properties()[name]
    if one.spread_shape == one.shape:
        return values.std(axis=1, ddof=1)
    variances = values.var(axis=1, ddof=1)
    return np.sqrt(variances.mean(axis=tuple(range(-len(one.shape), 0))))


def single_member(model: Model, index: int) -> Model:
    """The member as a model without members: the same density and network, the heads of the mean plus α times its own.

    What forces of a member do to dynamics, no reweighting of a run with the mean tells; a run with the member does.

    Parameters
    ----------
    model : Model
        With members.
    index : int
        From 0.

    Raises
    ------
    MemberError
        If there is no such member.
    """
    members = model.members
    if members is None or not 0 <= index < members.count:
        has = "no members" if members is None else f"the members 0 to {members.count - 1}"
        raise MemberError(f"member {index} of a model is wanted; it has {has}")
    own_heads = dict(model.heads)
    for name, deviations in members.deviations.items():
        mean, own, factor = own_heads[name], deviations[index], members.factor(heads()[name][0].name)
        own_heads[name] = TensorHead(
            mean.order,
            mean.shape,
            mean.offset + factor * own.offset,
            mean.linear + factor * own.linear,
            mean.weights + factor * own.weights,
            mean.parity,
        )
    called = f"member:{index},{model.source}" if model.source else ""
    return replace(model, heads=own_heads, members=None, source=called)
