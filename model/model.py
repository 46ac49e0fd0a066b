"""The integrated model: one density expansion, read by the heads of every quantity."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..errors import StructureWarning
from ..potentials.equivariant_network import EquivariantNetwork
from ..potentials.invariant_network import InvariantNetwork
from ..potentials.repulsion import repulsion_table
from ..properties.curves import EnergyCurves
from ..properties.density_of_states import ROOM_TEMPERATURE
from ..properties.quantities import properties, quantities
from ..pyx.kernel import Kernel
from ..pyx.tensor_head import DensityShape, TensorHead
from ..short_repr import short_repr
from .answers import WARNED, assemble
from .checks import CLOSEST_ALLOWED, check_cells, check_model, refuse_overlap
from .electric_field import NO_FIELD, Field, add_energy_row, checked_field, checked_order, with_needed
from .electrons.answers import ElectronsOfModel, add_electronic_row, forms_of
from .electrons.file import check_curves
from .errors import as_structure_error
from .lode.energy import LongRangeEnergy
from .members import Members, member_heads, member_rows, ordinary_of
from .molecules import repeating_unit
from .outputs import Layout, empty_head, wants_samples
from .passes.availability import is_available
from .passes.values import values_of_heads
from .radial import INTERVALS, RadialBasis
from .response import Response, refuse_unavailable
from .structures import Batch, indices_of_species
from .summary import summary
from .training.envelope import Envelope
from .training.periodicity import always_had_images, warning_of, what_is_missing

SKIN = 0.5  # Å: a list then lasts some tens of steps in liquid water


@dataclass(frozen=True, repr=False)
class Repulsion:
    """Where the short-range guard acts: ``onset`` (species, species) in Å; one strength, or (species, species)."""

    onset: np.ndarray
    strength: float | np.ndarray

    __repr__ = short_repr


@dataclass(repr=False)
class Model:
    """A fitted model; `evaluate` answers a batch of beads.

    Parameters
    ----------
    numbers : tuple of int
        Atomic numbers of the species, ascending.
    l_max : int
        Highest angular momentum of the density.
    radial : RadialBasis
    heads : mapping of str to TensorHead
        Those of `beadwise.properties.quantities.heads`: ``energy``, ``dipole``, ``polarizability_isotropic`` …
    repulsion : Repulsion
        Added to the energy.
    local_field : bool
        Whether quantities with a map of the cell are fitted before it: the polarizability heads are then additive local
        polarizabilities, to be mapped by Clausius–Mossotti.
    network : InvariantNetwork, optional
        Nonlinear part of the energy, added to that of the energy head.
    equivariant : EquivariantNetwork, optional
        Added to the heads that it names, energy included.
    groups : tuple of int, optional
        Group of neighbours to whose channels of the density each species adds; by default each its own.
    metadata : dict
        Provenance, licence, validation errors: whatever the file says beyond what is evaluated.
    threads : int
        Threads for an evaluation.
    electric_field : tuple of float
        Static field in V/Å that energy, forces and virial are evaluated in; everything else stays what it is without
        (see `beadwise.model.electric_field`).  It is not written to a model file.
    field_order : int
        1 or 2; to second order dipole and Born charges are those in the field, too.
    precision : str
        ``double``, or ``single`` as by `beadwise.model.evaluators.with_precision`; it is not written to a model file.
    baseline : str
        Name of the potential that the energy is a correction to, as `beadwise.model.evaluators.load_evaluator` takes
        it; empty if the energy is the whole.  What is evaluated here is the correction alone.
    members : Members, optional
        Of a committee whose mean the model is.
    curves : EnergyCurves, optional
        Axis and basis of the density of states, if there is one.
    long_range : LongRangeEnergy, optional
        Added to the energy.
    electronic_temperature : float
        In K, of what follows from a density of states; it is not written to a model file.
    source : str
        What it was loaded from: the name of a shipped model, or the path of a file; empty if it was made here.

    Raises
    ------
    ModelFileError
        If parts do not belong together.
    PropertyError
        If the electric field is not finite, or there is no dipole head.
    """

    numbers: tuple[int, ...]
    l_max: int
    radial: RadialBasis
    heads: Mapping[str, TensorHead]
    repulsion: Repulsion
    local_field: bool = True
    network: InvariantNetwork | None = None
    equivariant: EquivariantNetwork | None = None
    groups: tuple[int, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)
    threads: int = 1
    electric_field: Field = NO_FIELD
    field_order: int = 1
    precision: str = "double"
    baseline: str = ""
    members: Members | None = None
    curves: EnergyCurves | None = None
    electronic_temperature: float = ROOM_TEMPERATURE
    long_range: LongRangeEnergy | None = None
    source: str = field(default="", compare=False)
    _seen: tuple[int, bytes] | None = field(default=None, init=False, compare=False)
    _has_warned: bool = field(default=False, init=False, compare=False)
    _seen_with_charge: tuple[int, bytes] | None = field(default=None, init=False, compare=False)
    _properties: tuple[tuple, tuple[str, ...]] | None = field(default=None, init=False, compare=False)

    def __post_init__(self) -> None:
        self.groups = tuple(self.groups) or tuple(range(len(self.numbers)))
        check_model(self)
        check_curves(self)
        self.electric_field = checked_field(self.electric_field, self.properties)
        self.field_order = checked_order(self.field_order, self.electric_field, self.properties)
        self._properties = None

    __repr__ = summary

    @property
    def species(self) -> tuple[int, ...]:
        """Atomic numbers that can be evaluated."""
        return self.numbers

    @property
    def quantities(self) -> tuple[str, ...]:
        """Quantities that it has all heads of."""
        return tuple(name for name, own in quantities().items() if all(head.name in self.heads for head in own.heads))

    @property
    def properties(self) -> tuple[str, ...]:
        """Properties that can be asked for."""
        # asked in every evaluation, while members, molecule and registry hardly ever change
        state = (properties(), self.heads, self.members, self.repeating_unit, self.envelope)
        kept = self._properties
        if kept is None or any(own is not before for own, before in zip(state, kept[0], strict=True)):
            of_members = () if self.members is None else self.members.properties
            present = {*self.quantities, *of_members}
            kept = state, tuple(name for name, one in properties().items() if is_available(self, one, present))
            self._properties = kept
        return kept[1]

    def __getstate__(self) -> dict[str, Any]:
        """What a copy, or another process, needs; the rest is made again there."""
        made_again = ("kernel", "member_kernel", "layout", "additive", "electrons")
        return {name: own for name, own in vars(self).items() if name not in made_again} | {"_properties": None}

    @cached_property
    def layout(self) -> Layout:
        """Heads and outputs of the kernel."""
        return Layout(self.quantities, forms_of(self.curves))

    @cached_property
    def electrons(self) -> ElectronsOfModel:
        """Electrons in the density of states, at the electronic temperature."""
        assert self.curves is not None
        return ElectronsOfModel(self.curves, self.electronic_temperature)

    @cached_property
    def envelope(self) -> Envelope | None:
        """The densities that were seen in training; None if the metadata do not tell."""
        return Envelope.of(self.metadata, len(self.numbers), self.shape.channels)

    @property
    def repeating_unit(self) -> tuple[int, ...] | None:
        """Atomic numbers of the molecule that the model was made for; None if it does not name one."""
        return repeating_unit(self.metadata)

    @property
    def shape(self) -> DensityShape:
        """Sizes of the density."""
        return DensityShape(len(self.numbers), self.radial.radial, self.l_max, max(self.groups) + 1)

    @property
    def is_in_field(self) -> bool:
        """Whether there is an electric field."""
        return self.electric_field != NO_FIELD

    @property
    def is_polarized(self) -> bool:
        """Whether there is one to second order."""
        return self.is_in_field and self.field_order > 1

    @cached_property
    def kernel(self) -> Kernel:
        """The compiled kernel with this model's tables, and the neighbour lists of the beads it has seen."""
        return self._make_kernel([])

    @cached_property
    def member_kernel(self) -> Kernel:
        """The same with the deviations of all members as further heads, each member's in the order of the layout."""
        assert self.members is not None
        heads = [
            self.members.deviations[name][member] if name in self.members.deviations else self._empty_head(name)
            for member in range(self.members.count)
            for name in self.layout.heads
        ]
        return self._make_kernel(heads)

    @cached_property
    def additive(self) -> Model:
        """The same in no field and without a map of the cell, with the same kernel and its lists of neighbours."""
        model = replace(self, electric_field=NO_FIELD, field_order=1, local_field=False)
        model.__dict__ |= {"kernel": self.kernel, "_has_warned": True, "_seen_with_charge": WARNED}  # by this one
        return model

    def _make_kernel(self, further: Sequence[TensorHead]) -> Kernel:
        padded, own = self.shape.padded_radial, self.repulsion
        precision = {"single": True} if self.precision == "single" and not further else {}
        heads = [head.kernel_form() for head in (*map(self.head, self.layout.heads), *further)]
        if self.network is not None:  # evaluates the energy head as well
            heads[0] = replace(empty_head(0, self.shape), offset=self.head("energy").offset).kernel_form()
        return Kernel(
            self.radial.spline_table(padded),
            repulsion_table(self.numbers, own.onset, own.strength, self.radial.cutoff, INTERVALS),
            np.ascontiguousarray(own.onset, dtype=np.float64),
            self.l_max,
            self.radial.cutoff,
            SKIN,
            np.array(self.groups, dtype=np.int32),
            heads,
            None if self.network is None else self.network.kernel_form(self.head("energy")),
            None if self.equivariant is None else self.equivariant.kernel_form(list(self.layout.heads)),
            **precision,
        )

    def head(self, name: str) -> TensorHead:
        """A head by name; one without weights where the model has none."""
        return self.heads[name] if name in self.heads else self._empty_head(name)

    def _empty_head(self, name: str) -> TensorHead:
        own = self.layout.heads[name]
        return empty_head(own.order, self.shape, own.parity)

    def in_field(self, electric_field: Sequence[float], order: int = 1) -> Model:
        """The same model in a static electric field in V/Å, to first or second order.

        Raises
        ------
        PropertyError
            If the field is not three finite numbers, or there is no dipole head, or to second order no polarizability.
        """
        return replace(self, electric_field=checked_field(electric_field, self.properties), field_order=order)

    def species_indices(self, numbers: np.ndarray) -> np.ndarray:
        """Species indices of atomic numbers.

        Raises
        ------
        StructureError
            If a species is unknown to the model.
        """
        return indices_of_species(self.numbers, numbers)

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
            If a species is unknown, a cell is too flat, two atoms overlap, or molecular properties are wanted of
            atoms that do not stand molecule by molecule.
        """
        return self.assemble(batch, want, self.evaluate_part(batch, want, 0, 1))

    def evaluate_part(self, batch: Batch, want: Sequence[str], part: int, parts: int) -> list[np.ndarray]:
        """Evaluate one of several parts of the atoms of all beads, as processes do that share a batch.

        Parameters
        ----------
        batch, want
            As of `evaluate`.
        part, parts : int
            Which of so many parts.

        Returns
        -------
        list of ndarray of float64
            Arrays of the same shapes for every part, whose sums over the parts `assemble` takes.

        Raises
        ------
        PropertyError, StructureError
            As `evaluate`; what is wrong with two atoms is found in the part of one of them.
        """
        refuse_unavailable(want, self.properties, "this model")
        species = self.species_indices(batch.numbers)
        check_cells(batch)
        if part == 0:
            self.warn_without_cell(batch)
        beads, atoms, shape = batch.beads, batch.atoms, self.shape
        want = with_needed(want) if self.is_polarized else want
        kernel, heads, rows = self._asked_of_kernel(want)
        rows_of_beads = np.repeat(rows[None], beads, axis=0)
        if self.is_polarized and ("forces" in want or "virial" in want):
            add_energy_row(self, batch, rows_of_beads)
        add_electronic_row(self, batch, want, rows_of_beads)
        values = np.zeros((beads, atoms, rows.shape[1]))
        gradients = np.zeros((beads, len(rows), atoms, 3))
        strains = np.zeros((beads, len(rows), 3, 3))
        density = None
        if "envelope_distance" in want:
            density = np.zeros((beads, atoms, shape.harmonics, shape.groups * shape.padded_radial))
        where = species, batch.positions, batch.cells, batch.periodic
        with as_structure_error():
            overlap = kernel.evaluate(
                *where,
                heads,
                rows_of_beads,
                values,
                gradients,
                strains,
                CLOSEST_ALLOWED,
                self.threads,
                density,
                part,
                parts,
                not wants_samples(want),
            )
            if self.long_range is not None and part == 0:
                self.long_range.add(batch, species, rows_of_beads, values, gradients, strains)
        refuse_overlap(overlap)
        sums = [values.sum(axis=1), gradients, strains]
        if density is not None:
            # zeros for the atoms of other parts; in one piece, as processes send it
            sums.append(np.ascontiguousarray(density[:, :, 0][..., shape.padded_places]))
        return [*sums, values] if wants_samples(want) else sums

    def warn_without_cell(self, batch: Batch) -> None:
        """Warn once of what has no periodic images, if all that was seen in training had."""
        seen = batch.atoms, batch.periodic.tobytes()
        if self._has_warned or seen == self._seen:  # dynamics is not to pay for it
            return
        self._seen = seen
        missing = what_is_missing(batch, self.radial.cutoff) if always_had_images(self.metadata) else ""
        if missing:
            self._has_warned = True
            text = warning_of(missing, batch.atoms, self.radial.cutoff, self.source)
            warnings.warn(text, StructureWarning, stacklevel=2)

    def _asked_of_kernel(self, want: Sequence[str]) -> tuple[Kernel, list[bool], np.ndarray]:
        """The kernel, which heads' values are wanted of it, and which combinations of outputs it differentiates."""
        layout = self.layout
        if self.members is None or not ordinary_of(want):
            return self.kernel, *layout.asked_of_kernel(want, self.electric_field)
        heads = member_heads(layout, want, self.members.count, self.is_in_field)
        return self.member_kernel, heads, member_rows(layout, want, self.members, self.electric_field)

    def assemble(self, batch: Batch, want: Sequence[str], sums: Sequence[np.ndarray]) -> Response:
        """Answer the wanted properties from what `evaluate_part` gives, summed over all parts.

        Raises
        ------
        StructureError
            If a cell is so dense that the local field diverges, or molecular properties are wanted of atoms that do
            not stand molecule by molecule.
        """
        return assemble(self, batch, want, sums)

    def density(self, batch: Batch) -> np.ndarray:
        """Density coefficients, shape (beads, atoms, harmonics, channels); channel = (neighbour species, n)."""
        shape = self.shape
        padded = np.zeros((batch.beads, batch.atoms, shape.harmonics, shape.groups * shape.padded_radial))
        values_of_heads(self, batch, (), padded)
        return padded[..., shape.padded_places]
