"""Members of a committee that share one density: what each adds to the model's heads, evaluated in the same pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from ..errors import BeadwiseError
from ..properties.dipole import cartesian_vector
from ..properties.polarizability import cartesian_tensor
from ..properties.quantities import OF_MEMBERS, ORDERS
from ..pyx.tensor_head import DensityShape, TensorHead
from .checks import check_head
from .electric_field import NO_FIELD, Field
from .errors import ModelFileError
from .outputs import HEADS, OUTPUTS, energies_in_field, gradient_rows, symmetric, wanted_heads

if TYPE_CHECKING:
    from .model import Model

FEWEST = 2  # one has no spread
CALIBRATED = ("energy", "forces", "dipole", "polarizability")


class MemberError(BeadwiseError, ValueError):
    """A member that a model does not have."""


@dataclass(frozen=True)
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
        α by property, of `CALIBRATED`; 1 where there is none.  Energies, forces and virials of a member are those of
        one potential and have the α of the energy; that of the forces only scales their uncertainty.

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
            if name not in CALIBRATED or not 0 < factor < np.inf:
                raise ModelFileError(
                    f"calibration {name} = {factor} of the members of a model; allowed are finite numbers above 0 for "
                    f"{list(CALIBRATED)}"
                )

    @property
    def count(self) -> int:
        """Number of members."""
        return len(next(iter(self.deviations.values())))

    def factor(self, name: str) -> float:
        """α of one property."""
        return float(self.factors.get(name, 1.0))

    @property
    def uncalibrated(self) -> tuple[str, ...]:
        """What members of these heads differ in, out of `CALIBRATED`, without an α."""
        present = {name.split("_")[0] for name in self.deviations}
        own = {"forces": "energy"}
        return tuple(name for name in CALIBRATED if own.get(name, name) in present and name not in self.factors)

    @property
    def output_factors(self) -> np.ndarray:
        """α of every output of a member: energy, dipole, polarizability; shape (OUTPUTS,)."""
        names = [name.split("_")[0] for name in HEADS]
        return np.concatenate(
            [np.full(2 * ORDERS[head] + 1, self.factor(n)) for head, n in zip(HEADS, names, strict=True)]
        )

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
        shared: set[str] = set()
        if "energy" in self.deviations:
            shared |= {"energy", "forces", "virial"}
        if "dipole" in self.deviations:
            shared |= {"dipole"}
        if {"polarizability_isotropic", "polarizability_anisotropic"} <= set(self.deviations):
            shared |= {"polarizability"}
        return tuple(name for name, own in OF_MEMBERS.items() if own in shared)


def ordinary_of(want: Sequence[str]) -> tuple[str, ...]:
    """Ordinary properties whose members are wanted, or the spread of them."""
    return tuple(dict.fromkeys(OF_MEMBERS[name] for name in want if name in OF_MEMBERS))


def member_heads(want: Sequence[str], members: int, is_in_field: bool) -> list[bool]:
    """Which heads' values are wanted: those of the model, then those of every member's deviation."""
    of_members = ordinary_of(want)
    shared = wanted_heads((*want, *of_members), is_in_field)
    return shared + wanted_heads(of_members, is_in_field) * members


def member_rows(want: Sequence[str], members: Members, electric_field: Field = NO_FIELD) -> np.ndarray:
    """Combinations of the outputs of model and deviations whose gradients are wanted.

    Returns
    -------
    ndarray of float64, shape (gradients, OUTPUTS * (1 + members))
        First those that the model alone would have, then the energy of every member, if forces or virials of members
        are wanted.
    """
    shared = gradient_rows(want, electric_field)
    rows = np.pad(shared, ((0, 0), (0, OUTPUTS * members.count)))
    if not {"forces", "virial"} & set(ordinary_of(want)):
        return rows
    energy = gradient_rows(("forces",), electric_field)[0]
    own = np.zeros((members.count, 1 + members.count, OUTPUTS))
    own[:, 0] = energy
    own[np.arange(members.count), 1 + np.arange(members.count)] = members.output_factors * energy
    return np.concatenate([rows, own.reshape(members.count, -1)])


def member_outputs(totals: np.ndarray, members: Members) -> np.ndarray:
    """Outputs of every member, shape (beads, members, OUTPUTS), from those of model and deviations."""
    deviations = totals[:, OUTPUTS:].reshape(len(totals), members.count, OUTPUTS)
    return totals[:, None, :OUTPUTS] + members.output_factors * deviations


def committee_properties(
    members: Members,
    want: Sequence[str],
    sums: Sequence[np.ndarray],
    electric_field: Field,
    local_field: Callable[[np.ndarray], np.ndarray],
) -> dict[str, np.ndarray]:
    """What the members say, and how far they are apart.

    Parameters
    ----------
    members : Members
    want : sequence of str
        Properties; those that are not of a committee are passed over.
    sums : sequence of ndarray of float64
        Outputs (beads, OUTPUTS * (1 + members)), gradients and strain derivatives, those of `member_rows`.
    electric_field : tuple of float
        In V/Å.
    local_field : callable
        Maps additive polarizabilities (beads, 3, 3) to those of the cells.
    """
    totals, gradients, strains = sums
    if totals.shape[1] == OUTPUTS:
        return {}
    outputs = member_outputs(totals, members)
    energies = energies_in_field(outputs, electric_field)
    of_members = slice(gradients.shape[1] - members.count, None)  # read only where they were asked for
    arrays: dict[str, np.ndarray] = {}
    if "committee_energy" in want:
        arrays["committee_energy"] = energies
    if "energy_uncertainty" in want:
        arrays["energy_uncertainty"] = energies.std(axis=1, ddof=1)
    if "committee_forces" in want:
        arrays["committee_forces"] = -gradients[:, of_members]
    if "forces_uncertainty" in want:
        factor = members.factor("forces") / members.factor("energy")
        arrays["forces_uncertainty"] = factor * forces_spread(gradients[:, of_members])
    if "committee_virial" in want:
        virials = -strains[:, of_members]
        arrays["committee_virial"] = virials if electric_field != NO_FIELD else symmetric(virials)
    if "committee_dipole" in want:
        arrays["committee_dipole"] = cartesian_vector(outputs[..., 1:4])
    if "committee_polarizability" in want:
        additive = cartesian_tensor(outputs[..., 4:])
        arrays["committee_polarizability"] = np.stack(
            [local_field(additive[:, member]) for member in range(members.count)], axis=1
        )
    return arrays


def forces_spread(forces: np.ndarray) -> np.ndarray:
    """Root mean square over the components of each atom's force of its standard deviation over members.

    Parameters
    ----------
    forces : ndarray of float64, shape (beads, members, atoms, 3)

    Returns
    -------
    ndarray of float64, shape (beads, atoms)
    """
    return np.sqrt(forces.var(axis=1, ddof=1).mean(axis=2))


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
    heads = dict(model.heads)
    for name, deviations in members.deviations.items():
        mean, own, factor = heads[name], deviations[index], members.factor(name.split("_")[0])
        heads[name] = TensorHead(
            mean.order,
            mean.shape,
            mean.offset + factor * own.offset,
            mean.linear + factor * own.linear,
            mean.weights + factor * own.weights,
        )
    return replace(model, heads=heads, members=None)
