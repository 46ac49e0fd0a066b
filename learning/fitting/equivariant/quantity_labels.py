"""Labels of quantities for an equivariant network, less what the linear heads of a model say of them already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ....model import Batch, Model
from ....model.answers import values_of_atoms
from ....properties.quantities import quantities
from ....quantity import Head, Quantity
from ...data import Frame
from ...data.branches import folded
from ..polarization.derivatives import derivative_components, derivative_label
from ..target_fit import Target, targets_of

DIPOLE, CHARGES = "dipole", "partial_charges"


@dataclass(frozen=True)
class QuantityLabels:
    """What one frame says of a quantity, beyond what a model knows.

    Parameters
    ----------
    targets : tuple of Target
        Remainders that the atoms of samples must add up to; NaN where there is no label.
    known : tuple of ndarray of float64, shapes (samples, components)
        What the model adds to each of them.
    derivative : ndarray of float64, shape (atoms, 3, components), or None
        Remainders of derivatives by positions; NaN for atoms without a label.
    volume : float
        Of the cell in Å³, where its values are mapped; else 0.
    weight : float
        Of the frame.
    quantum : ndarray of float64, shape (quanta, 3), or None
        What a dipole of the frame is known up to.
    places : ndarray of float64, shape (atoms, 3), or None
        Positions about their mean in Å, where charges of the network are a part of the dipole.
    """

    targets: tuple[Target, ...]
    known: tuple[np.ndarray, ...]
    derivative: np.ndarray | None
    volume: float
    weight: float
    quantum: np.ndarray | None = None
    places: np.ndarray | None = None

    @property
    def atoms(self) -> int:
        """Number of atoms."""
        return len(self.targets[0].sample) if self.derivative is None else len(self.derivative)


@dataclass(frozen=True)
class FittedQuantity:
    """A quantity that a network is fitted to.

    Parameters
    ----------
    quantity : Quantity
    length : float
        What labels of derivatives count, in Å; see `beadwise.learning.fitting.polarization.derivatives`.
    weight : float
        Of its loss among those of all quantities, each relative to that of no network.
    metadata : object
        Of the fit: charges that move with atoms, and the molecule that labels of molecules are of.
    has_charges : bool
        Whether charges that the network gives are a part of it; see `NeutralCharges`.
    """

    quantity: Quantity
    length: float
    weight: float
    metadata: object
    has_charges: bool = False

    @property
    def name(self) -> str:
        """Of the quantity."""
        return self.quantity.name

    @property
    def heads(self) -> tuple[Head, ...]:
        """Heads that a network can add to: no pseudotensors, which products of one density's channels do not make."""
        return tuple(head for head in self.quantity.heads if head.parity == 1)

    @property
    def charge_heads(self) -> tuple[Head, ...]:
        """The head of its charges, if it has some."""
        return quantities()[CHARGES].heads if self.has_charges else ()

    @property
    def places(self) -> np.ndarray:
        """Where their components stand among those of the quantity."""
        every = np.arange(self.quantity.components)
        return np.concatenate([every[head.place] for head in self.heads])

    def labels_of(self, model: Model, frame: Frame) -> QuantityLabels | None:
        """What a frame says of it beyond a model that has all its heads; None if that is nothing."""
        quantity, form = self.quantity, self.quantity.form
        found = tuple(targets_of(quantity, model, frame, self.metadata))
        derivative = derivative_components(quantity, frame, self.metadata) if self.length else None
        if frame.weight == 0 or (not found and derivative is None):
            return None
        batch = Batch.from_ase(frame.atoms)
        of_atoms = form.components(values_of_atoms(model, batch, quantity.name)[0])
        known = tuple(sum_of(of_atoms, target) for target in found)
        targets = tuple(
            replace(target, components=target.components - own) for target, own in zip(found, known, strict=True)
        )
        if derivative is not None:
            of_model = model.additive.evaluate(batch, (quantity.derivative,))[quantity.derivative][0]
            derivative = derivative - form.components(of_model)
        is_mapped = quantity.cell_map is not None and model.local_field and frame.atoms.pbc.all()
        volume = frame.atoms.get_volume() if is_mapped else 0.0
        quantum = frame.quantum if quantity.name == DIPOLE and frame.is_folded else None
        places = batch.positions[0] - batch.positions[0].mean(axis=0) if self.has_charges else None
        return QuantityLabels(targets, known, derivative, volume, frame.weight, quantum, places)

    def loss_of_nothing(self, labels: Iterable[QuantityLabels | None], frames: int) -> float:
        """What the loss of so many frames is without a network; see `beadwise.learning.fitting.equivariant`."""
        total = 0.0
        for own in filter(None, labels):
            squares = 0.0
            for target in own.targets:
                squares += np.nansum((target.components[:, self.places] * target.scales[:, None]) ** 2)
            if own.derivative is not None:
                squares += self.length**2 * np.nansum(own.derivative[..., self.places] ** 2)
            total += own.weight * squares / (3 * own.atoms)
        return float(total / frames)

    def size(self, labels: Iterable[QuantityLabels | None]) -> float:
        """Typical size of what one atom adds: of derivatives times 1 Å, else of values over roots of atoms."""
        values, derivatives = [np.zeros(0)], [np.zeros(0)]
        for own in filter(None, labels):
            values += [(t.components[:, self.places] * t.scales[:, None]).ravel() for t in own.targets]
            derivatives += [] if own.derivative is None else [own.derivative[..., self.places].ravel()]
        for found in (np.concatenate(derivatives), np.concatenate(values)):
            found = found[np.isfinite(found)]
            if found.any():
                return float(np.sqrt(np.mean(found**2)))
        return 1.0

    def errors_in_units(
        self, errors: Sequence[tuple[QuantityLabels, list[np.ndarray], np.ndarray | None]]
    ) -> dict[str, float]:
        """Root mean square errors of values and derivatives in their units, by what they are called.

        Those of dipoles that are known up to quanta are without whole ones.

        Parameters
        ----------
        errors : sequence of (labels, errors of each target's samples, errors of derivatives)
            As components that the network gives, of shapes (samples, components) and (atoms, 3, components).
        """
        form, values, derivatives = self.quantity.form, [], []
        for labels, of_targets, of_derivatives in errors:
            for target, known, own in zip(labels.targets, labels.known, of_targets, strict=True):
                wanted = target.components + known
                predicted = known.copy()  # of pseudotensors all that there is
                predicted[:, self.places] = wanted[:, self.places] + own
                difference = self._mapped(predicted, labels) - self._mapped(wanted, labels)
                if len(wanted) == 1:
                    difference = folded(difference, labels.quantum)
                values.append(difference[np.isfinite(difference)])
            if of_derivatives is not None:
                assert labels.derivative is not None
                components = -labels.derivative
                components[..., self.places] = of_derivatives
                own = form.cartesian(components)
                derivatives.append(own[np.isfinite(own)])
        named = {self.name: values, derivative_label(self.quantity): derivatives}
        whole = {name: np.concatenate(own) for name, own in named.items() if own}
        return {name: float(np.sqrt(np.mean(own**2))) for name, own in whole.items() if own.size}

    def errors_of_samples(self, model: Model, frames: Sequence[Frame], errors: Mapping[int, np.ndarray]) -> float:
        """Root mean square error of values in their unit, from errors of the samples with a label of some frames.

        Parameters
        ----------
        model : Model
            Tells whether cells are mapped.
        frames : sequence of Frame
        errors : mapping of int to ndarray of float64, shape (samples, components that the network gives)
            By the index of the frame, of all its targets behind each other.
        """
        told = []
        for index, own in errors.items():
            labels, first = self.labels_of(model, frames[index]), 0
            assert labels is not None
            of_targets = []
            for target in labels.targets:
                is_known, _ = target.labelled()
                whole = np.full((len(is_known), own.shape[1]), np.nan)
                whole[is_known] = own[first : first + int(is_known.sum())]
                first += int(is_known.sum())
                of_targets.append(whole)
            told.append((labels, of_targets, None))
        return self.errors_in_units(told)[self.name]

    def _mapped(self, components: np.ndarray, labels: QuantityLabels) -> np.ndarray:
        value, own_map = self.quantity.form.cartesian(components), self.quantity.cell_map
        if not labels.volume or own_map is None or len(components) > 1:
            return value
        return own_map.apply(value, np.full(len(value), labels.volume))


