"""A model whose atoms have charges: its short-ranged energy, and that of the charges, with all derivatives exact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ...properties.quantities import properties
from ...reading import shown
from ..checks import CLOSEST_ALLOWED, refuse_overlap
from ..electric_field import NO_FIELD, Field, checked_field
from ..electrostatics import COULOMB, Electrostatics
from ..errors import EvaluatorError, StructureError, as_structure_error
from ..model import Model
from ..molecules import check_order, whole_molecules
from ..orbitals.isolation import isolated
from ..passes.values import values_of_heads
from ..response import Response, refuse_unavailable
from ..structures import Batch, is_charge
from .kinds import SAME, Adjoint, Charges, EquilibratedCharges, PlainCharges, TransferredCharges
from .record import EQUILIBRATION, MOLECULES, TRANSFERS, VACUUM, WHOLE_ENERGY, ChargeForm

ACCURACY = 1e-10  # of the sums
OF_ENERGY = ("energy", "forces", "virial")
OF_DIPOLE = ("dipole", "born_charges")


@dataclass(frozen=True)
class Electrostatic:
    """Energy of the charges of a batch, and its derivatives.

    Parameters
    ----------
    energy : ndarray of float64, shape (beads,)
        In eV.
    adjoint : Adjoint
        One column; by the head's numbers in e or eV/e, positions, and strain.
    """

    energy: np.ndarray
    adjoint: Adjoint


@dataclass(frozen=True)
class WithCharges:
    """A model with charges, which its metadata describe (`ChargeForm`).

    Energy, forces and virial are those of its heads and of the charges; the dipole is that of the charges and of the
    local vectors of its dipole head, if it has one; ``partial_charges`` are in e.

    Parameters
    ----------
    model : Model
        With the head that the charges are made of.
    charge : float, optional
        Total charge in e of structures that do not say theirs; by default that of the training, if it had one.
    electric_field : tuple of float
        In V/Å; it acts on the dipole, to first order.

    Raises
    ------
    EvaluatorError
        If the model has no charges, or no molecules where charges are of these, or the charge is no finite number.
    ModelFileError
        If what its file says of charges cannot be.
    """

    model: Model
    charge: float | None = None
    electric_field: Field = NO_FIELD

    def __post_init__(self) -> None:
        if ChargeForm.of(self.model.metadata) is None:
            raise EvaluatorError(
                f"{self.model.source or 'the model'} has no charges; allowed are models fitted with them"
            )
        if self.form.latent not in self.model.quantities:
            raise EvaluatorError(
                f"{self.form.kind} charges need {self.form.latent}, and the model has "
                f"{', '.join(self.model.quantities)}"
            )
        if self.form.groups == MOLECULES and self.model.repeating_unit is None:
            raise EvaluatorError(
                f"charges of {self.model.source or 'the model'} are of neutral molecules, and it names none; "
                "repeating_unit in its metadata is needed"
            )
        if self.charge is not None and not is_charge(self.charge):
            raise EvaluatorError(f"the total charge is {shown(self.charge)}; a finite number in e is needed")

    @cached_property
    def form(self) -> ChargeForm:
        """How charges follow from the head."""
        form = ChargeForm.of(self.model.metadata)
        assert form is not None
        return form

    @property
    def species(self) -> tuple[int, ...]:
        """Atomic numbers that can be evaluated."""
        return self.model.species

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What the model's file says of itself."""
        return self.model.metadata

    @cached_property
    def properties(self) -> tuple[str, ...]:
        """Those of the model, with energy, dipole and what follows from them, and charges."""
        own = {*self.model.properties, "partial_charges", *OF_DIPOLE}
        if "energy" in self.model.quantities:
            own |= set(OF_ENERGY)
        return tuple(name for name in properties() if name in own)

    def in_field(self, electric_field: Sequence[float]) -> WithCharges:
        """The same in a static electric field in V/Å.

        Raises
        ------
        PropertyError
            If it is not three finite numbers.
        """
        return replace(self, electric_field=checked_field(electric_field, self.properties))

    def evaluate(self, batch: Batch, want: Sequence[str]) -> Response:
        """Answer the wanted properties for every bead.

        Raises
        ------
        PropertyError
            If a wanted property is not available.
        StructureError
            As the model does, and if charges have no equilibrium, a total charge is not said, or a dipole is wanted
            that depends on images.
        """
        refuse_unavailable(want, self.properties, "this model with charges")
        own = [name for name in want if name in (*OF_ENERGY, *OF_DIPOLE, "partial_charges")]
        others = [name for name in want if name not in own]
        given = self.model.evaluate(batch, others) if others else Response()
        arrays = {name: given[name] for name in others}
        if own:
            if not others:
                self.model.warn_without_cell(batch)
            arrays |= self._answers(self.surrounded(batch), own)
        return Response(**{name: arrays[name] for name in want})

    def charges(self, batch: Batch) -> Charges:
        """The charges of a batch."""
        batch = self.surrounded(batch)
        return self.charges_of_head(batch, self._head_of(values_of_heads(self.model, batch, (self.form.latent,))))

    def charges_of_head(self, batch: Batch, head: np.ndarray, coulomb: np.ndarray | None = None) -> Charges:
        """The charges where the head says these numbers of the atoms, shape (beads, atoms).

        ``coulomb`` is as for `EquilibratedCharges`.
        """
        form, numbers = self.form, batch.numbers
        totals = self._totals(batch)
        if not batch.atoms:
            return self._of_no_atoms(batch, head, totals)
        if form.kind == EQUILIBRATION:
            widths = form.of_atoms("widths", numbers)
            own = form.of_atoms("hardness", numbers) + COULOMB / (widths * np.sqrt(np.pi))
            return EquilibratedCharges(batch, head, self.sums(batch), own, totals, coulomb)
        if form.kind == TRANSFERS:
            formal = form.of_atoms("formal", numbers)
            if batch.beads and abs(formal.sum() - totals[0]) > SAME:
                raise StructureError(
                    f"the total charge is {totals[0]:+g} e, and formal charges of the atoms add up to "
                    f"{formal.sum():+g} e; both must be the same, as transfers keep their sum"
                )
            return TransferredCharges(batch, head, formal, form.reach)
        if form.groups == MOLECULES and (unit := self.model.repeating_unit):
            if batch.beads and abs(totals[0]) > SAME:
                raise StructureError(
                    f"the total charge is {totals[0]:+g} e, and this model's charges are of neutral molecules; 0 is "
                    "needed"
                )
            check_order(numbers, unit)
            group = np.arange(batch.atoms) // len(unit)
            first, from_first = whole_molecules(batch, unit)
            places = (first[:, :, None] + from_first).reshape(batch.positions.shape)
            return PlainCharges(batch, head, group, np.zeros((batch.beads, batch.atoms // len(unit))), places)
        return PlainCharges(batch, head, np.zeros(batch.atoms, dtype=int), totals[:, None])

    @staticmethod
    def _of_no_atoms(batch: Batch, head: np.ndarray, totals: np.ndarray) -> PlainCharges:
        if totals.any():
            raise StructureError(f"the total charge is {totals[0]:+g} e, and there are no atoms; 0 is needed")
        return PlainCharges(batch, head, np.zeros(0, dtype=int), np.zeros((batch.beads, 0)))

    def sums(self, batch: Batch) -> Electrostatics:
        """The Coulomb interaction of the Gaussian charges of a batch."""
        widths = self.form.of_atoms("widths", batch.numbers)
        return Electrostatics(
            batch.positions, batch.cells, batch.periodic, widths, accuracy=ACCURACY, threads=self.model.threads
        )

    def surrounded(self, batch: Batch) -> Batch:
        """The batch, without a cell where the training had none."""
        if self.form.boundary != VACUUM or not batch.periodic.any():
            return batch
        return isolated(batch, self.model.radial.cutoff, "this model's charges are")

    def electrostatic(self, batch: Batch) -> Response:
        """Energy, forces and virial of the charges alone, with all that charges change with."""
        batch = self.surrounded(batch)
        charges = self.charges_of_head(batch, self._head_of(values_of_heads(self.model, batch, (self.form.latent,))))
        found = self._electrostatic(batch, charges)
        combinations = self._combinations(batch, 1)
        combinations[:, 0, :, self._place] = found.adjoint.by_head[:, 0]
        gradients, strains = self._swept(batch, combinations)
        forces, strain = -(gradients + found.adjoint.gradients)[:, 0], (strains + found.adjoint.strains)[:, 0]
        return Response(energy=found.energy, forces=forces, virial=-0.5 * (strain + np.swapaxes(strain, 1, 2)))

    # ---------------------------------------------------------------------------------------------------------------

    @property
    def _place(self) -> int:
        """Output of the kernel that the charges are made of."""
        return self.model.layout.places[self.form.latent].start

    def _totals(self, batch: Batch) -> np.ndarray:
        """Total charge of every bead."""
        said = batch.charge if batch.charge is not None else self.charge
        if said is None and len(self.form.totals) > 1:
            known = ", ".join(f"{total:+g}" for total in self.form.totals)
            raise StructureError(
                f"the total charge of the structure is not said, and the model was fitted to {known} e; say which, as "
                "charges:charge=1,MODEL, or by a charge of the frame"
            )
        return np.full(batch.beads, self.form.totals[0] if said is None else said)

    def _head_of(self, outputs: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(outputs[..., self._place])

    def _electrostatic(self, batch: Batch, charges: Charges) -> Electrostatic:
        values = charges.values
        if not self.form.has_energy:
            return Electrostatic(np.zeros(batch.beads), Adjoint.zeros(batch.beads, 1, batch.atoms))
        sums = charges.sums if isinstance(charges, EquilibratedCharges) else self.sums(batch)
        found = sums.energy(values)
        explicit = Adjoint(np.zeros((batch.beads, 1, batch.atoms)), -found.forces[:, None], -found.virial[:, None])
        own = COULOMB / (self.form.of_atoms("widths", batch.numbers) * np.sqrt(np.pi))
        if self.form.energy == WHOLE_ENERGY and isinstance(charges, EquilibratedCharges):
            # at its minimum: nothing follows from how charges change
            own = own + self.form.of_atoms("hardness", batch.numbers)
            energy = found.energy + 0.5 * (own * values**2).sum(axis=1) + (charges.head * values).sum(axis=1)
            return Electrostatic(energy, Adjoint(values[:, None], explicit.gradients, explicit.strains))
        by_charge = found.by_charge + own * values
        energy = found.energy + 0.5 * (own * values**2).sum(axis=1)
        return Electrostatic(energy, explicit + charges.adjoint(by_charge[:, None]))

    def _combinations(self, batch: Batch, rows: int) -> np.ndarray:
        return np.zeros((batch.beads, rows, batch.atoms, self.model.layout.outputs))

    def _swept(self, batch: Batch, combinations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Gradients and strains of combinations of the outputs of each atom."""
        beads, rows, atoms, outputs = combinations.shape
        gradients, strains = np.zeros((beads, rows, atoms, 3)), np.zeros((beads, rows, 3, 3))
        with as_structure_error():
            overlap = self.model.kernel.evaluate(
                self.model.species_indices(batch.numbers),
                batch.positions,
                batch.cells,
                batch.periodic,
                [False] * len(self.model.layout.heads),
                combinations,
                np.zeros((beads, atoms, outputs)),
                gradients,
                strains,
                CLOSEST_ALLOWED,
                self.model.threads,
            )
        refuse_overlap(overlap)
        return gradients, strains

    def _answers(self, batch: Batch, want: Sequence[str]) -> dict[str, np.ndarray]:
        layout, field = self.model.layout, np.array(self.electric_field)
        is_in_field = self.electric_field != NO_FIELD and any(name in OF_ENERGY for name in want)
        needs_energy = any(name in OF_ENERGY for name in want)
        needs_dipole = is_in_field or any(name in OF_DIPOLE for name in want)
        heads = [self.form.latent, *(["energy"] if "energy" in want else [])]
        has_vectors = "dipole" in self.model.quantities
        outputs = values_of_heads(self.model, batch, [*heads, *(["dipole"] if needs_dipole and has_vectors else [])])
        charges = self.charges_of_head(batch, self._head_of(outputs))
        arrays = {"partial_charges": charges.values}
        electrostatic = self._electrostatic(batch, charges) if needs_energy else None
        if electrostatic is not None:
            arrays["energy"] = outputs[..., 0].sum(axis=1) + electrostatic.energy
        of_dipole = None
        if needs_dipole:
            self.refuse_images(batch)
            arrays["dipole"], of_dipole = charges.dipole()
            if has_vectors:
                arrays["dipole"] = arrays["dipole"] + layout.cartesian("dipole", outputs.sum(axis=1))
        if is_in_field:
            arrays["energy"] = arrays["energy"] - arrays["dipole"] @ field
        with_forces, with_born = "forces" in want or "virial" in want, "born_charges" in want
        combinations = self._combinations(batch, with_forces + 3 * with_born)
        # rows are outputs, so that a dipole of all of them is the matrix that takes outputs to the dipole
        vectors = layout.cartesian("dipole", np.eye(layout.outputs)).T if has_vectors else np.zeros((3, layout.outputs))
        explicit = Adjoint.zeros(batch.beads, combinations.shape[1], batch.atoms)
        if with_forces and electrostatic is not None:
            combinations[:, 0, :, 0] = 1.0
            combinations[:, 0] -= field @ vectors if is_in_field else 0.0
            _put(explicit, 0, electrostatic.adjoint, np.ones((1, 1)))
            if is_in_field and of_dipole is not None:
                _put(explicit, 0, of_dipole, -field[None])
        if with_born and of_dipole is not None:
            combinations[:, int(with_forces) :] += vectors[:, None]
            _put(explicit, int(with_forces), of_dipole, np.eye(3))
        combinations[..., self._place] += explicit.by_head
        if combinations.shape[1]:
            gradients, strains = self._swept(batch, combinations)
            gradients, strains = gradients + explicit.gradients, strains + explicit.strains
            if with_forces:
                arrays["forces"] = -gradients[:, 0]
                strain = strains[:, 0]
                arrays["virial"] = -strain if is_in_field else -0.5 * (strain + np.swapaxes(strain, 1, 2))
            if with_born:
                arrays["born_charges"] = np.moveaxis(gradients[:, int(with_forces) :], 1, 3)
        return arrays

    def has_dipole(self, batch: Batch) -> bool:
        """Whether the dipole of a batch does not depend on the images that atoms are in."""
        return not self.surrounded(batch).periodic.any() or self.form.kind == TRANSFERS or self.form.groups == MOLECULES

    def refuse_images(self, batch: Batch) -> None:
        """Refuse the dipole of charges that are not moved along bonds where positions have images.

        Raises
        ------
        StructureError
        """
        if self.has_dipole(batch):
            return
        raise StructureError(
            f"the dipole of {self.form.kind} charges in a periodic cell depends on the image that each atom is in; "
            "allowed are structures without a cell, transfers, and plain charges of neutral molecules"
        )


def _put(to: Adjoint, first: int, columns: Adjoint, factors: np.ndarray) -> None:
    """Add combinations of columns, factors (rows, columns), to rows from the first on, in place."""
    for name in ("by_head", "gradients", "strains"):
        rows = slice(first, first + len(factors))
        getattr(to, name)[:, rows] += np.einsum("rc,bc...->br...", factors, getattr(columns, name))


def charges_of(model: Model, charge: float | None = None) -> Model | WithCharges:
    """The model with its charges, if it has some."""
    return model if ChargeForm.of(model.metadata) is None else WithCharges(model, charge)
