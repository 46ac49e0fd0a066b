"""What the kernel gives of an atom, and which of it, and of its gradients, a wanted property needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np

from ..properties.density_of_states import THERMAL_FORCES, THERMAL_VIRIAL
from ..properties.quantities import BUILT_IN, properties, quantities
from ..pyx.coupling import pairs
from ..pyx.tensor_head import DensityShape, TensorHead
from ..quantity import Form, Head, Quantity
from .electric_field import NO_FIELD, Field

ELECTRONIC_ROW = "electronic"  # the gradient of a free energy of electrons

REMEMBERED = 64  # questions whose heads and gradients a layout keeps


class Layout:
    """Heads of the kernel and their outputs: those of the energy first, as the kernel needs it.

    Outputs of all quantities that are built in are there whether a model has them or not: sums over atoms then run in
    the same order for every model, and answers keep every bit.

    Parameters
    ----------
    names : iterable of str
        Quantities that a model has.
    forms : mapping of str to Form
        Of those quantities whose length the model tells.
    """

    def __init__(self, names: Iterable[str], forms: Mapping[str, Form] = MappingProxyType({})):
        names = {*names, *(quantity.name for quantity in BUILT_IN)}
        self.quantities = {
            name: replace(own, form=forms[name]) if name in forms else own
            for name, own in quantities().items()
            if name in names
        }
        self._remembered: tuple[Any, dict[tuple, tuple[list[bool], np.ndarray]]] | None = None

    @cached_property
    def heads(self) -> dict[str, Head]:
        """All heads by name, in the kernel's order."""
        return {head.name: head for quantity in self.quantities.values() for head in quantity.heads}

    @cached_property
    def places(self) -> dict[str, slice]:
        """Where the components of each quantity stand among the outputs."""
        ends = np.cumsum([quantity.components for quantity in self.quantities.values()]).tolist()
        sizes = [quantity.components for quantity in self.quantities.values()]
        return {name: slice(end - size, end) for name, end, size in zip(self.quantities, ends, sizes, strict=True)}

    @cached_property
    def outputs(self) -> int:
        """Components of all heads together."""
        return sum(quantity.components for quantity in self.quantities.values())

    @cached_property
    def derivatives(self) -> dict[str, Quantity]:
        """Quantities by the names of their derivatives, that of the energy apart."""
        return {own.derivative: own for own in self.quantities.values() if own.derivative and own.name != "energy"}

    def cartesian(self, name: str, outputs: np.ndarray) -> np.ndarray:
        """A quantity in its Cartesian form, from outputs (…, outputs)."""
        return self.quantities[name].form.cartesian(outputs[..., self.places[name]])

    def gradient_places(self, want: Sequence[str]) -> dict[str, slice]:
        """Which of the kernel's gradients belong to the energy, and to the derivatives that are wanted."""
        known, asked = self._known_places, tuple(want)
        if asked not in known:
            known[asked] = self._places_of_gradients(asked)
        return known[asked]

    @cached_property
    def _known_places(self) -> dict[tuple[str, ...], dict[str, slice]]:
        return {}

    def _places_of_gradients(self, want: Sequence[str]) -> dict[str, slice]:
        counts = {"energy": int("forces" in want or "virial" in want)}
        counts |= {name: own.components * (name in want) for name, own in self.derivatives.items()}
        counts |= {ELECTRONIC_ROW: int(wants_electronic_forces(want))}
        ends = np.cumsum(list(counts.values())).tolist()
        return {name: slice(end - count, end) for (name, count), end in zip(counts.items(), ends, strict=True)}

    def gradient_rows(self, want: Sequence[str], electric_field: Field = NO_FIELD) -> np.ndarray:
        """Combinations of the outputs whose gradients are wanted, one per row, shape (gradients, outputs)."""
        outputs = np.eye(self.outputs)
        rows = []
        if "forces" in want or "virial" in want:
            # rows are outputs, so that a dipole of all of them is the matrix that takes outputs to the dipole
            rows.append(outputs[:1] - np.array(electric_field) @ self.cartesian("dipole", outputs).T)
        rows += [outputs[self.places[own.name]] for name, own in self.derivatives.items() if name in want]
        if wants_electronic_forces(want):
            rows.append(0 * outputs[:1])  # each bead has its own; see `beadwise.model.electrons`
        return np.concatenate([*rows, outputs[:0]])

    def asked_of_kernel(self, want: Sequence[str], electric_field: Field = NO_FIELD) -> tuple[list[bool], np.ndarray]:
        """`wanted_heads` and `gradient_rows`, remembered, as each step asks for the same; not to be written."""
        registry = properties()
        if self._remembered is None or self._remembered[0] is not registry:
            self._remembered = registry, {}
        known, asked = self._remembered[1], (tuple(want), electric_field)
        if asked not in known:
            if len(known) >= REMEMBERED:  # of fields that change, none is asked for again
                known.clear()
            rows = self.gradient_rows(want, electric_field)
            rows.flags.writeable = False
            known[asked] = self.wanted_heads(want, electric_field != NO_FIELD), rows
        return known[asked]

    def wanted_heads(self, want: Sequence[str], is_in_field: bool = False) -> list[bool]:
        """Which heads' values are wanted, in the order of `heads`; in a field the energy has a part from the dipole."""
        wanted = {
            one.quantity.name for name in want if (one := properties()[name]).quantity and self._reads_value(name)
        }
        if is_in_field and "energy" in want:
            wanted.add("dipole")
        return [quantity.name in wanted for quantity in self.quantities.values() for _ in quantity.heads]

    def _reads_value(self, name: str) -> bool:
        """Whether a property needs the value of its quantity: a derivative does only for the map of a cell."""
        one = properties()[name]
        return one.kind in ("value", "molecular", "electronic") or (
            name in self.derivatives and self.derivatives[name].cell_map is not None
        )

    def energies(self, outputs: np.ndarray, electric_field: Field = NO_FIELD) -> np.ndarray:
        """Energies in a static field, from outputs on the last axis."""
        energies = outputs[..., 0].copy()
        if electric_field != NO_FIELD:
            energies -= self.cartesian("dipole", outputs) @ np.array(electric_field)
        return energies


def wants_samples(want: Sequence[str]) -> bool:
    """Whether anything is wanted atom by atom or molecule by molecule, gradients apart."""
    return any(
        one.kind in ("molecular", "position") or (one.quantity is not None and one.quantity.per != "cell")
        for one in map(properties().__getitem__, want)
    )


def wants_electronic_forces(want: Sequence[str]) -> bool:
    """Whether the gradient of a free energy of electrons is wanted."""
    return THERMAL_FORCES in want or THERMAL_VIRIAL in want


def symmetric(tensors: np.ndarray) -> np.ndarray:
    """Symmetric part of tensors, which stand on the last two axes."""
    return 0.5 * (tensors + np.swapaxes(tensors, -1, -2))


def empty_head(order: int, shape: DensityShape, parity: int = 1) -> TensorHead:
    """A head that gives zero."""
    weights = np.zeros((len(pairs(order, order, parity)), shape.species, shape.channels, shape.channels))
    return TensorHead(
        order,
        replace(shape, l_max=order),
        np.zeros(shape.species),
        np.zeros((shape.species, shape.channels)),
        weights,
        parity,
    )
