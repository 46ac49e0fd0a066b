"""What an evaluation answers, and what anything that answers must offer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from ..properties.quantities import WEIGHT, properties
from ..short_repr import with_lines
from ..suggestions import did_you_mean
from .errors import PropertyError
from .structures import Batch


class Response:
    """Properties of every bead of a batch; reading one that was not evaluated raises.

    Parameters
    ----------
    **arrays : ndarray of float64
        Any of ``energy`` (beads,) in eV; ``forces`` (beads, atoms, 3) in eV/Å; ``virial`` (beads, 3, 3) in eV, the
        negative derivative of the energy with respect to strain; ``dipole`` (beads, 3) in e·Å; ``polarizability``
        (beads, 3, 3) in Å³; ``born_charges`` (beads, atoms, 3, 3) in e, row displacement, column dipole component;
        ``polarizability_derivatives`` (beads, atoms, 3, 3, 3) in Å², the first 3 for the displacement;
        ``molecular_dipole`` (beads, molecules, 3) in e·Å and ``molecular_polarizability`` (beads, molecules, 3, 3) in
        Å³, what the atoms of each molecule add to the cell's, without a local field; ``screened_polarizability``, of
        the same shape, the symmetric part of the response of each molecule to the field in the medium, where the field
        of all others is in it; ``molecular_position`` (beads, molecules, 3) in Å, the centres of mass, not wrapped; and
        of every member of a committee ``committee_energy``
        (beads, members) in eV, ``committee_forces`` (beads, members, atoms, 3) in eV/Å, ``committee_virial`` (beads,
        members, 3, 3) in eV, ``committee_dipole`` (beads, members, 3) in e·Å and ``committee_polarizability`` (beads,
        members, 3, 3) in Å³; ``energy_uncertainty`` (beads,) in eV, the standard deviation over members (ddof 1);
        ``forces_uncertainty`` (beads, atoms) in eV/Å, for each atom the root mean square over its Cartesian components
        of that standard deviation; ``envelope_distance`` (beads,), how far the worst atom is outside what was seen in
        training (`beadwise.model.training.envelope`); of a weighted baseline ``correction_weight`` (beads,), a number
        from 0 to 1.  Other quantities that are registered have the axes (beads, [members,] [atoms or molecules,] their
        own).
    """

    def __init__(self, **arrays: np.ndarray):
        self._arrays = {name: array for name, array in arrays.items() if array is not None}
        unknown = set(self._arrays) - set(properties())
        if unknown:
            raise PropertyError(f"unknown property {sorted(unknown)}; allowed are {list(properties())}")

    def __getattr__(self, name: str) -> np.ndarray:
        """A property of a quantity that is not built in, by its name."""
        if name.startswith("_"):
            raise AttributeError(f"a response has no attribute '{name}'")
        if name not in properties():
            hint = did_you_mean(name, properties())
            raise AttributeError(f"a response has no attribute '{name}'; this one holds {', '.join(self.names)}{hint}")
        return self[name]

    def __repr__(self) -> str:
        table = {name: f"{np.shape(array)} {properties()[name].unit}".strip() for name, array in self._arrays.items()}
        return with_lines("Response", table)

    def __dir__(self) -> list[str]:
        """What it holds, and not all that there could be."""
        return sorted({*super().__dir__()} - set(properties()) | set(self.names))

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._arrays:
            raise PropertyError(f"property '{name}' was not evaluated; available here: {list(self._arrays)}")
        return self._arrays[name]

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the properties that were evaluated."""
        return tuple(self._arrays)

    @property
    def energy(self) -> np.ndarray:
        """Potential energy in eV, shape (beads,)."""
        return self["energy"]

    @property
    def forces(self) -> np.ndarray:
        """Forces in eV/Å, shape (beads, atoms, 3)."""
        return self["forces"]

    @property
    def virial(self) -> np.ndarray:
        """Negative strain derivative of the energy in eV, shape (beads, 3, 3)."""
        return self["virial"]

    @property
    def dipole(self) -> np.ndarray:
        """Dipole in e·Å, shape (beads, 3)."""
        return self["dipole"]

    @property
    def polarizability(self) -> np.ndarray:
        """Polarizability in Å³, shape (beads, 3, 3)."""
        return self["polarizability"]

    @property
    def born_charges(self) -> np.ndarray:
        """Born effective charges ∂μ/∂r in e, shape (beads, atoms, 3, 3): row displacement, column dipole component."""
        return self["born_charges"]

    @property
    def polarizability_derivatives(self) -> np.ndarray:
        """∂α/∂r at constant cell in Å², shape (beads, atoms, 3, 3, 3): displacement, then the two axes of α."""
        return self["polarizability_derivatives"]

    @property
    def molecular_dipole(self) -> np.ndarray:
        """Part of each molecule in the dipole in e·Å, shape (beads, molecules, 3)."""
        return self["molecular_dipole"]

    @property
    def molecular_polarizability(self) -> np.ndarray:
        """Part of each molecule in the polarizability before any local field in Å³, (beads, molecules, 3, 3)."""
        return self["molecular_polarizability"]

    @property
    def screened_polarizability(self) -> np.ndarray:
        """Part of each molecule in the polarizability in the field of all others in Å³, (beads, molecules, 3, 3)."""
        return self["screened_polarizability"]

    @property
    def molecular_position(self) -> np.ndarray:
        """Centres of mass of the molecules in Å, shape (beads, molecules, 3), not wrapped into the cell."""
        return self["molecular_position"]

    @property
    def committee_energy(self) -> np.ndarray:
        """Potential energy of every member of a committee in eV, shape (beads, members)."""
        return self["committee_energy"]

    @property
    def committee_forces(self) -> np.ndarray:
        """Forces of every member of a committee in eV/Å, shape (beads, members, atoms, 3)."""
        return self["committee_forces"]

    @property
    def committee_virial(self) -> np.ndarray:
        """Virial of every member of a committee in eV, shape (beads, members, 3, 3)."""
        return self["committee_virial"]

    @property
    def committee_dipole(self) -> np.ndarray:
        """Dipole of every member of a committee in e·Å, shape (beads, members, 3)."""
        return self["committee_dipole"]

    @property
    def committee_polarizability(self) -> np.ndarray:
        """Polarizability of every member of a committee in Å³, shape (beads, members, 3, 3)."""
        return self["committee_polarizability"]

    @property
    def energy_uncertainty(self) -> np.ndarray:
        """Standard deviation of the energy over the members of a committee in eV, shape (beads,)."""
        return self["energy_uncertainty"]

    @property
    def forces_uncertainty(self) -> np.ndarray:
        """Standard deviation of a component of each atom's force over members in eV/Å, shape (beads, atoms)."""
        return self["forces_uncertainty"]

    @property
    def envelope_distance(self) -> np.ndarray:
        """How far the worst atom is outside what was seen in training, shape (beads,)."""
        return self["envelope_distance"]

    @property
    def correction_weight(self) -> np.ndarray:
        """What a weighted baseline takes of its correction, from 0 to 1, shape (beads,)."""
        return self[WEIGHT]


def refuse_unavailable(want: Sequence[str], available: Sequence[str], name: str) -> None:
    """Raise PropertyError if a wanted property is not among those of the evaluator of this name."""
    for wanted in want:
        if wanted not in available:
            hint = did_you_mean(str(wanted), available)
            raise PropertyError(f"property '{wanted}' is not available; {name} has {list(available)}{hint}")


class Evaluator(Protocol):
    """Anything that answers for a batch of beads: the integrated model, a baseline, a sum of both, a committee."""

    @property
    def species(self) -> tuple[int, ...]:
        """Atomic numbers that can be evaluated; empty if any can."""
        ...

    @property
    def properties(self) -> tuple[str, ...]:
        """Properties that can be asked for, a subset of ``PROPERTIES``."""
        ...

    def evaluate(self, batch: Batch, want: Sequence[str]) -> Response:
        """Answer the wanted properties for every bead."""
        ...