def sum_of(of_atoms: np.ndarray, target: Target) -> np.ndarray:
    """What the atoms of each sample add up to, shape (samples, components)."""
    total = np.zeros(target.components.shape)
    np.add.at(total, target.sample, of_atoms)
    return total


def species_constants(own: FittedQuantity, model: Model, frames: Iterable[Frame]) -> dict[str, np.ndarray]:
    """Constants of scalar heads for each species that fit the labels best, by head, shape (species,).

    The shortest ones where composition does not tell; they say what the mean of a label is, so that a network learns
    what differs between structures.
    """
    heads = [head for head in own.heads if head.order == 0]
    rows, wanted = [np.zeros((0, len(model.numbers)))], [np.zeros((0, len(heads)))]
    for frame in frames if heads else ():
        if frame.weight == 0:
            continue
        species = model.species_indices(frame.atoms.numbers)
        for target in targets_of(own.quantity, model, frame, own.metadata):
            counts = np.zeros((len(target.components), len(model.numbers)))
            np.add.at(counts, (target.sample, species), 1.0)
            scales = np.sqrt(frame.weight) * target.scales[:, None]
            values = target.components[:, [head.place.start for head in heads]]
            is_known = np.isfinite(values).all(axis=1)
            rows.append((scales * counts)[is_known])
            wanted.append((scales * values)[is_known])
    found = np.linalg.lstsq(np.concatenate(rows), np.concatenate(wanted), rcond=None)[0] if len(rows) > 1 else None
    return {} if found is None else {head.name: found[:, k] for k, head in enumerate(heads)}
