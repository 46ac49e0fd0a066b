"""A fitted Hamiltonian as something that answers for beads: its levels, gap, and what electrons make of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from ...properties.quantities import (
    GAP,
    GAP_UNCERTAINTY,
    GAPS_OF_MEMBERS,
    LEVELS,
    LEVELS_OF_MEMBERS,
    LEVELS_UNCERTAINTY,
    MATRIX,
)
from ...short_repr import short_repr
from ..members import MemberError, spread
from ..response import Response, refuse_unavailable
from ..structures import Batch
from ..training.envelope import Envelope
from .charge import charge_of_molecules
from .hamiltonian import BlockModel
from .isolation import isolated
from .levels import Levels

OUTSIDE = "envelope_distance"
OF_MEMBERS = (LEVELS_OF_MEMBERS, GAPS_OF_MEMBERS, LEVELS_UNCERTAINTY, GAP_UNCERTAINTY)


@dataclass(frozen=True, repr=False)
class HamiltonianModel:
    """Hamiltonians of molecules, in orthogonal orbitals or with an overlap.

    Parameters
    ----------
    hamiltonian : BlockModel
        In eV.
    overlap : BlockModel, optional
    metadata : mapping
        Provenance, licence, errors.
    charge : float, optional
        Of the molecules, in e; by default what a batch says, else the metadata, 0 if nothing.  A batch that says
        another one is refused.
    calibration : float
        α that deviations of members are multiplied by, so that levels of members differ as much as levels are wrong.
    """

    hamiltonian: BlockModel
    overlap: BlockModel | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    charge: float | None = None
    calibration: float = 1.0

    __repr__ = short_repr

    @property
    def species(self) -> tuple[int, ...]:
        """Atomic numbers that can be evaluated."""
        return self.hamiltonian.basis.numbers

    @property
    def properties(self) -> tuple[str, ...]:
        """Properties that can be asked for."""
        of_members = OF_MEMBERS if self.members else ()
        return (LEVELS, GAP, MATRIX, *of_members, *(() if self.envelope is None else (OUTSIDE,)))

    @property
    def members(self) -> int:
        """How many there are of a committee; 0 without one."""
        return self.hamiltonian.members

    def member(self, index: int) -> HamiltonianModel:
        """One member alone, a Hamiltonian without members.

        Raises
        ------
        MemberError
            If there is no such member.
        """
        if not 0 <= index < self.members:
            allowed = f"0 to {self.members - 1}" if self.members else "Hamiltonians of a fit with [committee]"
            raise MemberError(f"member {index} of a Hamiltonian with {self.members} members; allowed are {allowed}")
        overlap = None if self.overlap is None else self.overlap.member(index, self.calibration)
        return replace(self, hamiltonian=self.hamiltonian.member(index, self.calibration), overlap=overlap)

    @cached_property
    def envelope(self) -> Envelope | None:
        """What its training has seen; None where the file does not say."""
        return Envelope.of(self.metadata, len(self.species), self.hamiltonian.density.shape.channels)

    def levels(self, batch: Batch) -> Levels:
        """Levels and orbitals of every bead.

        Raises
        ------
        StructureError
            If an image is within reach, an element has no orbitals, atoms overlap, or the batch says another charge
            than `charge`.
        OrbitalError
            If the electrons do not fit into the orbitals, or the overlap is not positive.
        """
        matrices = self.hamiltonian.matrices(batch)
        overlap = None if self.overlap is None else self.overlap.matrices(batch)
        return Levels.of(matrices, overlap, self._electrons(batch))

    def levels_of_members(self, batch: Batch) -> tuple[Levels, list[Levels]]:
        """Those of the model, and of each member, from one pass over the features.

        Raises
        ------
        StructureError, OrbitalError
            As `levels`.
        """
        matrices, of_members = self.hamiltonian.matrices_of_members(batch, self.calibration)
        overlap, overlaps = None, [None] * self.members
        if self.overlap is not None:
            overlap, of_all = self.overlap.matrices_of_members(batch, self.calibration)
            overlaps = list(of_all.swapaxes(0, 1))
        electrons = self._electrons(batch)
        pairs = zip(of_members.swapaxes(0, 1), overlaps, strict=True)
        return Levels.of(matrices, overlap, electrons), [Levels.of(*own, electrons) for own in pairs]

    def _electrons(self, batch: Batch) -> float:
        charge = charge_of_molecules(self.charge, batch, self.metadata)
        return self.hamiltonian.basis.neutral_electrons(batch.numbers) - charge

    def matrices(self, batch: Batch) -> np.ndarray:
        """Hamiltonians in eV in the order of quantum chemistry (p as x, y, z), (beads, orbitals, orbitals)."""
        return self._in_order_of_labels(self.hamiltonian.matrices(batch), batch)

    def overlaps(self, batch: Batch) -> np.ndarray | None:
        """Overlaps in the same order; None in orthogonal orbitals."""
        return None if self.overlap is None else self._in_order_of_labels(self.overlap.matrices(batch), batch)

    def free_energy_gradient(self, batch: Batch, temperature: float) -> np.ndarray:
        """Gradient of the electrons' free energy, Tr P dH − Tr W dS, in eV/Å, shape (beads, atoms, 3).

        Parameters
        ----------
        batch : Batch
        temperature : float
            Of the electrons, in K.
        """
        density, weighted = self.levels(batch).densities(temperature)
        gradient = self.hamiltonian.pull_back(batch, density)
        return gradient if self.overlap is None else gradient - self.overlap.pull_back(batch, weighted)

    def evaluate(self, batch: Batch, want: Sequence[str]) -> Response:
        """Answer the wanted properties for every bead.

        Raises
        ------
        PropertyError
            If a wanted property is not available.
        StructureError, OrbitalError
            As `levels`.
        """
        refuse_unavailable(want, self.properties, "this Hamiltonian")
        arrays: dict[str, np.ndarray] = {}
        if set(want) & set(OF_MEMBERS):
            levels, of_members = self.levels_of_members(batch)
            arrays |= _of_levels(levels, want) | _of_members(of_members, want)
        elif LEVELS in want or GAP in want:
            arrays |= _of_levels(self.levels(batch), want)
        if MATRIX in want:
            matrices = self.matrices(batch)
            rows, columns = np.triu_indices(matrices.shape[1])
            arrays[MATRIX] = matrices[:, rows, columns]
        if OUTSIDE in want:
            assert self.envelope is not None
            density = self.hamiltonian.density
            own = density.density(isolated(batch, self.hamiltonian.reach))[:, :, 0]
            arrays[OUTSIDE] = self.envelope.distances(own, density.species_indices(batch.numbers)).max(
                axis=1, initial=0.0
            )
        return Response(**{name: arrays[name] for name in want})

    def _in_order_of_labels(self, matrices: np.ndarray, batch: Batch) -> np.ndarray:
        order = self.hamiltonian.basis.order_of_labels(batch.numbers)
        found = np.empty_like(matrices)
        found[:, order[:, None], order] = matrices
        return found


def _of_levels(levels: Levels, want: Sequence[str]) -> dict[str, np.ndarray]:
    return {LEVELS: levels.energies} | ({GAP: levels.gap} if GAP in want else {})  # of an odd number there is no gap


def _of_members(levels: Sequence[Levels], want: Sequence[str]) -> dict[str, np.ndarray]:
    """What members say, shapes (beads, members, …), and how far they are apart."""
    arrays = {LEVELS_OF_MEMBERS: np.stack([own.energies for own in levels], axis=1)}
    arrays[LEVELS_UNCERTAINTY] = spread(LEVELS, arrays[LEVELS_OF_MEMBERS])
    if {GAPS_OF_MEMBERS, GAP_UNCERTAINTY} & set(want):
        arrays[GAPS_OF_MEMBERS] = np.stack([own.gap for own in levels], axis=1)
        arrays[GAP_UNCERTAINTY] = spread(GAP, arrays[GAPS_OF_MEMBERS])
    return arrays
