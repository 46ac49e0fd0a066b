"""Heads of all quantities but the energy, from labels of frames, of their molecules and of their atoms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ...model import Batch, Model
from ...model.molecules import check_order, dipoles_of_charges, repeating_unit
from ...model.training.net_charge import charges_of_atoms
from ...properties.quantities import quantities
from ...pyx.coupling import pairs
from ...pyx.tensor_head import DensityShape, features_of_parts
from ...quantity import Irrep, Quantity
from ..data import DataError, Frame, labels
from .configuration import ConfigurationError
from .least_squares import NormalEquations
from .polarization.derivatives import add_derivatives, derivative_label


@dataclass(frozen=True)
class Target:
    """What one label of a frame says of a quantity.

    Parameters
    ----------
    components : ndarray of float64, shape (samples, components)
        That the atoms of each sample add up to.
    sample : ndarray of int, shape (atoms,)
        Which sample each atom belongs to.
    weight : float
        What its rows count besides those of other labels of the frame.
    """

    components: np.ndarray
    sample: np.ndarray
    weight: float = 1.0

    @property
    def scales(self) -> np.ndarray:
        """Weight of each sample: errors of a sum of local terms grow with the root of their number."""
        return np.sqrt(self.weight / np.bincount(self.sample, minlength=len(self.components)))

    def labelled(self) -> tuple[np.ndarray, np.ndarray]:
        """Which samples have a label, shape (samples,), and the place among these of each atom's; −1 for none."""
        is_known = np.isfinite(self.components).all(axis=1)  # atoms and molecules may have no label
        return is_known, np.where(is_known, np.cumsum(is_known) - 1, -1)[self.sample]


def targets_of(quantity: Quantity, model: Model, frame: Frame, metadata: object) -> Iterator[Target]:
    """What the labels of a frame say of a quantity; those of a cell in the additive form, without the map of the cell.

    Parameters
    ----------
    quantity : Quantity
    model : Model
        Tells whether cells are mapped.
    frame : Frame
    metadata : object
        Of the fit; its ``repeating_unit`` is the molecule that labels of molecules are of.

    Raises
    ------
    ConfigurationError
        If there are labels of molecules, and no ``repeating_unit``.
    DataError
        If there is another number of molecules.
    """
    atoms = len(frame.atoms)
    for name, label in labels().items():
        if label.quantity is not quantity or name not in frame.labels or name == derivative_label(quantity):
            continue
        values = frame.labels[name]
        if label.per == "cell":
            value = cell_components(quantity, model, frame, values, metadata)
            yield Target(value[None], np.zeros(atoms, dtype=int), frame.label_weights.get(name, 1.0))
        elif label.per == "atom":
            yield Target(quantity.form.components(values), np.arange(atoms))
        else:
            sample = molecule_of_atoms(frame, metadata, name, len(values))
            if quantity.name == "dipole":
                values = values - dipoles_of_nominal(frame, metadata)
            yield Target(quantity.form.components(values), sample)


def labelled_species(names: Iterable[str], frames: Sequence[Frame]) -> dict[str, set[int]]:
    """Atomic numbers of all atoms with a label, by the name of each of some quantities that are per atom."""
    found: dict[str, set[int]] = {}
    for quantity in (own for name in names if (own := quantities()[name]).per == "atom"):
        there = found.setdefault(quantity.name, set())
        for frame in (one for one in frames if quantity.label in one.labels and one.weight > 0):
            values = frame.labels[quantity.label].reshape(len(frame.atoms), -1)
            there |= set(frame.atoms.numbers[np.isfinite(values).all(axis=1)].tolist())
    return found


def with_labelled(frames: Iterable[Frame], found: dict[str, set[int]]) -> Iterator[Frame]:
    """Frames as they come, whose `labelled_species` are added to what was ``found``."""
    for frame in frames:
        for name, own in labelled_species(quantities(), [frame]).items():
            found.setdefault(name, set()).update(own)
        yield frame


def cell_components(quantity: Quantity, model: Model, frame: Frame, value: np.ndarray, metadata: object) -> np.ndarray:
    """Components that the atoms of a cell must add up to."""
    form, cell_map = quantity.form, quantity.cell_map
    if quantity.name == "dipole":
        value = value - charges_of_atoms(metadata, frame.atoms.numbers, frame.charge or 0.0) @ frame.atoms.positions
    components = form.components(value)
    if cell_map is None or not model.local_field or not frame.atoms.pbc.all():
        return components
    volume = np.array([frame.atoms.get_volume()])
    return form.components(cell_map.invert(form.cartesian(components)[None], volume)[0])


def dipoles_of_nominal(frame: Frame, metadata: object) -> np.ndarray:
    """What nominal charges give to the dipole of each molecule, shape (molecules, 3); zeros where there are none."""
    unit = repeating_unit(metadata)
    assert unit is not None
    charges = charges_of_atoms(metadata, frame.atoms.numbers, 0.0)
    return dipoles_of_charges(Batch.from_ase(frame.atoms), unit, charges)[0]


def molecule_of_atoms(frame: Frame, metadata: object, name: str, molecules: int) -> np.ndarray:
    """Which molecule each atom belongs to."""
    unit = repeating_unit(metadata)
    if unit is None:
        raise ConfigurationError(
            f"{name} of {frame.name} is a label of molecules; repeating_unit in [metadata], a formula such as OHH, is "
            "needed for it"
        )
    check_order(frame.atoms.numbers, unit)
    if len(frame.atoms) != molecules * len(unit):
        raise DataError(
            f"{name} of {frame.name} is of {molecules} molecules; {len(frame.atoms) // len(unit)} are there"
        )
    return np.arange(len(frame.atoms)) // len(unit)


def prior_variances(
    irrep: Irrep, shape: DensityShape, angular_decay: float, radial_decay: float, chemical_channels: int = 0
) -> np.ndarray:
    """Expected variances of a head's weights, in the order of `features`: coarse features are expected to matter more.

    Returns
    -------
    ndarray of float64, shape (species * sum(feature_sizes),)
        exp(−angular_decay (l1 + l2)) ((1 + n)(1 + n'))^−radial_decay; infinite for the offset.
    """
    order, parity = irrep.order, irrep.parity
    by_channel = (1.0 + np.arange(shape.channels) % (shape.radial // max(chemical_channels, 1))) ** -radial_decay
    products = np.outer(by_channel, by_channel)
    parts = [np.full(1, np.inf)] if order == 0 else []
    parts += [by_channel] if parity == 1 else []
    upper = np.triu_indices(shape.channels, 0 if parity == 1 else 1)
    for l1, l2 in pairs(order, shape.l_max, parity):
        own = np.exp(-angular_decay * (l1 + l2)) * products
        parts.append(own[upper] if l1 == l2 else own.ravel())
    return np.tile(np.concatenate(parts), shape.species)


def add_target(
    equations: NormalEquations, quantity: Quantity, irrep: Irrep, shape: DensityShape, model: Model, frame: Frame,
    metadata: object, derivative_length: float = 0.0, labelled: np.ndarray | None = None,
) -> None:  # fmt: skip
    """Add what one frame says about the heads of one irrep, of which ``shape`` gives the l_max.

    Labels of the derivative count as `add_derivatives` says.  ``labelled`` has the indices of the species that
    ``shape`` is of; by default all.
    """
    add_derivatives(equations, quantity, irrep, shape, model, frame, metadata, derivative_length)
    found = list(targets_of(quantity, model, frame, metadata))
    if not found or frame.weight == 0:
        return
    batch = Batch.from_ase(frame.atoms)
    density, species = model.density(batch)[0, :, : shape.harmonics], model.species_indices(batch.numbers)
    if labelled is not None:
        places = np.full(len(model.numbers), -1)
        places[labelled] = np.arange(len(labelled))
        species = places[species]
    first = sum(own.components for own in quantity.form.irreps[: quantity.form.irreps.index(irrep)])
    for target in found:
        is_known, part = target.labelled()
        known = int(is_known.sum())
        rows = features_of_parts(irrep.order, shape, density, species, part, known, irrep.parity)
        own = target.components[is_known, first : first + irrep.components].reshape(known, irrep.count, -1)
        scales = np.sqrt(frame.weight) * target.scales[is_known, None, None]
        weighted = (scales * own.swapaxes(1, 2)).reshape(-1, irrep.count)
        equations.add((scales * rows).reshape(-1, rows.shape[-1]), weighted, frame.weight)
